"""Tells which lines of a text belong together: paragraphs, parts of programs, rows of a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from chunking.cuts import Span, line_spans

_FENCE = re.compile(r"`{3,}(?=[^`]*\Z)|~{3,}")
"""Opens a program in Markdown; one of backticks has none behind it in its line."""
_NEVER_CLOSED = "\0"
"""The fence of a text that is a program from its beginning to its end."""
_UNDERLINE = re.compile(r"\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?")
"""What Markdown has below the names of columns."""
_PIPE = re.compile(r"(?<!\\)\|")
_HEADER_LINES = 2
"""The names of columns and what underlines them."""
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")


class Line(NamedTuple):
    """A visible line of a text, without outer white space.

    Attributes:
        block: ordinal of the block it stands in: a paragraph, a table, a definition of a program.
        part: ordinal of the lines around it that no blank line parts.
        columns: names of the columns, "Country | Area", for a row of a table below its names.
    """

    start: int
    end: int
    block: int = 0
    part: int = 0
    columns: str = ""


def lines_of(text: str, start: int, end: int, *, program: bool = False) -> Sequence[Line]:
    """Return the visible lines between two places, and what each belongs to.

    Blocks are parted by blank lines; those of a program, fenced or the whole text, only by blank
    lines before a line that is not indented. A table is one whose names are underlined, as in
    Markdown.
    """
    spans = list(line_spans(text, start, end))
    if "|" not in text[start:end] and not _BLANK_LINE.search(text, start, end):
        return [Line(begin, stop) for begin, stop in spans]
    return list(_told_apart(text, spans, _NEVER_CLOSED if program else ""))


def _told_apart(text: str, spans: Sequence[Span], fence: str) -> Iterator[Line]:
    block = part = names_left = 0
    table = ""
    for at, (start, end) in enumerate(spans):
        line = text[start:end]
        gap = text[spans[at - 1][1] : start] if at else ""
        parted = gap.count("\n") > 1
        ended = bool(table) and (parted or "|" not in line)
        begun = "" if fence or (table and not ended) else _column_names(text, spans[at : at + 2])
        if ended or begun:
            table, names_left = begun, _HEADER_LINES
        if parted or ended or (begun and at):
            part += 1
            block += not (fence and not gap.endswith("\n"))
        yield Line(start, end, block, part, "" if names_left else table)
        names_left = max(names_left - 1, 0)
        fence = _fence_after(line, fence)


def _fence_after(line: str, fence: str) -> str:
    """Return what closes the program that is open behind a line; empty where none is open."""
    if fence:
        return "" if line.startswith(fence) and not line.strip(fence[0]) else fence
    opened = _FENCE.match(line)
    return opened[0] if opened else ""


def _column_names(text: str, spans: Sequence[Span]) -> str:
    """Return the names of the table that begins with these two lines; empty where none does."""
    if len(spans) < _HEADER_LINES:
        return ""
    (start, end), (below, stop) = spans
    header, underline = text[start:end], text[below:stop]
    if (
        "|" not in header
        or "-" not in underline
        or text.count("\n", end, below) != 1
        or not _UNDERLINE.fullmatch(underline)
    ):
        return ""
    cells = _cells(header)
    return " | ".join(filter(None, cells)) if len(cells) == len(_cells(underline)) else ""


def _cells(line: str) -> list[str]:
    inner = line.removeprefix("|")
    if inner.endswith("|") and not inner.endswith("\\|"):
        inner = inner[:-1]
    return [" ".join(cell.split()) for cell in _PIPE.split(inner)]
