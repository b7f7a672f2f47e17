"""Finds the sections of a text: headings of Markdown, fields of a structured record."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from markdown_it import MarkdownIt

from chunking.document import Section

_MARKDOWN = MarkdownIt("commonmark").disable("inline")
"""Finds blocks alone: headings are blocks, and a million open brackets would take minutes."""
_LINE_END = re.compile(r"\r\n?|\n")
"""What CommonMark takes for the end of a line."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a structured record, ready to be read: where it stands, and its lines."""

    path: tuple[str, ...]
    lines: tuple[str, ...]


def markdown_sections(text: str) -> tuple[Section, ...]:
    """Return one section per heading, its heading line included; none for a text without headings.

    Headings are those CommonMark sees: `#` inside a code fence is none. Text before the first
    heading becomes a section with an empty path.
    """
    tokens = _MARKDOWN.parse(text)
    headings = [
        (token.map[0], int(token.tag[1:]), " ".join(tokens[position + 1].content.split()))
        for position, token in enumerate(tokens)
        if token.type == "heading_open" and token.map is not None and token.level == 0
    ]
    if not headings:
        return ()
    offsets = [0, *(match.end() for match in _LINE_END.finditer(text))]
    starts = [offsets[line] for line, _, _ in headings]
    sections = [Section((), 0, starts[0])] if text[: starts[0]].strip() else []
    stack: list[tuple[int, str]] = []
    ends = [*starts[1:], len(text)]
    for (_, level, title), start, end in zip(headings, starts, ends, strict=True):
        stack = [entry for entry in stack if entry[0] < level]
        stack.append((level, title))
        sections.append(Section(tuple(name for _, name in stack if name), start, end))
    return tuple(sections)


def field_sections(fields: Iterable[Field]) -> tuple[str, tuple[Section, ...]]:
    """Return the text of a structured record and one section per field.

    The outermost heading of a run of fields stands on a line of its own, outside every section:
    a chunk has it in its breadcrumb. Fields without a heading follow each other.
    """
    parts: list[str] = []
    sections: list[Section] = []
    length = 0
    for path, run in groupby(fields, key=lambda field: field.path[:1]):
        heading = f"{path[0]}\n" if path else ""
        parts.append(heading)
        length += len(heading)
        for field in run:
            body = "\n".join(field.lines)
            sections.append(Section(field.path, length, length + len(body)))
            parts.append(f"{body}\n")
            length += len(body) + 1
        parts.append("\n")
        length += 1
    return "".join(parts), tuple(sections)
