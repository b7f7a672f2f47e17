"""What a SOURCE holds: which files are taken, and what each of them becomes."""

from __future__ import annotations

import io
import json
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from chunking.errors import ConfigurationError, InputError, UnreadableDocument
from ingest.sources import list_source
from tests.written_files import docx, paragraph


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "notes"
    root.mkdir()
    return root


def names(source: Path | str) -> list[str]:
    return [file.name for file in list_source(str(source), factbook=Path("missing"))]


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


def test_no_child_starts_before_a_file_needs_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a child started")

    monkeypatch.setattr("ingest.readers.sandbox.subprocess.Popen", refuse)
    for name in ("a.txt", "b.md", "c.json", "d.csv", "e.jsonl"):
        put(folder, name, '{"text": "x"}')
    assert len([file.read() for file in list_source(str(folder), factbook=folder)]) == 5
    put(folder, "f.pdf", b"%PDF-1.4")
    *_, last = list_source(str(folder), factbook=folder)
    with pytest.raises(AssertionError, match="a child started"):
        last.read()


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


def test_the_names_of_files_hold_no_line_breaks(folder: Path) -> None:
    put(folder, "a\nb\x1b[31m.txt")
    assert names(folder) == ["notes/a\\x0ab\\x1b[31m.txt"]


# --- globs


@pytest.fixture
def tree(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a.md", "b.txt", "sub/c.md", "sub/deep/d.md", ".hidden/e.md", "sub/x[1].md"):
        put(folder, name)
    (folder / "loop").symlink_to(folder)
    monkeypatch.chdir(folder.parent)
    return folder


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("notes/*.md", "a.md"),
        ("notes/**/*.md", "a.md sub/c.md sub/x[1].md sub/deep/d.md"),
        ("notes/sub/**/d.*", "deep/d.md"),
        ("notes/*/*.md", "sub/c.md sub/x[1].md"),
        ("notes/**", "a.md b.txt sub/c.md sub/x[1].md sub/deep/d.md"),
        ("notes/[ab].*", "a.md b.txt"),
        ("notes/[!a].*", "b.txt"),
        ("notes/?.txt", "b.txt"),
        ("notes/sub/x[[]1].md", "x[1].md"),
        ("./notes/../notes/*.txt", "b.txt"),
    ],
)
def test_a_glob_gives_what_it_matches_by_path(tree: Path, pattern: str, found: str) -> None:
    root = "sub" if pattern.startswith("notes/sub/") else "notes"
    assert names(pattern) == [f"{root}/{name}" for name in found.split()]
    assert names(str(tree.parent / pattern)) == names(pattern)


def test_a_name_that_looks_like_a_glob_is_a_name_where_it_exists(tree: Path) -> None:
    assert names("notes/sub/x[1].md") == ["x[1].md"]


@pytest.mark.parametrize("pattern", ["notes/*.pdf", "nowhere/**", "notes/[z-a].md"])
def test_a_glob_that_matches_nothing_is_refused(tree: Path, pattern: str) -> None:
    with pytest.raises(InputError, match=r"source|matches") as caught:
        names(pattern)
    assert caught.value.param == "source"


# --- streams


def test_a_folder_with_json_lines_gives_their_documents_in_place(folder: Path) -> None:
    put(folder, "a.txt")
    put(folder, "b.jsonl", '{"text": "one"}\n{"id": "two", "text": "x"}\n')
    put(folder, "c.txt")
    assert names(folder) == ["notes/a.txt", "notes/b.jsonl#1", "two", "notes/c.txt"]


def test_lines_of_a_corpus_are_read_as_they_are_asked_for(folder: Path) -> None:
    path = put(folder, "a.jsonl", b"")
    with path.open("w") as stream:
        stream.writelines(f'{{"text": "{"x" * 1000} {number}"}}\n' for number in range(4_000))
    files = iter(list_source(str(path), factbook=folder))
    tracemalloc.start()
    first = [next(files).read() for _ in range(10)]
    rest = sum(1 for _ in files)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert first[9].id == "a.jsonl#10"
    assert rest == 3_990
    assert peak < 2_000_000


def test_standard_input_is_read_line_by_line() -> None:
    lines = b'{"id": "a", "text": "one"}\n\n{"text": "two"}\n'
    files = list_source("-", factbook=Path("missing"), standard_input=io.BytesIO(lines))
    assert [(file.name, file.read().source) for file in files] == [
        ("a", "stdin#1"),
        ("stdin#3", "stdin#3"),
    ]


# --- files that cannot be read


def test_every_file_is_read_or_refused_with_its_name_and_a_way_out(folder: Path) -> None:
    put(folder, "sound.docx", docx(paragraph("text")))
    put(folder, "empty.pdf", b"")
    put(folder, "renamed.pdf", docx(paragraph("text")))
    put(folder, "renamed.txt", b"%PDF-1.7")
    put(folder, "binary.md", b"\x00\x01")
    put(folder, "broken.docx", docx(paragraph("text"))[:-30])
    put(folder, "latin.csv", b"caf\xe9,b\n")
    put(folder, "half.txt", b"\xff\xfea")
    put(folder, "picture.png", b"\x89PNG")
    put(folder, "old.doc", b"\xd0\xcf\x11\xe0")
    put(folder, "lines.jsonl", b"\x89PNG\n\n\n")
    (folder / "dangling.txt").symlink_to(folder / "nowhere")
    (folder / "loop.txt").symlink_to(folder / "loop.txt")
    os.mkfifo(folder / "pipe.pdf")
    reasons: dict[str, str] = {}
    for file in list_source(str(folder), factbook=folder):
        if file.name == "notes/sound.docx":
            assert file.read().text == "text\n\n"
            continue
        with pytest.raises(UnreadableDocument) as caught:
            file.read()
        assert caught.value.message.startswith(f"{file.name}: ")
        assert caught.value.hint
        reasons[file.name.removeprefix("notes/")] = caught.value.message.partition(": ")[2]
    assert reasons == {
        "binary.md": "binary (NUL byte at offset 0)",
        "broken.docx": "no valid zip file inside",
        "dangling.txt": "No such file or directory",
        "empty.pdf": "empty",
        "half.txt": "invalid utf-16-le at byte 2",
        "latin.csv": "invalid utf-8 at byte 3",
        "lines.jsonl": "jsonl by its suffix, PNG by its content",
        "loop.txt": "Too many levels of symbolic links",
        "old.doc": "type .doc is not supported",
        "picture.png": "type .png is not supported",
        "pipe.pdf": "not a regular file",
        "renamed.pdf": "pdf by its suffix, zip by its content",
        "renamed.txt": "text by its suffix, PDF by its content",
    }
