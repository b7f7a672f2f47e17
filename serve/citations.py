"""Checks the citations of an answer: only what stood in the prompt can be cited."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from chunking.document import Chunk

_GAP = r"\s{0,2}"
_NUMBERS = rf"\d{{1,4}}(?:{_GAP},{_GAP}\d{{1,4}}){{0,15}}"
_MARKERS = re.compile(rf"(\s?)\[({_NUMBERS})\]")
"""A marker like [3] or [1, 2], with the space before it, which goes when the marker goes."""
_BEGUN = re.compile(rf"\s?(?:\[(?:{_NUMBERS})?(?:{_GAP},)?{_GAP})?\Z")
"""A text's end that more text could turn into a marker; bounded, as markers are."""


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


class CitationCheck:
    """Removes false citations from a text that comes in pieces, however the pieces cut a marker.

    A marker outside of the prompt's numbers is removed; `[1, 99]` becomes `[1]`. Text is held back
    only while it may still become a marker.

    Attributes:
        cited: the true markers so far.
        removed: how many false ones were removed so far.
    """

    def __init__(self, kept: Sequence[Chunk]) -> None:
        """Check against the kept chunks; `kept[n - 1]` has marker n."""
        self._highest = len(kept)
        self._held = ""
        self.cited: set[int] = set()
        self.removed = 0

    def feed(self, piece: str) -> str:
        """Return what is decided after one more piece; it may be empty."""
        text = self._held + piece
        begun = _BEGUN.search(text)
        decided = len(text) if begun is None else begun.start()
        self._held = text[decided:]
        return _MARKERS.sub(self._replace, text[:decided])

    def finish(self) -> str:
        """Return what was held back, which no further piece can make a marker."""
        held, self._held = self._held, ""
        return _MARKERS.sub(self._replace, held)

    def _replace(self, match: re.Match[str]) -> str:
        markers = [int(marker) for marker in match[2].split(",")]
        true = [marker for marker in markers if 1 <= marker <= self._highest]
        self.removed += len(markers) - len(true)
        self.cited.update(true)
        if len(true) == len(markers):
            return match[0]
        return f"{match[1]}[{', '.join(map(str, true))}]" if true else ""


def check_citations(answer: str, kept: Sequence[Chunk]) -> tuple[str, tuple[Citation, ...], int]:
    """Return the answer without false citations, the true ones, and the number of false ones."""
    check = CitationCheck(kept)
    text = check.feed(answer) + check.finish()
    return text, cite(check.cited, kept), check.removed


def find_markers(text: str, markers: Collection[int]) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of every place where the text cites one of the markers."""
    for match in _MARKERS.finditer(text):
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
