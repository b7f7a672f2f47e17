"""Reads JSONL: one document a line, one line at a time, from a file or standard input."""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chunking.aliases import find_aliases
from chunking.document import Document
from chunking.errors import DocumentChanged, UnreadableDocument, UnreadableLabel
from chunking.sensitivity import Sensitivity
from ingest.files import IN_PLACE_LIMIT_BYTES, printable_name, refused_file
from ingest.formats import HTML, JSON_LINES, MARKDOWN, TEXT, check_content
from ingest.readers.dates import iso_date
from ingest.readers.manuscript import Reading
from ingest.readers.plain import read_markdown, read_record
from ingest.readers.sandbox import Sandbox
from ingest.stated import markdown_label, record_label, states_label
from ingest.texts import SourceFile, check_length, open_regular, read_json, same_state

STANDARD_INPUT = "-"
LINE_LIMIT_BYTES = 16 * 1024 * 1024
"""A line is one document: three times the complete World Factbook."""
_PIECE_BYTES = 1024 * 1024


class _Line(BaseModel):
    """What a line may state about its document; other keys are data about it and are not read."""

    model_config = ConfigDict(strict=True, extra="ignore", str_strip_whitespace=True)

    text: str | None = None
    title: str = ""
    source: str = ""
    date: str | None = None
    media_type: str = TEXT.media_type


class _Named(BaseModel):
    """The id that a line gives its document."""

    model_config = ConfigDict(extra="ignore")

    id: str | int | None = Field(None, union_mode="left_to_right")
    underscored: str | int | None = Field(None, alias="_id", union_mode="left_to_right")


_NOT_TEXT = frozenset({"id", "_id"})
"""Fields of a line without `text` that are no part of what is read, beside its label."""


ID_LIMIT = 512
"""Characters of an id: more than any path, less than a text put there by mistake."""


def file_lines(path: Path, *, name: str, sandbox: Sandbox) -> Iterator[SourceFile]:
    """Yield the documents of a JSONL file while it is read.

    Documents are named by their own `id`, else `NAME#LINE`. A file that changes meanwhile ends with
    a source file that says so.
    """
    try:
        descriptor = open_regular(path, name=name)
    except UnreadableDocument as error:
        yield refused_file(name, error, hides_others=True)
        return
    source = printable_name(os.path.realpath(path))
    with os.fdopen(descriptor, "rb") as stream:
        before = os.fstat(descriptor)
        yield from stream_lines(stream, name=name, source=source, sandbox=sandbox)
        if not same_state(before, path):
            changed = DocumentChanged(f"{name}: changed while it was read", param=name)
            yield refused_file(name, changed, hides_others=True)


def stream_lines(
    stream: BinaryIO, *, name: str, source: str, sandbox: Sandbox
) -> Iterator[SourceFile]:
    """Yield the documents of a stream of JSON objects, one a line; blank lines count as lines."""
    taken: set[int] = set()
    number = 0
    while line := stream.readline(LINE_LIMIT_BYTES + 1):
        number += 1
        place = f"{name}#{number}"
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
            try:
                check_content(line or b"\n", JSON_LINES, name=name)
                line.decode()
            except (UnreadableDocument, UnicodeDecodeError) as error:
                yield refused_file(name, _no_lines(name, error), hides_others=True)
                return
        if len(line) > LINE_LIMIT_BYTES:
            _skip_line(stream)
            reason = f"{place}: line above {LINE_LIMIT_BYTES:,} bytes"
            too_long = UnreadableDocument(reason, param=place)
            yield refused_file(place, too_long, hides_others=True)
        elif line.strip():
            found = _named_line(line, place, f"{source}#{number}", taken, sandbox)
            yield replace(found, inside=name)


def _no_lines(name: str, error: Exception) -> UnreadableDocument:
    """Return why a file whose first line is no text holds no JSON lines at all."""
    if isinstance(error, UnreadableDocument):
        return error
    reason = f"{name}: no JSON lines in UTF-8"
    return UnreadableDocument(reason, hint="convert the file to UTF-8", param=name)


def _skip_line(stream: BinaryIO) -> None:
    while (piece := stream.readline(_PIECE_BYTES)) and not piece.endswith(b"\n"):
        continue


