"""Bytes become text, or the failure is named."""

from __future__ import annotations

import codecs
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Document
from chunking.errors import DocumentChanged, UnreadableDocument
from ingest import texts
from ingest.texts import DEPTH_LIMIT, decode, document_file, read_bytes, read_json


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain", "plain"),
        (codecs.BOM_UTF8 + b"marked", "marked"),
        ("Ελλάδα".encode("utf-16"), "Ελλάδα"),
        (codecs.BOM_UTF16_BE + "Ελλάδα".encode("utf-16-be"), "Ελλάδα"),
        ("Ελλάδα".encode("utf-32"), "Ελλάδα"),
        (codecs.BOM_UTF32_BE + "Ελλάδα".encode("utf-32-be"), "Ελλάδα"),
        (b"one\r\ntwo\rthree\n", "one\ntwo\nthree\n"),
        ("a\x00b".encode("utf-16"), "a\ufffdb"),
        ("🙂 \u2028".encode(), "🙂 \u2028"),
    ],
)
def test_text_is_read_in_its_encoding_with_plain_line_ends(data: bytes, text: str) -> None:
    assert decode(data, name="f") == text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"ab\x00c", r"binary \(NUL byte at offset 2\)"),
        (b"caf\xe9", "invalid utf-8 at byte 3"),
        (b"\xed\xa0\x80", "invalid utf-8 at byte 0"),
        (codecs.BOM_UTF16_LE + b"a", "invalid utf-16"),
        (codecs.BOM_UTF16_LE + b"\x00\xd8", "invalid utf-16"),
        (b"", "empty"),
        (b" \r\n\t", "empty"),
        (codecs.BOM_UTF8, "empty"),
        (codecs.BOM_UTF16_BE, "empty"),
    ],
)
def test_what_is_no_text_is_refused_with_its_reason(data: bytes, message: str) -> None:
    with pytest.raises(UnreadableDocument, match=f"^notes.txt: {message}") as caught:
        decode(data, name="notes.txt")
    assert caught.value.param == "notes.txt"
    assert caught.value.hint


@given(st.binary(max_size=40) | st.text(max_size=40).map(lambda text: text.encode("utf-16")))
def test_any_bytes_are_text_that_can_be_stored_or_unreadable(data: bytes) -> None:
    try:
        text = decode(data, name="f")
    except UnreadableDocument:
        return
    assert text.encode().decode() == text
    assert text.strip()
    assert not {"\r", "\x00"} & set(text)


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\x00\xff")
    assert read_bytes(tmp_path / "f", name="f") == b"\x00\xff"


def test_a_file_above_the_limit_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "SIZE_LIMIT_BYTES", 10)
    (tmp_path / "fits").write_bytes(b"x" * 10)
    (tmp_path / "large").write_bytes(b"x" * 11)
    assert len(read_bytes(tmp_path / "fits", name="fits")) == 10
    with pytest.raises(UnreadableDocument, match="large: 11 bytes, limit 10"):
        read_bytes(tmp_path / "large", name="large")


def test_a_fifo_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableDocument, match="pipe: not a regular file"):
        read_bytes(tmp_path / "pipe", name="pipe")


@pytest.mark.parametrize("name", ["missing", "folder", "dangling", "loop"])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UnreadableDocument, match=name):
        read_bytes(tmp_path / name, name=name)


def test_an_error_of_the_file_system_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "f").touch()
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UnreadableDocument, match="f: Permission denied") as caught:
        read_bytes(tmp_path / "f", name="f")
    assert isinstance(caught.value.__cause__, PermissionError)


@pytest.mark.parametrize("change", ["append", "rewrite", "replace", "remove"])
def test_a_file_that_changes_while_it_is_read_is_refused_for_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"before")
    unchanged = texts.same_state

    def look_after_a_change(before: os.stat_result, path: Path) -> bool:
        if change == "append":
            with path.open("ab") as stream:
                stream.write(b" and after")
        elif change == "rewrite":
            path.write_bytes(b"after!")
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
        else:
            path.rename(tmp_path / "g")
            if change == "replace":
                path.write_bytes(b"before")
        return unchanged(before, path)

    monkeypatch.setattr(texts, "same_state", look_after_a_change)
    with pytest.raises(DocumentChanged, match=r"^f: changed while it was read") as caught:
        read_bytes(path, name="f")
    assert caught.value.retryable
    assert caught.value.exit_code == 3


def test_a_document_in_memory_is_a_source_file() -> None:
    document = Document("a", "text", "Title", "somewhere", date="2024-01-31")
    file = document_file(document)
    read = file.read()
    assert (file.name, replace(read, digest="")) == ("a", document)
    assert read.digest != document_file(replace(document, text="other")).read().digest


def test_json_is_read_as_it_stands() -> None:
    assert read_json(b'\xef\xbb\xbf{"a": [1, 2.5, null, "\xc3\xa9"]}', name="f") == {
        "a": [1, 2.5, None, "é"]
    }


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (r"\ud83d\ude42", "🙂"),
        (r"\ud83d", "\ufffd"),
        (r"\ude42\ud83d", "\ufffd\ufffd"),
        (r"\\ud83d", r"\ud83d"),
        (r"\u00e9", "é"),
        (r"a\u0000b", "a\x00b"),
    ],
)
def test_escapes_become_text_that_can_be_stored(escaped: str, text: str) -> None:
    value = read_json(f'{{"{escaped}": "{escaped}"}}'.encode(), name="f")
    assert value == {text: text}


@pytest.mark.parametrize("data", [b"{", b"{'a': 1}", b"[1,]", b"nothing", b'{"a": "\n"}'])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableDocument, match=r"^f: invalid JSON: "):
        read_json(data, name="f")


def test_a_number_too_long_to_convert_is_refused() -> None:
    with pytest.raises(UnreadableDocument, match="f: invalid JSON"):
        read_json(b"1" * 10_000, name="f")


def nested(depth: int, innermost: str = "1") -> bytes:
    return ('{"a":[' * (depth // 2) + "[" * (depth % 2) + innermost).encode() + (
        "]" * (depth % 2) + "]}" * (depth // 2)
    ).encode()


def test_json_may_be_nested_up_to_the_limit() -> None:
    assert read_json(nested(DEPTH_LIMIT), name="f") == json.loads(nested(DEPTH_LIMIT))


@pytest.mark.parametrize("innermost", ["1", r'"\ud800"'])
@pytest.mark.parametrize("depth", [DEPTH_LIMIT + 1, 901, 200_000])
def test_json_nested_deeper_is_refused(depth: int, innermost: str) -> None:
    with pytest.raises(UnreadableDocument, match=f"f: JSON nested deeper than {DEPTH_LIMIT}"):
        read_json(nested(depth, innermost), name="f")
