"""What an index stores of documents and chunks, and how the payloads of points spell it.

A chunk's point holds what its text and headings are, and nothing that another version of its
document could change. Where the chunk stands in the document is part of the document's record, one
point that is replaced at once: so the record alone decides what a reader sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

from chunking.document import Chunk, Document, Section, gap_between
from chunking.errors import StoreError
from chunking.piece_counts import PieceCount, PieceCounts
from chunking.pieces import PIECE_FORM
from chunking.sensitivity import UNLABELLED, Sensitivity, highest, read_sensitivity
from chunking.sketch import Sketch, sketch_of
from retrieval.points import Vector
from retrieval.seals import probes, seal_of, sealed

RECORD_FIELDS = (
    "id title source media_type date digest version aliases chunk_ids spans gaps characters "
    "piece_form counts sensitivity"
).split()


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """What the index knows of a document without its text.

    Attributes:
        date, digest: see `Document`.
        version: `Document.version` at ingestion; equal versions need no work.
        chunk_ids: the document's chunks in document order.
        spans: where each of them starts and ends in the document's text.
        gaps: the white space before each of them; None where there is other text, or no chunk.
        counts: tokens of its pieces by `TokenCounter.identity`; empty where they were counted for
            another form of piece.
        sensitivity: the label of the document and so of all its chunks, which have none of their
            own in the store: one write changes them together.
    """

    id: str
    title: str
    source: str
    media_type: str
    date: str | None
    digest: str
    version: str
    aliases: tuple[str, ...]
    chunk_ids: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    gaps: tuple[str | None, ...]
    characters: int
    counts: Mapping[str, PieceCounts]
    sensitivity: Sensitivity = UNLABELLED


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk found by a search: its cosine similarity, and the step that brought it.

    Attributes:
        gap: white space between the document's previous chunk and this one; None where there is
            other text, or no previous chunk.
        sketch: keys by which near-duplicates of the text are found.
        origin: id of the document that the chunk's document is a copy of, see `Catalog.origin`.
    """

    chunk: Chunk
    score: float
    via: str = "question"
    gap: str | None = None
    sketch: Sketch = ()
    origin: str = ""

    def again(self, *, score: float, via: str) -> Hit:
        """Return the chunk as another search found it."""
        return Hit(self.chunk, score, via, self.gap, self.sketch, self.origin)


def record_of(
    document: Document, chunks: Sequence[Chunk], counts: Mapping[str, PieceCounts]
) -> DocumentRecord:
    """Return the record of a document that was split into these chunks."""
    gaps = [None, *(gap_between(document, *pair) for pair in pairwise(chunks))]
    return DocumentRecord(
        id=document.id,
        title=document.title,
        source=document.source,
        media_type=document.media_type,
        date=document.date,
        digest=document.digest,
        version=document.version,
        aliases=document.aliases,
        chunk_ids=tuple(chunk.id for chunk in chunks),
        spans=tuple((chunk.start, chunk.end) for chunk in chunks),
        gaps=tuple(gaps[: len(chunks)]),
        characters=len(document.text),
        counts=counts,
        sensitivity=document.sensitivity,
    )


def read_hit(
    payload: Mapping[str, Any], record: DocumentRecord, ordinal: int, score: float, via: str
) -> Hit:
    """Return a chunk's payload as a hit, placed where the record says."""
    start, end = record.spans[ordinal]
    chunk = Chunk(
        id=payload["id"],
        document=payload["document"],
        title=payload["title"],
        path=tuple(payload["path"]),
        start=start,
        end=end,
        text=payload["text"],
        position=ordinal,
        sensitivity=record.sensitivity,
    )
    return Hit(chunk, score, via, record.gaps[ordinal], tuple(payload.get("sketch", ())))


def chunk_payload(chunk: Chunk, vector: Vector) -> dict[str, Any]:
    """Return what is stored of a chunk, whatever the version of its document."""
    return {
        "id": chunk.id,
        "document": chunk.document,
        "title": chunk.title,
        "path": list(chunk.path),
        "text": chunk.text,
        "sketch": list(sketch_of(chunk)),
        "probe": probes(vector),
    }


def document_payload(document: Document, record: DocumentRecord) -> dict[str, Any]:
    """Return a document with its record as one payload."""
    return {
        **asdict(document),
        "document": document.id,
        "version": record.version,
        "chunk_ids": list(record.chunk_ids),
        "spans": [list(span) for span in record.spans],
        "gaps": list(record.gaps),
        "characters": record.characters,
        "sensitivity": record.sensitivity.value,
        **_counts_payload(record.counts),
    }


def relabelled(payload: Mapping[str, Any], sensitivity: Sensitivity) -> dict[str, Any]:
    """Return a stored document under another label; one that was altered stays altered."""
    facts = {key: value for key, value in payload.items() if key != "seal"}
    changed = {**facts, "sensitivity": sensitivity.value}
    seal = payload.get("seal")
    return sealed(changed) if seal == seal_of(facts) else {**changed, "seal": seal}


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
        date=payload["date"],
        digest=payload["digest"],
        sensitivity=read_sensitivity(payload.get("sensitivity")),
    )


def stored_record(
    payload: Mapping[str, Any], *, collection: str, unlabelled: Sensitivity = UNLABELLED
) -> DocumentRecord:
    """Return the record in a payload of a collection.

    Args:
        unlabelled: what a record at least counts as that was written before there were labels.

    Raises:
        StoreError: it is damaged, or of another version of Windowfit.
    """
    try:
        record = read_record(payload)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"collection {collection!r}: the record of {payload.get('document')!r} is "
            "damaged, or of another version of Windowfit",
            hint="`windowfit ingest verify --repair` removes it; then ingest its source again",
        ) from error
    if "sensitivity" in payload:
        return record
    return replace(record, sensitivity=highest((unlabelled, record.sensitivity)))


def read_record(payload: Mapping[str, Any]) -> DocumentRecord:
    """Return what a document's payload says of it, without its text."""
    counts = payload.get("counts", {}) if payload.get("piece_form") == PIECE_FORM else {}
    return DocumentRecord(
        id=payload["id"],
        title=payload["title"],
        source=payload["source"],
        media_type=payload["media_type"],
        date=payload["date"],
        digest=payload["digest"],
        version=payload["version"],
        aliases=tuple(payload["aliases"]),
        chunk_ids=tuple(payload["chunk_ids"]),
        spans=tuple((start, end) for start, end in payload["spans"]),
        gaps=tuple(payload["gaps"]),
        characters=payload["characters"],
        counts={identity: _read_counts(one) for identity, one in counts.items()},
        sensitivity=read_sensitivity(payload.get("sensitivity")),
    )


def _counts_payload(counts: Mapping[str, PieceCounts]) -> dict[str, Any]:
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


def _read_counts(stored: Mapping[str, Any]) -> PieceCounts:
    chunks = map(PieceCount, stored["alone"], stored["continued"])
    return PieceCounts(stored["whole"], tuple(chunks))
