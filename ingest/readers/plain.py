"""Reads what needs no library: text, Markdown, JSON and CSV."""

from __future__ import annotations

import re
from pathlib import Path

from chunking.document import Section
from chunking.errors import UnreadableDocument
from chunking.programs import python_sections
from chunking.sections import field_sections, markdown_sections, wiki_sections
from ingest.readers.dates import iso_date
from ingest.readers.front_matter import find_front_matter
from ingest.readers.manuscript import Reading
from ingest.readers.tables import read_table
from ingest.records import record_fields
from ingest.texts import decode, read_json

_PYTHON = (".py", ".pyi")


def read_text(data: bytes, *, name: str) -> Reading:
    """Return the reading of a plain text; headings are those that wikis have.

    Raises:
        UnreadableDocument: the bytes are no text.
    """
    return _read_wiki(decode(data, name=name))


def read_markdown(data: bytes, *, name: str) -> Reading:
    """Return the reading of a Markdown text; front matter may state its title and date.

    A text without Markdown's headings may have those of a wiki.

    Raises:
        UnreadableDocument: the bytes are no text.
    """
    text = decode(data, name=name)
    front = find_front_matter(text)
    if front is None:
        sections = markdown_sections(text)
        return Reading(text, sections, _first_heading(sections)) if sections else _read_wiki(text)
    # To CommonMark, the line that closes front matter would make a heading of it.
    blank = re.sub(r"[^\n]", " ", front.whole)
    sections = markdown_sections(blank + text[len(blank) :])
    if sections:
        ends = sections[0].start if sections[0].path else sections[0].end
        rest = sections if sections[0].path else sections[1:]
        sections = (Section((), 0, ends), *rest)
    stated = front.stated()
    title = stated.get("title") or _first_heading(sections)
    return Reading(text, sections, title, iso_date(stated.get("date", "")))


def read_code(data: bytes, *, name: str) -> Reading:
    """Return the reading of a program, titled by its file; definitions of Python are sections.

    Raises:
        UnreadableDocument: the bytes are no text.
    """
    text = decode(data, name=name)
    python = Path(name).suffix.lower() in _PYTHON
    return Reading(text, python_sections(text) if python else (), Path(name).name)


def read_csv(data: bytes, *, name: str) -> Reading:
    """Return the reading of a CSV file.

    Raises:
        UnreadableDocument: the bytes are no text, or no cell holds any.
    """
    reading = read_table(decode(data, name=name))
    if not reading.text.strip():
        raise UnreadableDocument(f"{name}: no text in any cell", param=name)
    return reading


def read_json_file(data: bytes, *, name: str) -> Reading:
    """Return the reading of a JSON file: of its object, or of its value under the file's name.

    Raises:
        UnreadableDocument: the bytes are no JSON, or no field holds text.
    """
    value = read_json(data, name=name)
    return read_record(value if isinstance(value, dict) else {Path(name).stem: value}, name=name)


def read_record(record: dict[str, object], *, name: str) -> Reading:
    """Return the reading of a JSON object: a section per field, titled by a name inside.

    Raises:
        UnreadableDocument: no field holds text.
    """
    text, sections = field_sections(record_fields(record))
    if not text.strip():
        raise UnreadableDocument(f"{name}: no text in any field", param=name)
    named = (record.get(key) for key in ("title", "name"))
    titles = (" ".join(value.split()) for value in named if isinstance(value, str))
    date = record.get("date")
    stated = iso_date(date) if isinstance(date, str) else None
    return Reading(text, sections, next(filter(None, titles), ""), stated)


def _read_wiki(text: str) -> Reading:
    """Return the reading of a text, titled by its outermost heading if it has just one."""
    sections = wiki_sections(text)
    outermost = {section.path[0] for section in sections if section.path}
    return Reading(text, sections, outermost.pop() if len(outermost) == 1 else "")


def _first_heading(sections: tuple[Section, ...]) -> str:
    return next((section.path[0] for section in sections if section.path), "")
