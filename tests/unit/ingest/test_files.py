"""What a single file becomes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from chunking.document import Document
from chunking.errors import UnreadableDocument
from ingest import files
from ingest.files import source_file
from ingest.formats import FORMATS, check_content, format_of
from ingest.readers.sandbox import Sandbox
from tests.written_files import (
    docx,
    epub,
    odt,
    paragraph,
    pdf,
    pptx,
    printed,
    shape,
    sheet_rows,
    xlsx,
)

OPEN_XML = "application/vnd.openxmlformats-officedocument"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return Sandbox()


def put(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def document_of(path: Path, sandbox: Sandbox) -> Document:
    return source_file(path, name=path.name, sandbox=sandbox).read()


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [
        ("a.txt", "word", "text/plain"),
        ("a.md", "# word", "text/markdown"),
        ("a.json", '{"a": "word"}', "application/json"),
        ("a.csv", "a,b\nword,1\n", "text/csv"),
        ("a.tsv", "a\tb\nword\t1\n", "text/csv"),
        ("a.html", "<p>word", "text/html"),
        ("a.PDF", pdf([printed(("F1", 11, "word"))]), "application/pdf"),
        ("a.docx", docx(paragraph("word")), f"{OPEN_XML}.wordprocessingml.document"),
        ("a.pptx", pptx([shape("word")]), f"{OPEN_XML}.presentationml.presentation"),
        ("a.xlsx", xlsx({"S": sheet_rows([["word"]])}), f"{OPEN_XML}.spreadsheetml.sheet"),
        ("a.odt", odt("<text:p>word</text:p>"), "application/vnd.oasis.opendocument.text"),
        ("a.epub", epub({"a": "word"}, spine=["a"]), "application/epub+zip"),
        ("a.eml", "From: a\nTo: b\n\nword", "message/rfc822"),
    ],
)  # fmt: skip
def test_a_file_becomes_a_document_with_its_facts(
    tmp_path: Path, sandbox: Sandbox, name: str, content: bytes | str, media_type: str
) -> None:
    path = put(tmp_path, name, content)
    file = source_file(path, name=f"folder/{name}", sandbox=sandbox)
    document = file.read()
    assert "word" in document.text
    assert (document.id, document.source) == (f"folder/{name}", str(path.resolve()))
    assert document.media_type == media_type
    assert document.title
    assert document.digest == file.digest(path.read_bytes())
    assert file.read() == document


def test_the_digest_changes_with_the_bytes_and_with_what_parses_them(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    file = source_file(put(tmp_path, "a.txt", "one"), name="a.txt", sandbox=sandbox)
    assert file.digest(b"one") != file.digest(b"two")
    assert file.digest(b"one") != replace(file, parser="text/9").digest(b"one")


def test_the_parser_names_the_library_and_its_version(tmp_path: Path, sandbox: Sandbox) -> None:
    parsers = {form.name: form.parser for form in FORMATS}
    assert parsers["text"] == "text/3"
    assert parsers["pdf"].startswith("pdf/2+pypdfium2-5.")
    assert replace(FORMATS[0], library="no-such-package").parser == "text/3+none"


def test_a_text_file_is_titled_by_its_name(tmp_path: Path, sandbox: Sandbox) -> None:
    document = document_of(put(tmp_path, "travel notes.txt", "# none\r\nline\r\n"), sandbox)
    assert (document.text, document.title) == ("# none\nline\n", "travel notes")
    assert (document.sections, document.date) == ((), None)


@pytest.mark.parametrize("suffix", [".md", ".markdown", ".MD"])
def test_a_markdown_file_is_titled_by_its_first_heading(
    tmp_path: Path, sandbox: Sandbox, suffix: str
) -> None:
    path = put(tmp_path, f"a{suffix}", "before\n\n# Chad\n\n## Climate\ndry\n")
    document = document_of(path, sandbox)
    assert (document.title, document.media_type) == ("Chad", "text/markdown")
    assert [section.path for section in document.sections] == [(), ("Chad",), ("Chad", "Climate")]


def test_a_markdown_file_without_headings_is_titled_by_its_name(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    document = document_of(put(tmp_path, "plain.md", "text"), sandbox)
    assert (document.title, document.sections) == ("plain", ())


def test_a_json_object_becomes_fields(tmp_path: Path, sandbox: Sandbox) -> None:
    record = {"title": " The\nTitle ", "Geography": {"Area": {"total": 7}}}
    document = document_of(put(tmp_path, "a.json", json.dumps(record)), sandbox)
    assert (document.title, document.media_type) == ("The Title", "application/json")
    fields = {s.path: document.text[s.start : s.end] for s in document.sections}
    assert fields[("Geography", "Area")] == "Area - total: 7"


@pytest.mark.parametrize(
    ("record", "title"),
    [
        ({"name": "Chad", "a": "1"}, "Chad"),
        ({"title": "", "name": "Chad"}, "Chad"),
        ({"title": {"en": "Chad"}}, "cd"),
        ({"title": 7}, "cd"),
        ({"a": "1"}, "cd"),
    ],
)
def test_a_json_object_is_titled_by_a_name_in_it_or_its_own(
    tmp_path: Path, sandbox: Sandbox, record: object, title: str
) -> None:
    assert document_of(put(tmp_path, "cd.json", json.dumps(record)), sandbox).title == title


@pytest.mark.parametrize("value", [["one", "two"], "one", [{"a": "one"}]])
def test_json_that_is_no_object_is_one_field(
    tmp_path: Path, sandbox: Sandbox, value: object
) -> None:
    document = document_of(put(tmp_path, "cd.json", json.dumps(value)), sandbox)
    assert [section.path for section in document.sections] == [("cd",)]
    assert "one" in document.text


def test_text_that_no_store_could_hold_is_replaced(tmp_path: Path, sandbox: Sandbox) -> None:
    document = document_of(put(tmp_path, "a.json", r'{"\ud800key": "lone \udc00 and 🙂"}'), sandbox)
    assert document.text.encode().decode() == document.text
    assert "\ufffdkey: lone \ufffd and 🙂" in document.text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xyz", b"text", r"type \.xyz is not supported"),
        ("README", b"text", r"type \(no suffix\) is not supported"),
        ("a.txt", b"\x89PNG\x00", "text by its suffix, PNG by its content"),
        ("a.txt", b"ab\x00", "binary"),
        ("a.txt", b"caf\xe9", "invalid utf-8"),
        ("a.md", b"", "empty"),
        ("a.json", b"{", "invalid JSON"),
        ("a.json", b"{}", "no text in any field"),
        ("a.json", b"null", "no text in any field"),
        ("a.csv", b",\n", "no text in any cell"),
        ("a.pdf", b"text", "pdf by its suffix, something else by its content"),
        ("a.docx", OLE, "docx by its suffix, Office 97 by its content"),
        ("a.docx", OLE + "EncryptedPackage".encode("utf-16-le"), "encrypted"),
        ("a.xlsx", docx(""), "no workbook inside"),
        ("a.html", b"<p>", "no text inside"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_unreadable_by_name(
    tmp_path: Path, sandbox: Sandbox, name: str, content: bytes, message: str
) -> None:
    file = source_file(put(tmp_path, name, content), name=f"notes/{name}", sandbox=sandbox)
    with pytest.raises(UnreadableDocument, match=f"^notes/{name}: {message}") as caught:
        file.read()
    assert caught.value.hint
    assert caught.value.param == f"notes/{name}"


def test_an_unsupported_type_names_those_that_are_supported() -> None:
    with pytest.raises(UnreadableDocument) as caught:
        format_of(".xyz", name="a.xyz")
    assert ".md" in caught.value.hint
    with pytest.raises(UnreadableDocument) as caught:
        format_of(".doc", name="a.doc")
    assert caught.value.hint == "save it as .docx"


def test_a_pdf_may_begin_a_little_later() -> None:
    check_content(b"\n" * 500 + b"%PDF-1.4", format_of(".pdf", name="a"), name="a")


def test_a_large_file_is_read_in_the_child(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "# Chad\n\nword\n"
    small = document_of(put(tmp_path, "a.md", text), sandbox)
    asked: list[str] = []
    read = Sandbox.read

    def note(self: Sandbox, reader: str, data: bytes, *, name: str) -> object:
        asked.append(reader)
        return read(self, reader, data, name=name)

    monkeypatch.setattr(Sandbox, "read", note)
    monkeypatch.setattr(files, "IN_PLACE_LIMIT_BYTES", 5)
    assert document_of(tmp_path / "a.md", sandbox) == small
    assert asked == ["ingest.readers.plain:read_markdown"]


def test_a_text_too_long_for_one_document_is_refused(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.texts.TEXT_LIMIT_CHARACTERS", 10)
    assert document_of(put(tmp_path, "a.txt", "x" * 10), sandbox)
    with pytest.raises(UnreadableDocument, match="11 characters of text, limit 10"):
        document_of(put(tmp_path, "a.txt", "x" * 11), sandbox)


def test_every_suffix_belongs_to_one_format() -> None:
    suffixes = [suffix for form in FORMATS for suffix in form.suffixes]
    assert len(set(suffixes)) == len(suffixes)


def test_a_program_is_titled_by_its_file_and_python_has_sections(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    text = "class Ship:\n    def sail(self): ...\n"
    python = document_of(put(tmp_path, "ships.py", text), sandbox)
    assert (python.text, python.title, python.media_type) == (text, "ships.py", "text/x-source")
    assert [section.path for section in python.sections] == [("Ship",), ("Ship", "sail")]
    go = document_of(put(tmp_path, "ships.go", "package ships\n"), sandbox)
    assert (go.title, go.sections, go.media_type) == ("ships.go", (), "text/x-source")
