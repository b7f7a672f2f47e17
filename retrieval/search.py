"""Finds the chunks that bear on a question: over the collection, and in the documents it names."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock

import numpy as np

from chunking.piece_counts import PieceCount
from retrieval.aspects import find_aspects
from retrieval.embed import Embedder
from retrieval.entities import NameTable
from retrieval.index import Index
from retrieval.points import Vector, Where
from retrieval.records import DocumentRecord, Hit

CATALOG_SECONDS = 30.0
"""How long the list of a collection's documents may be remembered before it is read again."""
_NAMED_LIMIT = 8
"""Most documents that one question may name for a search of their own."""
_INSIDE_LIMIT = 200
"""Chunks ranked inside a named document, enough to hold every section of most documents."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """The documents of a collection and the names that a question may call them by."""

    records: Mapping[str, DocumentRecord]
    names: NameTable
    _chunk_counts: dict[str, dict[str, PieceCount]] = field(default_factory=dict)
    _means: dict[str, float | None] = field(default_factory=dict)

    def chunk_counts(self, identity: str) -> Mapping[str, PieceCount]:
        """Return what every chunk adds to a prompt, if this tokenizer counted it at ingestion."""
        if identity not in self._chunk_counts:
            self._chunk_counts[identity] = {
                chunk: count
                for record in self.records.values()
                if identity in record.counts
                for chunk, count in zip(
                    record.chunk_ids, record.counts[identity].chunks, strict=True
                )
            }
        return self._chunk_counts[identity]

    def mean_chunk_count(self, identity: str) -> float | None:
        """Return the mean of what chunks add alone; None where this tokenizer counted nothing."""
        if identity not in self._means:
            counts = [count.alone for count in self.chunk_counts(identity).values()]
            self._means[identity] = sum(counts) / len(counts) if counts else None
        return self._means[identity]


@dataclass(slots=True)
class Searcher:
    """Searches one collection; thread-safe."""

    index: Index
    embedder: Embedder
    _catalog: tuple[float, Catalog] | None = None
    _headings: dict[str, tuple[tuple[str, ...], Vector]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def catalog(self) -> Catalog:
        """Return the collection's documents, at most `CATALOG_SECONDS` old."""
        with self._lock:
            now = time.monotonic()
            if self._catalog is None or now - self._catalog[0] > CATALOG_SECONDS:
                records = self.index.records()
                self._catalog = (now, Catalog(records, NameTable.of(list(records.values()))))
            return self._catalog[1]

    def forget_catalog(self) -> None:
        """Read the list of documents anew when it is next needed."""
        with self._lock:
            self._catalog = None

    def search(self, question: str, *, limit: int, where: Where | None = None) -> list[Hit]:
        """Return the chunks that bear on a question, best first.

        A document that the question names is searched on its own, for the question and for each of
        its aspects, so that a comparison sees both sides. For a question of several aspects the
        section whose heading is nearest to each is read too, so that a broad question spreads over
        sections. These rankings and that of the whole collection take turns.

        Raises:
            InputError: the filter names a key that is not allowed.
            StoreError: the store cannot be reached.
        """
        catalog = self.catalog()
        named = _allowed(catalog.names.find(question), where)
        aspects = find_aspects(question, catalog.names.pattern) if named else ()
        vectors = self.embedder.embed([question, *aspects])
        inside = [self._inside(catalog.records[name], aspects, vectors, where) for name in named]
        streams = [stream for group in zip(*inside, strict=True) for stream in group]
        streams.append(self.index.search(vectors[0], limit=limit, where=where))
        return take_turns(streams, limit=limit)

    def _inside(
        self,
        record: DocumentRecord,
        aspects: Sequence[str],
        vectors: Vector,
        where: Where | None,
    ) -> list[list[Hit]]:
        """Return the rankings inside one document: the question's, then each aspect's."""
        scope = {**(where or {}), "document": (record.id,)}
        via = f"named: {record.title}"
        streams = [self.index.search(vectors[0], limit=_INSIDE_LIMIT, where=scope, via=via)]
        for aspect, vector in zip(aspects, vectors[1:], strict=True):
            hits = self.index.search(
                vector, limit=_INSIDE_LIMIT, where=scope, via=f"aspect: {aspect}"
            )
            streams.append(hits)
            if len(aspects) > 1:
                heading = self._nearest_heading(record, streams[0], vector)
                streams.append(_of_section(hits, heading))
        return streams

    def _nearest_heading(self, record: DocumentRecord, hits: Sequence[Hit], vector: Vector) -> str:
        """Return the outermost heading of a document that is nearest to a vector."""
        if not hits:
            return ""
        if record.version not in self._headings:
            headings = tuple(sorted({heading_of(hit) for hit in hits}))
            rows = self.embedder.embed([f"{record.title} > {heading}" for heading in headings])
            self._headings[record.version] = (headings, rows)
        headings, rows = self._headings[record.version]
        return headings[int(np.argmax(rows @ vector))]


def _allowed(named: Sequence[str], where: Where | None) -> list[str]:
    """Return the named documents that the filter lets through, as many as are searched."""
    allowed = (where or {}).get("document")
    return [name for name in named if allowed is None or name in allowed][:_NAMED_LIMIT]


def heading_of(hit: Hit) -> str:
    """Return the outermost heading above a chunk; empty for a document without headings."""
    return hit.chunk.path[0] if hit.chunk.path else ""


def _of_section(hits: Sequence[Hit], heading: str) -> list[Hit]:
    return [replace(hit, via=f"section: {heading}") for hit in hits if heading_of(hit) == heading]


def take_turns(streams: Sequence[Sequence[Hit]], *, limit: int) -> list[Hit]:
    """Merge ranked lists by taking from each in turn; a chunk counts where it comes first."""
    merged: dict[str, Hit] = {}
    for hit in _turns(streams):
        if len(merged) == limit:
            break
        merged.setdefault(hit.chunk.id, hit)
    return list(merged.values())


def _turns(streams: Sequence[Sequence[Hit]]) -> Iterator[Hit]:
    for rank in range(max(map(len, streams), default=0)):
        for stream in streams:
            if rank < len(stream):
                yield stream[rank]
