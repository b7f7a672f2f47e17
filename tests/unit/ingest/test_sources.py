"""What a SOURCE holds: which files are taken, and what each of them becomes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chunking.document import Document
from chunking.errors import ConfigurationError, InputError, UnreadableDocument
from ingest.sources import list_source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "notes"
    root.mkdir()
    return root


def names(source: Path | str) -> list[str]:
    return [file.name for file in list_source(str(source), factbook=Path("missing"))]


def document_of(path: Path) -> Document:
    [file] = list_source(str(path), factbook=Path("missing"))
    document = file.read()
    assert document.digest == file.digest(file.load())
    return replace(document, digest="")


def put(folder: Path, name: str, content: bytes | str = "text") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# --- which files


def test_a_folder_gives_its_files_by_path_each_named_below_the_folder(folder: Path) -> None:
    for name in ("b.txt", "a.md", "sub/deep/c.json", "sub/a.txt"):
        put(folder, name)
    assert names(folder) == [
        "notes/a.md",
        "notes/b.txt",
        "notes/sub/a.txt",
        "notes/sub/deep/c.json",
    ]


def test_no_file_is_read_before_its_turn(folder: Path) -> None:
    put(folder, "bad.txt", b"\x00")
    assert names(folder) == ["notes/bad.txt"]


def test_hidden_files_and_folders_are_left_out(folder: Path) -> None:
    for name in (".hidden.txt", ".git/config.txt", "sub/.cache/a.txt", "seen.txt"):
        put(folder, name)
    assert names(folder) == ["notes/seen.txt"]


def test_linked_folders_are_not_followed_so_that_loops_end(folder: Path, tmp_path: Path) -> None:
    put(folder, "a.txt")
    put(tmp_path / "elsewhere", "b.txt")
    (folder / "loop").symlink_to(folder)
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    assert names(folder) == ["notes/a.txt"]


def test_a_linked_file_is_read_under_its_own_name(folder: Path, tmp_path: Path) -> None:
    (folder / "link.txt").symlink_to(put(tmp_path, "target.txt", "linked"))
    [file] = list_source(str(folder), factbook=tmp_path)
    assert (file.name, file.read().text) == ("notes/link.txt", "linked")


def test_files_of_one_name_in_two_folders_are_two_documents(folder: Path) -> None:
    for name in ("a/same.md", "b/same.md", "same.md", "same.txt", "SAME.md"):
        put(folder, name)
    ids = [file.read().id for file in list_source(str(folder), factbook=folder)]
    assert len(set(ids)) == 5


def test_the_names_do_not_depend_on_how_the_folder_was_spelled(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "a.txt")
    monkeypatch.chdir(folder)
    assert names(".") == names("../notes/") == names(folder) == ["notes/a.txt"]


def test_a_file_alone_goes_by_its_name(folder: Path) -> None:
    assert names(put(folder, "a.txt")) == ["a.txt"]


def test_a_name_that_is_no_utf_8_is_spelled_out(folder: Path) -> None:
    put(folder, os.fsdecode(b"caf\xe9.txt"))
    [file] = list_source(str(folder), factbook=folder)
    document = file.read()
    assert file.name == document.id == "notes/caf\\xe9.txt"
    assert document.title == "caf\\xe9"


def test_a_folder_that_cannot_be_listed_is_reported_as_unreadable(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "a.txt")
    walk = os.walk

    def refuse(root: Path, **options: object) -> Iterator[tuple[str, list[str], list[str]]]:
        options["onerror"](PermissionError(13, "Permission denied", str(root / "closed")))  # type: ignore[operator]
        yield from walk(root)

    monkeypatch.setattr(os, "walk", refuse)
    readable, closed = list_source(str(folder), factbook=folder)
    assert readable.read().text == "text"
    with pytest.raises(UnreadableDocument, match="notes/closed: Permission denied"):
        closed.read()


@pytest.mark.parametrize("name", ["missing", "missing/file.txt", "x" * 5000, "a\x00b", ""])
def test_a_source_that_does_not_exist_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="source") as caught:
        list_source(f"{tmp_path}/notes/{name}", factbook=tmp_path)
    assert caught.value.param == "source"


def test_a_folder_without_files_is_refused(folder: Path) -> None:
    put(folder, ".hidden")
    with pytest.raises(InputError, match="holds no files"):
        names(folder)


def test_the_factbook_goes_by_its_word(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=str(tmp_path)):
        list_source("factbook", factbook=tmp_path)
    put(tmp_path, "africa/cd.json", json.dumps({"Geography": {"Area": "7"}}))
    [file] = list_source("factbook", factbook=tmp_path)
    assert file.name == "factbook/africa/cd.json"


# --- what they become


def test_a_text_file_is_titled_by_its_name(folder: Path) -> None:
    path = put(folder, "travel notes.txt", "# no heading\r\nline\r\n")
    assert document_of(path) == Document(
        "travel notes.txt", "# no heading\nline\n", "travel notes", str(path.resolve())
    )


@pytest.mark.parametrize("suffix", [".md", ".markdown", ".MD"])
def test_a_markdown_file_is_titled_by_its_first_heading(folder: Path, suffix: str) -> None:
    document = document_of(put(folder, f"a{suffix}", "before\n\n# Chad\n\n## Climate\ndry\n"))
    assert (document.title, document.media_type) == ("Chad", "text/markdown")
    assert [section.path for section in document.sections] == [(), ("Chad",), ("Chad", "Climate")]


def test_a_markdown_file_without_headings_is_titled_by_its_name(folder: Path) -> None:
    document = document_of(put(folder, "plain.md", "text"))
    assert (document.title, document.sections) == ("plain", ())


def test_a_json_object_becomes_fields(folder: Path) -> None:
    record = {"title": " The\nTitle ", "Geography": {"Area": {"total": 7}}}
    document = document_of(put(folder, "a.json", json.dumps(record)))
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
    folder: Path, record: object, title: str
) -> None:
    assert document_of(put(folder, "cd.json", json.dumps(record))).title == title


@pytest.mark.parametrize("value", [["one", "two"], "one", [{"a": "one"}]])
def test_json_that_is_no_object_is_one_field(folder: Path, value: object) -> None:
    document = document_of(put(folder, "cd.json", json.dumps(value)))
    assert [section.path for section in document.sections] == [("cd",)]
    assert "one" in document.text


def test_text_that_no_store_could_hold_is_replaced(folder: Path) -> None:
    document = document_of(put(folder, "a.json", r'{"\ud800key": "lone \udc00 and 🙂"}'))
    assert document.text.encode().decode() == document.text
    assert "\ufffdkey: lone \ufffd and 🙂" in document.text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pdf", b"%PDF-1.7", r"type \.pdf is not supported"),
        ("README", b"text", r"type \(no suffix\) is not supported"),
        ("a.txt", b"\x89PNG\x00", "binary"),
        ("a.txt", b"caf\xe9", "invalid utf-8"),
        ("a.md", b"", "empty"),
        ("a.json", b"{", "invalid JSON"),
        ("a.json", b"{}", "no text in any field"),
        ("a.json", b"null", "no text in any field"),
    ],
)
def test_a_file_that_cannot_be_used_is_unreadable_by_name(
    folder: Path, name: str, content: bytes, message: str
) -> None:
    put(folder, name, content)
    [file] = list_source(str(folder), factbook=folder)
    with pytest.raises(UnreadableDocument, match=f"^notes/{name}: {message}") as caught:
        file.read()
    assert caught.value.hint
    assert caught.value.param == f"notes/{name}"


def test_an_unsupported_type_names_those_that_are_supported(folder: Path) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        document_of(put(folder, "a.docx"))
    assert ".md" in caught.value.hint


def test_a_fifo_among_files_is_unreadable_and_nothing_waits(folder: Path) -> None:
    os.mkfifo(folder / "pipe.txt")
    [file] = list_source(str(folder), factbook=folder)
    with pytest.raises(UnreadableDocument, match="not a regular file"):
        file.read()
