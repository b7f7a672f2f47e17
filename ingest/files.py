"""Turns one file into a document: text, Markdown, JSON and CSV here, others in a child process."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn, Protocol

from chunking.aliases import find_aliases
from chunking.document import Document
from chunking.errors import UnreadableDocument, UnreadableLabel
from chunking.sensitivity import Sensitivity
from ingest.formats import CSV, JSON, MARKDOWN, TEXT, Format, check_content, format_of
from ingest.readers.manuscript import Reading
from ingest.readers.plain import read_csv, read_json_file, read_markdown, read_text
from ingest.readers.sandbox import Sandbox
from ingest.stated import json_label, markdown_label
from ingest.texts import SourceFile, check_length, read_bytes, states_nothing

IN_PLACE_LIMIT_BYTES = 1024 * 1024
"""Larger files are read in the child, too: Markdown of a million headings takes a minute, and JSON
ten times its size in memory."""


def source_file(path: Path, *, name: str, sandbox: Sandbox) -> SourceFile:
    """Return the source file of a path; what cannot be read says so when it is loaded."""
    source = printable_name(os.path.realpath(path))
    try:
        form = format_of(path.suffix, name=name)
    except UnreadableDocument as error:
        return refused_file(name, error)
    return SourceFile(
        name,
        load=partial(read_bytes, path, name=name),
        parse=partial(_document, form=form, name=name, source=source, sandbox=sandbox),
        parser=form.parser,
        states=partial(_stated, read=_LABELS[form], name=name)
        if form in _LABELS
        else states_nothing,
    )


def refused_file(
    name: str,
    error: UnreadableDocument,
    *,
    hides_others: bool = False,
) -> SourceFile:
    """Return the source file of what cannot be read; `load` raises the error.

    Args:
        hides_others: see `SourceFile`.
    """
    refuse = partial(_refuse, error)
    return SourceFile(name, refuse, refuse, "none/1", hides_others=hides_others)


def _stated(
    data: bytes, *, read: Callable[[bytes], Sensitivity | None], name: str
) -> Sensitivity | None:
    try:
        return read(data)
    except UnreadableLabel as error:
        raise UnreadableLabel(f"{name}: {error.message}", hint=error.hint, param=name) from error


def _refuse(error: UnreadableDocument, data: bytes = b"") -> NoReturn:
    del data
    raise error


def printable_name(name: str) -> str:
    r"""Return a file name with bytes that are no UTF-8, and control characters, spelled out."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\x{ord(match[0]):02x}", text)


def _document(data: bytes, *, form: Format, name: str, source: str, sandbox: Sandbox) -> Document:
    check_content(data, form, name=name)
    reading = _read(data, form, name, sandbox)
    check_length(reading.text, name=name)
    stem = Path(name).stem
    title = reading.title or stem
    return Document(
        id=name,
        text=reading.text,
        title=title,
        source=source,
        media_type=form.media_type,
        sections=reading.sections,
        aliases=find_aliases(title, reading.text),
        date=reading.date,
    )


def _read(data: bytes, form: Format, name: str, sandbox: Sandbox) -> Reading:
    read = _IN_PLACE.get(form)
    if read is not None and (len(data) <= IN_PLACE_LIMIT_BYTES or not form.reader):
        return read(data, name=name)
    return sandbox.read(form.reader, data, name=name)


class _Read(Protocol):
    def __call__(self, data: bytes, *, name: str) -> Reading: ...


_IN_PLACE: dict[Format, _Read] = {
    TEXT: read_text,
    MARKDOWN: read_markdown,
    JSON: read_json_file,
    CSV: read_csv,
}

_LABELS: dict[Format, Callable[[bytes], Sensitivity | None]] = {
    MARKDOWN: markdown_label,
    JSON: partial(json_label, size_limit_bytes=IN_PLACE_LIMIT_BYTES),
}
"""How formats are read that may state the label of their document."""
