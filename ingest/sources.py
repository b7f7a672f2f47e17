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
    if path.is_dir():
        root = path.resolve()
        files = tuple(
            SourceFile(name, partial(read_file, file, name=name))
            for file in _walk(root)
            for name in (f"{root.name}/{file.relative_to(root).as_posix()}",)
        )
        if not files:
            raise InputError(f"folder {source} holds no files", param="source")
        return files
    if path.exists():
        return (SourceFile(path.name, partial(read_file, path, name=path.name)),)
    raise InputError(
        f"no source {source!r}", hint="give `factbook`, a file or a folder", param="source"
    )


def read_file(path: Path, *, name: str) -> Document:
    """Return the document of one file, read by its suffix.

    Raises:
        UnreadableDocument: the type is not supported, or the content is not what the suffix says.
    """
    suffix = path.suffix.lower()
    media_type = _MEDIA_TYPES.get(suffix)
    if media_type is None:
        raise UnreadableDocument(
            f"{name}: type {suffix or '(no suffix)'} is not supported",
            hint=f"supported: {', '.join(_MEDIA_TYPES)}",
            param=name,
        )
    data = read_bytes(path, name=name)
    if media_type == "application/json":
        return _json_document(data, path=path, name=name)
    text = decode(data, name=name)
    sections = markdown_sections(text) if media_type == "text/markdown" else ()
    first = next((section.path[0] for section in sections if section.path), None)
    return Document(
        id=name,
        text=text,
        title=first or path.stem,
        source=name,
        media_type=media_type,
        sections=sections,
    )


def _json_document(data: bytes, *, path: Path, name: str) -> Document:
    value = read_json(data, name=name)
    record = value if isinstance(value, dict) else {path.stem: value}
    text, sections = field_sections(record_fields(record))
    if not text.strip():
        raise UnreadableDocument(f"{name}: no text in any field", param=name)
    title = next((str(record[key]) for key in ("title", "name") if record.get(key)), path.stem)
    return Document(
        id=name,
        text=text,
        title=title,
        source=name,
        media_type="application/json",
        sections=sections,
    )


def _walk(root: Path) -> Iterator[Path]:
    """Yield the files under a folder in path order; hidden ones and linked folders are left out."""
    for folder, folders, files in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(files) if not name.startswith("."))
