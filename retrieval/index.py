"""A collection of documents and their chunks over a point store; the one place that maps them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from chunking.document import Chunk, Document, content_id
from chunking.errors import EmbeddingModelMismatch, InputError
from chunking.piece_counts import PieceCounts
from retrieval.points import Engine, Point, PointStore, Vector, Where
from retrieval.records import (
    RECORD_FIELDS,
    DocumentRecord,
    Hit,
    chunk_payloads,
    counts_payload,
    read_chunk,
    read_document,
    read_hit,
    read_record,
)

TENANT = "default"
INDEXED_KEYS = ("tenant", "kind", "document")
FILTER_KEYS = frozenset({"document", "title", "source"})
"""Payload keys a request may filter by; everything else is refused, never ignored."""

_FINGERPRINT_ID = content_id("windowfit", "fingerprint")


@dataclass(frozen=True, slots=True)
class IndexFingerprint:
    """What the vectors of a collection depend on; vectors of two fingerprints never mix."""

    embedder: str
    dimension: int
    splitter: str


class Index:
    """One collection: documents, chunks and vectors of one tenant.

    Use `Index.create` to write and `Index.open` to read; both check the fingerprint before anything
    else touches the collection.
    """

    def __init__(self, name: str, points: PointStore, fingerprint: IndexFingerprint) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self._points = points

    @classmethod
    def create(cls, engine: Engine, name: str, fingerprint: IndexFingerprint) -> Index:
        """Open a collection for writing, made first if it does not exist.

        Raises:
            EmbeddingModelMismatch: the collection holds vectors of another fingerprint.
        """
        points = engine.create(name, dimension=fingerprint.dimension, indexed=INDEXED_KEYS)
        if _read_fingerprint(points) is None:
            payload = {"kind": "fingerprint", "tenant": TENANT, **asdict(fingerprint)}
            points.upsert([Point(_FINGERPRINT_ID, payload)])
        return cls(name, points, _checked(name, _read_fingerprint(points), fingerprint))

    @classmethod
    def open(cls, engine: Engine, name: str, fingerprint: IndexFingerprint) -> Index:
        """Open an existing collection for reading.

        Raises:
            CollectionNotFound: there is no such collection.
            EmbeddingModelMismatch: its vectors were made with another embedder or dimension.
        """
        points = engine.open(name)
        return cls(name, points, _checked(name, _read_fingerprint(points), fingerprint))

    def write(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        vectors: Vector,
        *,
        counts: Mapping[str, PieceCounts],
        position: int,
    ) -> None:
        """Store a document's chunks, then remove its stale chunks, then store its record.

        The record is what makes a version count as ingested, so a process that dies on any line
        leaves a document that the next run ingests again, and never one that is marked done early.
        """
        payloads = chunk_payloads(document, chunks)
        self._points.upsert(
            [
                Point(payload["id"], _scoped("chunk", payload), vector)
                for payload, vector in zip(payloads, vectors, strict=True)
            ]
        )
        self._delete_chunks(document.id, keep={chunk.id for chunk in chunks})
        record = {
            **asdict(document),
            "document": document.id,
            "version": document.version,
            "chunk_ids": [chunk.id for chunk in chunks],
            "characters": len(document.text),
            **counts_payload(counts),
            "position": position,
        }
        self._points.upsert([Point(_record_id(document.id), _scoped("document", record))])

    def recount(self, document: str, counts: Mapping[str, PieceCounts]) -> None:
        """Replace the token counts of a stored document; its chunks and vectors stay."""
        for point in self._scroll("document", {"document": (document,)}, None):
            self._points.upsert([Point(point.id, {**point.payload, **counts_payload(counts)})])

    def remove(self, documents: Sequence[str]) -> None:
        """Remove documents with their chunks, their records last; unknown ids are ignored."""
        for document in documents:
            self._delete_chunks(document)
            self._points.delete([_record_id(document)])

    def records(self, documents: Sequence[str] | None = None) -> dict[str, DocumentRecord]:
        """Return the records of all documents, or of those named, by id in corpus order."""
        where: Where = {} if documents is None else {"document": documents}
        found = [
            read_record(point.payload) for point in self._scroll("document", where, RECORD_FIELDS)
        ]
        return {record.id: record for record in sorted(found, key=lambda r: (r.position, r.id))}

    def documents(self, documents: Sequence[str] | None = None) -> Iterator[Document]:
        """Yield whole documents, all or those named."""
        where: Where = {} if documents is None else {"document": documents}
        for point in self._scroll("document", where, None):
            yield read_document(point.payload)

    def chunks(self, documents: Sequence[str] | None = None) -> Iterator[Chunk]:
        """Yield the chunks of all documents, or of those named, in no particular order."""
        where: Where = {} if documents is None else {"document": documents}
        for point in self._scroll("chunk", where, None):
            yield read_chunk(point.payload)

    def read(self, where: Where | None = None) -> Iterator[Hit]:
        """Yield every chunk that passes the filter, as a hit of score 0, in no particular order.

        Raises:
            InputError: the filter names a key that is not allowed.
        """
        check_filter(where)
        for point in self._scroll("chunk", where or {}, None):
            yield read_hit(point.payload, 0.0, "everything")

    def search(
        self, vector: Vector, *, limit: int, where: Where | None = None, via: str = "question"
    ) -> list[Hit]:
        """Return the chunks nearest to a vector, best first.

        Args:
            vector: a unit row of `Embedder.embed`.
            limit: most hits.
            where: payload filter; every key must be one of `FILTER_KEYS`.
            via: the name recorded as the step that brought these hits.

        Raises:
            InputError: the filter names a key that is not allowed.
        """
        check_filter(where)
        scope = {**_SCOPES["chunk"], **(where or {})}
        scored = self._points.query(vector, limit=limit, where=scope)
        return [read_hit(point.payload, point.score, via) for point in scored]

    def chunk_count(self) -> int:
        """Return the exact number of chunks."""
        return self._points.count(where=_SCOPES["chunk"])

    def _delete_chunks(self, document: str, *, keep: Collection[str] = ()) -> None:
        """Remove a document's chunks, also those that a killed run left without a record."""
        stored = self._scroll("chunk", {"document": (document,)}, ())
        self._points.delete([point.id for point in stored if point.id not in keep])

    def _scroll(self, kind: str, where: Where, fields: Sequence[str] | None) -> Iterator[Point]:
        return self._points.scroll(where={**_SCOPES[kind], **where}, fields=fields)


