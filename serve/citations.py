"""Checks the citations of an answer: only what stood in the prompt can be cited."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chunking.document import Chunk

_MARKERS = re.compile(r"(\s?)\[(\d{1,4}(?:\s*,\s*\d{1,4})*)\]")


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


def check_citations(answer: str, kept: Sequence[Chunk]) -> tuple[str, tuple[Citation, ...], int]:
    """Return the answer without false citations, the true ones, and the number of false ones.

    A marker outside of the prompt's numbers is removed from the text; `[1, 99]` becomes `[1]`.
    """
    cited: set[int] = set()
    removed = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal removed
        markers = [int(marker) for marker in match[2].split(",")]
        true = [marker for marker in markers if 1 <= marker <= len(kept)]
        removed += len(markers) - len(true)
        cited.update(true)
        if len(true) == len(markers):
            return match[0]
        return f"{match[1]}[{', '.join(map(str, true))}]" if true else ""

    text = _MARKERS.sub(replace, answer)
    return text, cite(cited, kept), removed


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
