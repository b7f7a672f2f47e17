"""What an index stores of documents and chunks, and how the payloads of points spell it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from chunking.document import Chunk, Document, Section, gap_between
from chunking.piece_counts import PieceCount, PieceCounts
from chunking.pieces import PIECE_FORM
from chunking.sketch import Sketch, sketch_of

RECORD_FIELDS = (
    "id title source media_type version aliases chunk_ids characters piece_form counts position"
).split()


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """What the index knows of a document without its text.

    Attributes:
        version: `Document.version` at ingestion; equal versions need no work.
        chunk_ids: the document's chunks in document order.
        counts: tokens of its pieces by `TokenCounter.identity`; empty where they were counted for
            another form of piece.
        position: place of the document in the corpus, from 0.
    """

    id: str
    title: str
    source: str
    media_type: str
    version: str
    aliases: tuple[str, ...]
    chunk_ids: tuple[str, ...]
    characters: int
    counts: Mapping[str, PieceCounts]
    position: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk found by a search: its cosine similarity, and the step that brought it.

    Attributes:
        gap: white space between the document's previous chunk and this one; None where there is
            other text, or no previous chunk.
        sketch: keys by which near-duplicates of the text are found.
    """

    chunk: Chunk
    score: float
    via: str = "question"
    gap: str | None = None
    sketch: Sketch = ()


def read_chunk(payload: Mapping[str, Any]) -> Chunk:
    """Return the chunk of a payload."""
    return Chunk(
        id=payload["id"],
        document=payload["document"],
        title=payload["title"],
        path=tuple(payload["path"]),
        start=payload["start"],
        end=payload["end"],
        text=payload["text"],
        position=payload["position"],
    )


def read_hit(payload: Mapping[str, Any], score: float, via: str) -> Hit:
    """Return the payload of a chunk as a hit."""
    return Hit(
        read_chunk(payload), score, via, payload.get("gap"), tuple(payload.get("sketch", ()))
    )


def chunk_payloads(document: Document, chunks: Sequence[Chunk]) -> Iterator[dict[str, Any]]:
    """Yield the payloads of a document's chunks, in their order."""
    gaps = [None, *(gap_between(document, *pair) for pair in pairwise(chunks))]
    for chunk, gap in zip(chunks, gaps, strict=bool(chunks)):
        yield asdict(chunk) | {
            "source": document.source,
            "gap": gap,
            "sketch": sketch_of(chunk),
        }


def counts_payload(counts: Mapping[str, PieceCounts]) -> dict[str, Any]:
    """Return the part of a document's payload that holds its token counts."""
    return {
        "piece_form": PIECE_FORM,
        "counts": {
            identity: {
                "whole": one.whole,
                "alone": [count.alone for count in one.chunks],
                "continued": [count.continued for count in one.chunks],
            }
            for identity, one in counts.items()
        },
    }


def read_document(payload: Mapping[str, Any]) -> Document:
    """Return the document of a payload."""
    return Document(
        id=payload["id"],
        text=payload["text"],
        title=payload["title"],
        source=payload["source"],
        media_type=payload["media_type"],
        sections=tuple(
            Section(tuple(section["path"]), section["start"], section["end"])
            for section in payload["sections"]
        ),
        aliases=tuple(payload["aliases"]),
    )


def read_record(payload: Mapping[str, Any]) -> DocumentRecord:
    """Return what a document's payload says of it, without its text."""
    counts = payload.get("counts", {}) if payload.get("piece_form") == PIECE_FORM else {}
    return DocumentRecord(
        id=payload["id"],
        title=payload["title"],
        source=payload["source"],
        media_type=payload["media_type"],
        version=payload["version"],
        aliases=tuple(payload["aliases"]),
        chunk_ids=tuple(payload["chunk_ids"]),
        characters=payload["characters"],
        counts={identity: _read_counts(one) for identity, one in counts.items()},
        position=payload["position"],
    )


def _read_counts(stored: Mapping[str, Any]) -> PieceCounts:
    chunks = map(PieceCount, stored["alone"], stored["continued"])
    return PieceCounts(stored["whole"], tuple(chunks))
