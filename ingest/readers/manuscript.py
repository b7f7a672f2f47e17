"""Writes Markdown-like text out of headings, paragraphs and lines, and notes its sections."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chunking.document import Section
from chunking.sections import HEADING_LIMIT

_DEEPEST = 6
"""Levels of headings that Markdown has."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader got out of the bytes of one file.

    Attributes:
        text: Markdown-like text.
        sections: spans of the text below its headings.
        title: what the file calls itself; empty where it says nothing.
        date: ISO 8601 date or date-time that the file states, if any.
    """

    text: str
    sections: tuple[Section, ...] = ()
    title: str = ""
    date: str | None = None


class Manuscript:
    """A text in the making, whose headings are known and need not be parsed again.

    A line of a PDF that begins with `#` is no heading, so the sections of a reading come from the
    calls made here, never from the text.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._headings: list[tuple[int, int, str]] = []
        self._apart = True

    def heading(self, level: int, text: str) -> None:
        """Begin a section; a blank heading begins none."""
        text = " ".join(text.split())
        if not text:
            return
        if len(text) > HEADING_LIMIT:
            self.paragraph(text)
            return
        level = min(max(level, 1), _DEEPEST)
        self.end_block()
        self._headings.append((self._length, level, text))
        self._write(f"{'#' * level} {text}\n\n")
        self._apart = True

    def paragraph(self, text: str) -> None:
        """Add a text with a blank line before and behind it."""
        self.end_block()
        self.line(text)
        self.end_block()

    def line(self, text: str) -> None:
        """Add a line to the block that is open; a blank text adds none."""
        text = text.rstrip()
        if not text.strip():
            return
        self._write(f"{text}\n")
        self._apart = False

    def lines(self, texts: Iterable[str]) -> None:
        """Add lines as a block of their own."""
        self.end_block()
        for text in texts:
            self.line(text)
        self.end_block()

    def end_block(self) -> None:
        """Part what follows from what stands here by a blank line."""
        if not self._apart:
            self._write("\n")
            self._apart = True

    @property
    def length(self) -> int:
        """Characters written so far."""
        return self._length

    def reading(self, *, title: str = "", date: str | None = None) -> Reading:
        """Return what was written; the first of the highest headings stands in for a title."""
        text = "".join(self._parts)
        highest = min((level for _, level, _ in self._headings), default=0)
        first = next((name for _, level, name in self._headings if level == highest), "")
        return Reading(text, self._sections(text), " ".join(title.split()) or first, date)

    def _write(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)

    def _sections(self, text: str) -> tuple[Section, ...]:
        if not self._headings:
            return ()
        first = self._headings[0][0]
        sections = [Section((), 0, first)] if text[:first].strip() else []
        ends = [*(start for start, _, _ in self._headings[1:]), len(text)]
        stack: list[tuple[int, str]] = []
        for (start, level, name), end in zip(self._headings, ends, strict=True):
            stack = [*(entry for entry in stack if entry[0] < level), (level, name)]
            sections.append(Section(tuple(above for _, above in stack), start, end))
        return tuple(sections)
