"""JSONL gives one document a line, and a bad line costs itself alone."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from chunking.document import Document
from chunking.errors import DocumentChanged, UnreadableDocument
from ingest import lines
from ingest.lines import file_lines, stream_lines
from ingest.readers.sandbox import Sandbox
from ingest.texts import SourceFile


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return Sandbox()


def read(data: bytes, sandbox: Sandbox) -> list[SourceFile]:
    stream = io.BytesIO(data)
    return list(stream_lines(stream, name="a.jsonl", source="/a.jsonl", sandbox=sandbox))


def document_of(line: str | bytes, sandbox: Sandbox) -> Document:
    [file] = read(line.encode() if isinstance(line, str) else line, sandbox)
    return file.read()


def refusal(file: SourceFile) -> str:
    with pytest.raises(UnreadableDocument) as caught:
        file.read()
    assert caught.value.hint
    return caught.value.message


def test_a_line_states_its_document(sandbox: Sandbox) -> None:
    line = (
        '{"id": "d1", "text": "# Head\\r\\nword", "title": " The\\ntitle ", "source": "s3://x",'
        ' "date": "2024-01-31", "media_type": "text/markdown", "other": 7}'
    )
    document = document_of(line, sandbox)
    assert (document.id, document.title, document.source) == ("d1", "The title", "s3://x")
    assert (document.text, document.date) == ("# Head\nword", "2024-01-31")
    assert document.media_type == "text/markdown"
    assert document.sections[0].path == ("Head",)


def test_a_line_with_text_alone_is_named_by_its_place(sandbox: Sandbox) -> None:
    document = document_of(b'\xef\xbb\xbf{"text": "word"}', sandbox)
    assert (document.id, document.title) == ("a.jsonl#1", "a.jsonl#1")
    assert (document.source, document.media_type) == ("/a.jsonl#1", "text/plain")
    assert document.digest


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ('{"id": 7, "text": "x"}', "7"),
        ('{"_id": "x7", "text": "x"}', "x7"),
        ('{"id": null, "text": "x"}', "a.jsonl#1"),
        ('{"id": "../../etc/passwd", "text": "x"}', "../../etc/passwd"),
        ('{"id": {}, "text": "x"}', "a.jsonl#1"),
    ],
)
def test_a_line_is_named_by_its_own_id(sandbox: Sandbox, line: str, name: str) -> None:
    [file] = read(line.encode(), sandbox)
    assert file.name == file.read().id == name


def test_a_line_without_text_is_read_field_by_field(sandbox: Sandbox) -> None:
    document = document_of('{"id": "q", "question": "why", "answer": {"short": "so"}}', sandbox)
    assert "question: why" in document.text
    assert "answer" in document.text
    assert "q\n" not in document.text


def test_html_in_a_line_is_read_in_the_child(sandbox: Sandbox) -> None:
    line = '{"text": "<h1>Head</h1><p>a&amp;b", "media_type": "text/html"}'
    assert document_of(line, sandbox).text == "# Head\n\na&b\n\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("not json", "invalid JSON"),
        ("[1]", "not a JSON object"),
        ('{"text": 5}', "'text' is not a string"),
        ('{"text": "x", "title": []}', "'title' is not a string"),
        ('{"text": " "}', "empty text"),
        ("{}", "no text in any field"),
        ('{"text": "x", "media_type": "application/pdf"}', "media type 'application/pdf' cannot"),
        ('{"id": "", "text": "x"}', "an id is 1 to 512 printable characters"),
        ('{"id": "a\\n", "text": "x"}', "an id is 1 to 512 printable characters"),
        (f'{{"id": "{"x" * 513}", "text": "x"}}', "an id is 1 to 512 printable characters"),
        ("[" * 5000, "JSON nested deeper|invalid JSON"),
    ],
)
def test_a_bad_line_costs_itself_alone(sandbox: Sandbox, line: str, message: str) -> None:
    good, bad, last = read(f'{{"text": "a"}}\n{line}\n{{"text": "b"}}'.encode(), sandbox)
    assert (good.read().text, last.read().text) == ("a", "b")
    with pytest.raises(UnreadableDocument, match=rf"^a\.jsonl#2: {message}") as caught:
        bad.read()
    assert caught.value.param == "a.jsonl#2"
    assert caught.value.hint


def test_an_id_that_is_taken_is_refused_the_second_time(sandbox: Sandbox) -> None:
    first, second = read(b'{"id": "a", "text": "1"}\n{"id": "a", "text": "2"}\n', sandbox)
    assert first.read().text == "1"
    assert refusal(second) == "a.jsonl#2: its id is that of a line before"


def test_a_line_above_the_limit_is_skipped(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LINE_LIMIT_BYTES", 40)
    data = b'{"text": "' + b"x" * 9000 + b'"}\n{"text": "after"}\n'
    long, after = read(data, sandbox)
    assert refusal(long) == "a.jsonl#1: line above 40 bytes"
    assert (after.name, after.read().text) == ("a.jsonl#2", "after")


def test_a_line_without_end_is_not_held(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LINE_LIMIT_BYTES", 1000)
    asked: list[int] = []

    class Endless(io.RawIOBase):
        left = 10_000_000

        def readline(self, size: int | None = -1, /) -> bytes:
            asked.append(size or 0)
            taken = min(size or 0, self.left)
            self.left -= taken
            return b"x" * taken

    [file] = stream_lines(Endless(), name="a", source="a", sandbox=sandbox)  # type: ignore[arg-type]
    assert refusal(file) == "a#1: line above 1,000 bytes"
    assert 0 < max(asked) <= 1024 * 1024


@pytest.mark.parametrize(
    "data", [b"\x89PNG\n\n\n", '{"text": "x"}\n'.encode("utf-16"), b"\xe9\n\n", b"PK\x03\x04\n\n"]
)
def test_a_file_that_holds_no_lines_of_text_is_refused_once(sandbox: Sandbox, data: bytes) -> None:
    [file] = read(data, sandbox)
    assert file.name == "a.jsonl"
    assert refusal(file).startswith("a.jsonl: ")


def test_a_file_that_changes_ends_with_a_source_that_says_so(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a"}\n' * 3)
    files = file_lines(path, name="a.jsonl", sandbox=sandbox)
    first = next(files)
    with path.open("ab") as stream:
        stream.write(b'{"text": "b"}\n')
    *_, last = files
    assert first.read().text == "a"
    with pytest.raises(DocumentChanged, match=r"^a\.jsonl: changed while it was read") as caught:
        last.read()
    assert caught.value.retryable


def test_a_fifo_is_refused_and_nothing_waits(tmp_path: Path, sandbox: Sandbox) -> None:
    os.mkfifo(tmp_path / "a.jsonl")
    [file] = file_lines(tmp_path / "a.jsonl", name="a.jsonl", sandbox=sandbox)
    assert refusal(file) == "a.jsonl: not a regular file"


def test_an_empty_file_holds_no_documents(sandbox: Sandbox) -> None:
    assert read(b"", sandbox) == []
    assert read(b"\n\n \n", sandbox) == []
