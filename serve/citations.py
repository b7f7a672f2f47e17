"""Checks the citations of an answer: only what stood in the prompt can be cited."""

from __future__ import annotations

import re
from collections.abc import Sequence
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
    cited: dict[int, Chunk] = {}
    removed = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal removed
        markers = [int(marker) for marker in match[2].split(",")]
        true = [marker for marker in markers if 1 <= marker <= len(kept)]
        removed += len(markers) - len(true)
        cited.update((marker, kept[marker - 1]) for marker in true)
        if len(true) == len(markers):
            return match[0]
        return f"{match[1]}[{', '.join(map(str, true))}]" if true else ""

    text = _MARKERS.sub(replace, answer)
    citations = tuple(
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
        for marker, chunk in sorted(cited.items())
    )
    return text, citations, removed
