"""Checks the citations of an answer: only what stood in the prompt can be cited."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from chunking.document import Chunk

_GAP = r"\s{0,2}"
_DIGITS = 4
"""Markers are at least as wide as this; wider numbers are markers where the prompt has them."""
_WORDS = re.compile(r"`+|\n|[^`\n]+")
_FENCE = 3
"""So many backticks open code of several lines; fewer open code that ends with its line."""


@cache
def _patterns(digits: int) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what finds markers of so many digits, and the end of a text that may become one.

    A marker is like [3] or [1, 2]; the space before it belongs to it and goes when it goes. Both
    patterns are bounded, so that little text is held back.
    """
    numbers = rf"\d{{1,{digits}}}(?:{_GAP},{_GAP}\d{{1,{digits}}}){{0,15}}"
    whole = re.compile(rf"(\s?)\[({numbers})\]")
    begun = re.compile(rf"\s?(?:\[(?:{numbers})?(?:{_GAP},)?{_GAP})?\Z")
    return whole, begun


def _digits(highest: int) -> int:
    return max(_DIGITS, len(str(highest)))


@dataclass(frozen=True, slots=True)
class Citation:
    """A source that the answer cites, by the marker under which the prompt showed it."""

    marker: int
    chunk: str
    document: str
    title: str
    breadcrumb: str
    source: str
    start: int
    end: int
    text: str


class _Code:
    """Knows whether a text that comes in pieces stands between backticks.

    A backtick that follows a letter is an apostrophe, and code that is left open ends with its
    line unless three backticks opened it.
    """

    def __init__(self) -> None:
        self._open = 0
        self._run = 0
        self._last = ""

    def inside(self) -> bool:
        """Return whether what follows, which is no backtick, is code."""
        self._end_run()
        return self._open > 0

    def pass_over(self, text: str) -> None:
        """Go on behind the text."""
        for word in _WORDS.findall(text):
            if word[0] == "`":
                self._run += len(word)
                continue
            self._end_run()
            if word == "\n" and self._open < _FENCE:
                self._open = 0
            self._last = word[-1]

    def _end_run(self) -> None:
        run, self._run = self._run, 0
        if not run:
            return
        if not self._open:
            self._open = 0 if self._last.isalnum() else run
        elif run == self._open or run > self._open >= _FENCE:
            self._open = 0
        self._last = "`"


class CitationCheck:
    """Removes false citations from a text that comes in pieces, however the pieces cut a marker.

    A marker outside of the prompt's numbers is removed; `[1, 99]` becomes `[1]`. Between backticks
    nothing is removed: there, brackets are code. Text is held back only while it may still become
    a marker.

    Attributes:
        cited: the true markers so far.
        removed: how many false ones were removed so far.
    """

    def __init__(self, true: Collection[int], *, highest: int | None = None) -> None:
        """Check against the markers that the prompt showed.

        Args:
            true: the markers that may be cited.
            highest: the highest marker that any prompt of the answer showed, where that is not
                among them: what is as wide as it is a marker, too.
        """
        self._true = true
        known = max(true, default=0) if highest is None else highest
        self._whole, self._begun = _patterns(_digits(known))
        self._held = ""
        self._code = _Code()
        self.cited: set[int] = set()
        self.removed = 0

    def feed(self, piece: str) -> str:
        """Return what is decided after one more piece; it may be empty."""
        text = self._held + piece
        begun = self._begun.search(text)
        decided = len(text) if begun is None else begun.start()
        self._held = text[decided:]
        return self._decide(text[:decided])

    def finish(self) -> str:
        """Return what was held back, which no further piece can make a marker."""
        held, self._held = self._held, ""
        return self._decide(held)

    def _decide(self, text: str) -> str:
        shown: list[str] = []
        done = 0
        for match in self._whole.finditer(text):
            self._code.pass_over(text[done : match.end(1)])
            shown += text[done : match.start()], self._shown(match)
            self._code.pass_over(text[match.end(1) : match.end()])
            done = match.end()
        self._code.pass_over(text[done:])
        return "".join([*shown, text[done:]])

    def _shown(self, match: re.Match[str]) -> str:
        markers = [int(marker) for marker in match[2].split(",")]
        true = [marker for marker in markers if marker in self._true]
        self.cited.update(true)
        if len(true) == len(markers) or self._code.inside():
            return match[0]
        self.removed += len(markers) - len(true)
        return f"{match[1]}[{', '.join(map(str, true))}]" if true else ""


def check_citations(answer: str, kept: Sequence[Chunk]) -> tuple[str, tuple[Citation, ...], int]:
    """Return the answer without false citations, the true ones, and the number of false ones."""
    check = CitationCheck(range(1, len(kept) + 1))
    text = check.feed(answer) + check.finish()
    return text, cite(check.cited, kept), check.removed


def find_markers(text: str, markers: Collection[int]) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of every place where the text cites one of the markers."""
    whole, _ = _patterns(_digits(max(markers, default=0)))
    for match in whole.finditer(text):
        for marker in map(int, match[2].split(",")):
            if marker in markers:
                yield marker, match.end(1), match.end()


def cite(markers: Iterable[int], kept: Sequence[Chunk]) -> tuple[Citation, ...]:
    """Return the citations of these markers, each once and in order; `kept[n - 1]` has marker n."""
    return tuple(
        Citation(
            marker=marker,
            chunk=chunk.id,
            document=chunk.document,
            title=chunk.title,
            breadcrumb=chunk.breadcrumb,
            source=chunk.document,
            start=chunk.start,
            end=chunk.end,
            text=chunk.text,
        )
        for marker in sorted(set(markers))
        for chunk in (kept[marker - 1],)
    )
