"""Zip files are read within limits, whatever they declare."""

from __future__ import annotations

import struct

import pytest

from chunking.errors import UnreadableDocument
from ingest.readers import zips
from ingest.readers.sheets import read_xlsx
from ingest.readers.word import read_word
from ingest.readers.zips import SafeZip
from scripts.prove_ingest.hostile_packages import packed
from tests.written_files import docx, paragraph, xlsx


def test_members_are_read_by_name_and_nothing_is_written() -> None:
    file = SafeZip(packed({"../../evil": "x", "/etc/evil": "y", "a": "z"}), name="f")
    assert file.names() == ["../../evil", "/etc/evil", "a"]
    assert file.read("a") == b"z"
    assert file.read("../../evil") == b"x"
    assert file.read("b") is None


def test_a_bomb_is_refused_by_what_it_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips, "UNPACKED_LIMIT_BYTES", 1000)
    assert SafeZip(packed({"a": b"0" * 500, "b": b"0" * 500}), name="f").read("a")
    with pytest.raises(
        UnreadableDocument, match=r"^f: unpacks to 1,001 bytes or more, limit 1,000"
    ):
        SafeZip(packed({"a": b"0" * 500, "b": b"0" * 501}), name="f")


def test_a_bomb_that_declares_little_is_not_unpacked() -> None:
    bomb = bytearray(packed({"word/document.xml": b"0" * 5_000_000}))
    for signature, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = bomb.find(signature) + offset
        bomb[at : at + 4] = struct.pack("<I", 10)
    with pytest.raises(UnreadableDocument, match=r"f: a broken member inside"):
        SafeZip(bytes(bomb), name="f").read("word/document.xml")


def test_members_read_again_and_again_count_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips, "UNPACKED_LIMIT_BYTES", 1000)
    file = SafeZip(packed({"a": b"0" * 600}), name="f")
    file.read("a")
    with pytest.raises(UnreadableDocument, match="limit 1,000"):
        file.read("a")


def test_a_library_gets_the_bytes_only_when_all_members_are_sound() -> None:
    data = bytearray(xlsx({"S": "<sheetData/>"}))
    at = data.find(b"xl/worksheets/sheet1.xml") + len("xl/worksheets/sheet1.xml")
    data[at : at + 20] = b"\xff" * 20
    with pytest.raises(UnreadableDocument, match="a broken member inside"):
        read_xlsx(bytes(data), name="a.xlsx")


def test_encrypted_members_are_refused() -> None:
    data = bytearray(docx(paragraph("x")))
    data[data.find(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(UnreadableDocument, match=r"^a\.docx: encrypted") as caught:
        read_word(bytes(data), name="a.docx")
    assert "password" in caught.value.hint


def test_too_many_members_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips, "MEMBERS_LIMIT", 2)
    with pytest.raises(UnreadableDocument, match="3 members, limit 2"):
        SafeZip(packed({"a": "", "b": "", "c": ""}), name="f")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"PK\x05\x06", b"text", b"PK\x05\x06" * 9])
def test_what_is_no_zip_file_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableDocument, match=r"^f: no valid zip file inside"):
        SafeZip(data, name="f")


def test_a_file_cut_short_anywhere_is_read_or_refused() -> None:
    data = docx(paragraph("word"))
    for end in range(0, len(data), 7):
        with pytest.raises(UnreadableDocument):
            read_word(data[:end], name="a.docx")


def test_entities_that_multiply_are_refused() -> None:
    grow = "".join(
        f'<!ENTITY a{at} "{f"&a{at - 1};" * 10 if at else "x" * 10}">' for at in range(9)
    )
    laughs = f"<!DOCTYPE a [{grow}]><a>&a8;</a>"
    for padding in ("", " " * 2000):
        with pytest.raises(UnreadableDocument, match=r"document type|invalid XML"):
            read_word(
                packed({"word/document.xml": f"<?xml version='1.0'?>{padding}{laughs}"}), name="a"
            )
