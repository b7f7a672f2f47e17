"""Gives candidates the counts that ingestion stores with their documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from chunking.document import Chunk, Document
from chunking.piece_counts import PieceCount, PieceCounter
from chunking.tokens import TokenCounter
from serve.context.report import Candidate


def counted(
    candidates: Iterable[Candidate], counts: Mapping[Chunk, PieceCount]
) -> tuple[Candidate, ...]:
    """Return candidates with their counts; one whose chunk has none stays as it is."""
    return tuple(
        replace(one, units=count.alone, continued=count.continued) if count else one
        for one, count in ((one, counts.get(one.chunk)) for one in candidates)
    )


def count_chunks(
    documents: Iterable[Document], chunks: Sequence[Chunk], counter: TokenCounter
) -> dict[Chunk, PieceCount]:
    """Return what every chunk adds to a prompt; of chunks at one place the first only."""
    places: dict[tuple[str, int], Chunk] = {}
    for chunk in chunks:
        places.setdefault((chunk.document, chunk.position), chunk)
    ordered: dict[str, list[Chunk]] = {}
    for _, chunk in sorted(places.items()):
        ordered.setdefault(chunk.document, []).append(chunk)
    pieces = PieceCounter(counter.base)
    return {
        chunk: count
        for document in documents
        if (own := ordered.get(document.id))
        for chunk, count in zip(own, pieces.of_chunks(document, own), strict=True)
    }
