"""Lists what a SOURCE holds: the Factbook, one file, or a folder of text, Markdown and JSON."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from chunking.document import Document
from chunking.errors import InputError, UnreadableDocument
from chunking.sections import field_sections, markdown_sections
from ingest.factbook import factbook_files
from ingest.records import record_fields
from ingest.texts import SourceFile, decode, read_bytes, read_json

FACTBOOK = "factbook"
PARSER = "file/1"
"""Changes with what a file becomes: stored documents are then read again."""

_MEDIA_TYPES = {
    ".txt": "text/plain",
    ".text": "text/plain",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".json": "application/json",
}


def list_source(source: str, *, factbook: Path) -> tuple[SourceFile, ...]:
    """Return the files of a source in a stable order; none is read yet.

    Args:
        source: `factbook`, or the path of a file or folder.
        factbook: the folder of the Factbook's files.

    Raises:
        InputError: there is no such file or folder, or the folder holds no file.
        ConfigurationError: the Factbook's files are not there.
    """
    if source == FACTBOOK:
        return factbook_files(factbook)
    path = Path(source)
    try:
        if path.is_dir():
            files = tuple(_folder_files(path.resolve()))
        elif path.exists():
            name = _printable(path.name)
            return (_source_file(path, name),)
        else:
            hint = "give `factbook`, a file or a folder"
            raise InputError(f"no source {source!r}", hint=hint, param="source")
    except OSError as error:
        raise InputError(f"source {source!r}: {error.strerror}", param="source") from error
    if not files:
        raise InputError(f"folder {source} holds no files", param="source")
    return files


def load_file(path: Path, *, name: str) -> bytes:
    """Return the bytes of one file of a supported type.

    Raises:
        UnreadableDocument: the type is not supported, or the file cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix not in _MEDIA_TYPES:
        raise UnreadableDocument(
            f"{name}: type {suffix or '(no suffix)'} is not supported",
            hint=f"supported: {', '.join(_MEDIA_TYPES)}",
            param=name,
        )
    return read_bytes(path, name=name)


def parse_file(data: bytes, *, path: Path, name: str) -> Document:
    """Return the document of the bytes of one file, as its suffix says.

    Raises:
        UnreadableDocument: the content is not what the suffix says.
    """
    media_type = _MEDIA_TYPES[path.suffix.lower()]
    if media_type == "application/json":
        return _json_document(data, path=path, name=name)
    text = decode(data, name=name)
    sections = markdown_sections(text) if media_type == "text/markdown" else ()
    first = next((section.path[0] for section in sections if section.path), None)
    return Document(
        id=name,
        text=text,
        title=first or _printable(path.stem),
        source=_printable(str(path.resolve())),
        media_type=media_type,
        sections=sections,
    )


def _json_document(data: bytes, *, path: Path, name: str) -> Document:
    value = read_json(data, name=name)
    stem = _printable(path.stem)
    record = value if isinstance(value, dict) else {stem: value}
    text, sections = field_sections(record_fields(record))
    if not text.strip():
        raise UnreadableDocument(f"{name}: no text in any field", param=name)
    named = (record.get(key) for key in ("title", "name"))
    titles = (" ".join(value.split()) for value in named if isinstance(value, str))
    return Document(
        id=name,
        text=text,
        title=next(filter(None, titles), stem),
        source=_printable(str(path.resolve())),
        media_type="application/json",
        sections=sections,
    )


def _folder_files(root: Path) -> Iterator[SourceFile]:
    """Yield the files below a folder in path order; hidden ones and linked folders are left out.

    A folder that cannot be listed stands as a file that cannot be read, so that it is reported.
    """
    failures: list[OSError] = []
    for folder, folders, files in os.walk(root, onerror=failures.append, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in sorted(name for name in files if not name.startswith(".")):
            path = Path(folder, file)
            name = _name_below(root, path)
            yield _source_file(path, name)
    for error in failures:
        name = _name_below(root, Path(error.filename))
        load = partial(_refuse, f"{name}: {error.strerror}", name=name)
        yield SourceFile(name, load, partial(parse_file, path=root, name=name), PARSER)


def _source_file(path: Path, name: str) -> SourceFile:
    load = partial(load_file, path, name=name)
    return SourceFile(name, load, partial(parse_file, path=path, name=name), PARSER)


def _refuse(message: str, *, name: str) -> bytes:
    raise UnreadableDocument(message, param=name)


def _name_below(root: Path, path: Path) -> str:
    return _printable(f"{root.name}/{path.relative_to(root).as_posix()}")


def _printable(name: str) -> str:
    r"""Return a file name with the bytes that are no UTF-8 spelled out, as in "caf\xe9.txt"."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