_SCOPES: Mapping[str, dict[str, Sequence[str]]] = {
    kind: {"tenant": (TENANT,), "kind": (kind,)} for kind in ("chunk", "document", "fingerprint")
}
"""The filter that every read carries: one tenant, one kind of record."""


def check_filter(where: Where | None) -> None:
    """Raise InputError where a filter names a key that is not allowed."""
    unknown = sorted(set(where or {}) - FILTER_KEYS)
    if unknown:
        raise InputError(
            f"cannot filter by {unknown}; allowed keys: {sorted(FILTER_KEYS)}", param="filter"
        )


def _scoped(kind: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    return {**payload, "kind": kind, "tenant": TENANT}


def _record_id(document: str) -> str:
    return content_id("windowfit", "document", TENANT, document)


def _read_fingerprint(points: PointStore) -> IndexFingerprint | None:
    for point in points.scroll(where=_SCOPES["fingerprint"]):
        stored = point.payload
        return IndexFingerprint(stored["embedder"], stored["dimension"], stored["splitter"])
    return None


def _checked(
    name: str, stored: IndexFingerprint | None, wanted: IndexFingerprint
) -> IndexFingerprint:
    """Return the stored fingerprint if it is the wanted one, or say what differs."""
    differing = [
        f"{part}: stored {getattr(stored, part, None)!r}, configured {getattr(wanted, part)!r}"
        for part in ("embedder", "dimension", "splitter")
        if getattr(stored, part, None) != getattr(wanted, part)
    ]
    if differing or stored is None:
        raise EmbeddingModelMismatch(
            f"collection {name!r} was built otherwise ({'; '.join(differing)})", param="collection"
        )
    return stored