def _named_line(
    line: bytes, place: str, source: str, taken: set[int], sandbox: Sandbox
) -> SourceFile:
    """Return the source file of a line, refused where its id is no id or taken by another line."""
    try:
        head = _head(line)
        name = _id_of(head, place)
    except UnreadableDocument as error:
        return refused_file(place, error, hides_others=True)
    if hash(name) in taken:
        reason = f"{place}: its id is that of a line before"
        hint = "give each line an id of its own"
        return refused_file(place, UnreadableDocument(reason, hint=hint, param=place))
    taken.add(hash(name))
    try:
        stated = _label_of(head)
    except UnreadableLabel as error:
        unreadable = UnreadableLabel(f"{place}: {error.message}", hint=error.hint, param=place)
        return refused_file(name, unreadable)
    parse = partial(_document, name=name, place=place, source=source, sandbox=sandbox)
    parser = f"{JSON_LINES.parser} {HTML.parser}"
    return SourceFile(name, partial(bytes, line), parse, parser, stated=stated)


def _label_of(head: Mapping[str, Any]) -> Sensitivity | None:
    """Return the highest label that a line states, in the front matter of its Markdown, too."""
    text, media_type = head.get("text"), head.get("media_type")
    labels = [record_label(head)]
    if isinstance(text, str) and str(media_type).strip() == MARKDOWN.media_type:
        labels.append(markdown_label(text.encode("utf-8", "replace")))
    return max((label for label in labels if label is not None), default=None)


def _head(line: bytes) -> Mapping[str, Any]:
    """Return the object of a line; an empty one where it is none."""
    twice = line.count(b'"sensitivity"') > 1
    try:
        value = json.loads(line, object_pairs_hook=_with_all_labels if twice else None)
    except (ValueError, RecursionError):
        # What is wrong with the line is told when it is parsed.
        return {}
    return value if isinstance(value, dict) else {}


def _with_all_labels(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of JSON's pairs; where it states a label twice, both, which are none."""
    labels = [value for key, value in pairs if key == "sensitivity"]
    return dict(pairs) | ({"sensitivity": labels} if len(labels) > 1 else {})


def _id_of(head: Mapping[str, Any], place: str) -> str:
    """Return the id of a line's document."""
    try:
        named = _Named.model_validate(head)
    except ValidationError:
        return place
    found = named.id if named.id is not None else named.underscored
    name = str(place if found is None else found)
    if not name.strip() or len(name) > ID_LIMIT or not name.isprintable():
        reason = f"{place}: an id is 1 to {ID_LIMIT} printable characters"
        raise UnreadableDocument(reason, hint="give the line another id", param=place)
    return name


def _document(data: bytes, *, name: str, place: str, source: str, sandbox: Sandbox) -> Document:
    """Return the document of a line; an object without `text` is read field by field."""
    value = read_json(data, name=place)
    if not isinstance(value, dict):
        raise UnreadableDocument(f"{place}: not a JSON object", param=place)
    try:
        line = _Line.model_validate(value)
    except ValidationError as error:
        field = ".".join(map(str, error.errors()[0]["loc"]))
        reason = f"{place}: {field!r} is not a string"
        raise UnreadableDocument(reason, param=place) from error
    if line.text is None:
        left_out = _NOT_TEXT | set(filter(states_label, value))
        fields = {key: inner for key, inner in value.items() if key not in left_out}
        reading = read_record(fields, name=place)
    else:
        reading = _read(line.text, line.media_type, place, sandbox)
    check_length(reading.text, name=place)
    title = " ".join(line.title.split()) or reading.title or name
    return Document(
        id=name,
        text=reading.text,
        title=title,
        source=line.source or source,
        media_type=line.media_type if line.text is not None else JSON_LINES.media_type,
        sections=reading.sections,
        aliases=find_aliases(title, reading.text),
        date=iso_date(line.date or "") or reading.date,
    )


def _read(text: str, media_type: str, place: str, sandbox: Sandbox) -> Reading:
    if not text.strip():
        raise UnreadableDocument(f"{place}: empty text", param=place)
    data = text.encode("utf-8", "replace")
    if media_type == MARKDOWN.media_type and len(data) <= IN_PLACE_LIMIT_BYTES:
        return read_markdown(data, name=place)
    for form in (MARKDOWN, HTML):
        if media_type == form.media_type:
            return sandbox.read(form.reader, data, name=place)
    if media_type == TEXT.media_type:
        return Reading(text.replace("\r\n", "\n").replace("\r", "\n"))
    raise UnreadableDocument(
        f"{place}: media type {media_type!r} cannot stand in a line",
        hint=f"use {TEXT.media_type}, {MARKDOWN.media_type} or {HTML.media_type}",
        param=place,
    )
