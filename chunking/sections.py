"""Finds the sections of a text: headings of Markdown or a wiki, fields of a structured record."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from chunking.cuts import line_starts
from chunking.document import Section

_MARKDOWN = MarkdownIt("commonmark").disable("inline")
"""Finds blocks alone: headings are blocks, and a million open brackets would take minutes."""
_WIKI_HEADING = re.compile(
    r"^[ \t]*(=(?: ?=){0,5})[ \t]+([^\s=](?:[^\n]*[^\s=])?)[ \t]+\1[ \t]*$", re.MULTILINE
)
"""Marks around a line, parted from it by spaces: `==x==` is as often a comparison."""
HEADING_LIMIT = 300
"""Characters above which a heading is a paragraph in a heading's clothes."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a structured record, ready to be read: where it stands, and its lines."""

    path: tuple[str, ...]
    lines: tuple[str, ...]


def markdown_sections(text: str) -> tuple[Section, ...]:
    """Return one section per heading, its heading line included; none for a text without headings.

    Headings are those CommonMark sees: `#` inside a code fence is none. An underlined one above
    `HEADING_LIMIT` characters is none either, but a paragraph that a line of marks happens to
    follow. Text before the first heading becomes a section with an empty path.
    """
    headings = [
        (token.map[0], int(token.tag[1:]), " ".join(content.split()))
        for token, content in _headings(_MARKDOWN.parse(text))
        if token.map is not None and (token.markup[0] == "#" or len(content) <= HEADING_LIMIT)
    ]
    if not headings:
        return ()
    starts = line_starts(text)
    return _below([(starts[line], level, title) for line, level, title in headings], text)


def _headings(tokens: Sequence[Token]) -> Iterator[tuple[Token, str]]:
    """Yield the headings that stand in no quote or list, and what they say."""
    for token, inline in pairwise(tokens):
        if token.type == "heading_open" and token.level == 0:
            yield token, inline.content


def wiki_sections(text: str) -> tuple[Section, ...]:
    """Return one section per heading as wikis write it; none for a text without such headings.

    `== History ==` is one of the second level, and so is `= = History = =`, as in data sets whose
    marks are parted by spaces. Sections are laid out as by `markdown_sections`.
    """
    headings = [
        (match.start(), match[1].count("="), " ".join(match[2].split()))
        for match in _WIKI_HEADING.finditer(text)
        if len(match[2]) <= HEADING_LIMIT
    ]
    return _below(headings, text)


def _below(headings: Sequence[tuple[int, int, str]], text: str) -> tuple[Section, ...]:
    """Return the sections below headings: where each begins, its level and itself."""
    if not headings:
        return ()
    first = headings[0][0]
    sections = [Section((), 0, first)] if text[:first].strip() else []
    stack: list[tuple[int, str]] = []
    ends = [*(start for start, _, _ in headings[1:]), len(text)]
    for (start, level, title), end in zip(headings, ends, strict=True):
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
