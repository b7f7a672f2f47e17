"""A collection of documents and their chunks over a point store, as its readers see it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf
from threading import Lock
from typing import Any, TypeVar

from chunking.document import Document, content_id
from chunking.errors import CollectionChanged, EmbeddingModelMismatch, StoreError
from retrieval.catalog import Catalog
from retrieval.ledger import check_free_name
from retrieval.points import Engine, Point, PointStore, ScoredPoint, Vector, Where
from retrieval.records import RECORD_FIELDS, DocumentRecord, Hit, read_document, read_record

T = TypeVar("T")

TENANT = "default"
INDEXED_KEYS = ("tenant", "kind", "document")
LEASE_SECONDS = 2.0
"""How long a catalog is taken for current without asking the store; writers wait for longer."""

_STEADY_TRIES = 4


@dataclass(frozen=True, slots=True)
class IndexFingerprint:
    """What the vectors of a collection depend on; vectors of two fingerprints never mix."""

    embedder: str
    dimension: int
    splitter: str


class Index:
    """One collection: documents, chunks and vectors of one tenant; thread-safe.

    Use `Index.create` to write and `Index.open` to read; both check the fingerprint before anything
    else touches the collection. `retrieval.writer` changes what it holds.
    """

    def __init__(self, name: str, points: PointStore, fingerprint: IndexFingerprint) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.points = points
        self._known: tuple[float, Catalog] | None = None
        self._lock = Lock()

    @classmethod
    def create(cls, engine: Engine, name: str, fingerprint: IndexFingerprint) -> Index:
        """Open a collection for writing, made first if it does not exist.

        Raises:
            EmbeddingModelMismatch: the collection holds vectors of another fingerprint.
            InputError: the name is that of the ledger.
        """
        check_free_name(name)
        points = engine.create(name, dimension=fingerprint.dimension, indexed=INDEXED_KEYS)
        if _read_fingerprint(points) is None:
            stored = Point(point_id("fingerprint"), scoped("fingerprint", asdict(fingerprint)))
            points.upsert([stored])
        return cls(name, points, _checked(name, _read_fingerprint(points), fingerprint))

    @classmethod
    def open(cls, engine: Engine, name: str, fingerprint: IndexFingerprint | None = None) -> Index:
        """Open an existing collection for reading; without a fingerprint, by the one it has.

        Raises:
            CollectionNotFound: there is no such collection.
            EmbeddingModelMismatch: its vectors were made with another embedder or dimension.
        """
        points = engine.open(name)
        stored = _read_fingerprint(points)
        return cls(name, points, _checked(name, stored, fingerprint or stored))

    def catalog(self) -> Catalog:
        """Return the documents of the collection, current at most `LEASE_SECONDS` ago.

        What a request reads under one catalog belongs together: see `check`.
        """
        with self._lock:
            now = time.monotonic()
            if self._known is None or now - self._known[0] > LEASE_SECONDS:
                # The token first: what changes while the records are read changes it afterwards.
                token = self._token()
                known = None if self._known is None else self._known[1]
                if known is None or known.token != token:
                    known = Catalog.of(self.records().values(), token)
                self._known = (now, known)
            return self._known[1]

    def check(self, catalog: Catalog) -> None:
        """Raise CollectionChanged where what was read under a catalog may be of two states.

        Chunks of an old version are removed only when no request that began before the new one was
        published can still be reading, so a request that took longer asks once more.
        """
        with self._lock:
            checked, known = self._known or (-inf, None)
            if known is catalog and time.monotonic() - checked <= LEASE_SECONDS:
                return
        if self._token() != catalog.token:
            self.forget()
            raise CollectionChanged(f"collection {self.name!r} changed while it was read")

    def steady(self, read: Callable[[Catalog], T]) -> T:
        """Return what is read under one catalog, read again where the collection changed meanwhile.

        Raises:
            CollectionChanged: it changed each of the times that reading was tried.
        """
        tries = 0
        while True:
            catalog = self.catalog()
            tries += 1
            try:
                found = read(catalog)
                self.check(catalog)
            except CollectionChanged:
                if tries == _STEADY_TRIES:
                    raise
            else:
                return found

    def forget(self) -> None:
        """Read the records anew when they are next needed."""
        with self._lock:
            self._known = None

    def records(self, documents: Sequence[str] | None = None) -> dict[str, DocumentRecord]:
        """Return the stored records of all documents, or of those named, by id."""
        where: Where = {} if documents is None else {"document": documents}
        return {
            str(point.payload["document"]): self._record(point)
            for point in self.scroll("document", where, fields=(*RECORD_FIELDS, "document"))
        }

    def _record(self, point: Point) -> DocumentRecord:
        try:
            return read_record(point.payload)
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"collection {self.name!r}: the record of {point.payload.get('document')!r} is "
                "damaged, or of another version of Windowfit",
                hint="`windowfit ingest verify --repair` removes it; then ingest its source again",
            ) from error

    def documents(self, documents: Sequence[str] | None = None) -> Iterator[Document]:
        """Yield whole documents, all or those named."""
        where: Where = {} if documents is None else {"document": documents}
        for point in self.scroll("document", where, fields=None):
            yield read_document(point.payload)

    def read(self, where: Where | None = None, *, catalog: Catalog | None = None) -> list[Hit]:
        """Return every chunk that passes the filter, as a hit of score 0, in corpus order.

        Raises:
            InputError: the filter names a key that is not allowed.
            CollectionChanged: a chunk was replaced meanwhile.
        """
        catalog = catalog or self.catalog()
        passing = catalog.passing(where)
        stored = self.scroll("chunk", _documents(passing) if where else {}, fields=None)
        found = [catalog.hit(one.payload, score=0.0, via="everything") for one in stored]
        hits = {hit.chunk.id: hit for hit in found if hit is not None}
        wanted = [name for record in passing for name in record.chunk_ids]
        if len(hits) != len(wanted):
            self.forget()
            raise CollectionChanged(
                f"collection {self.name!r} holds {len(hits)} of the {len(wanted)} chunks that its "
                "records name",
                hint="send the request again; `windowfit ingest verify` names what is missing",
            )
        return [hits[name] for name in wanted]

    def search(
        self,
        vector: Vector,
        *,
        limit: int,
        where: Where | None = None,
        via: str = "question",
        catalog: Catalog | None = None,
    ) -> list[Hit]:
        """Return the chunks nearest to a vector, best first.

        Args:
            vector: a unit row of `Embedder.embed`.
            limit: most hits.
            where: filter of documents; every key must be one of `FILTER_KEYS`.
            via: the name recorded as the step that brought these hits.
            catalog: the state of the collection to look at; the current one if None.

        Raises:
            InputError: the filter names a key that is not allowed.
        """
        catalog = catalog or self.catalog()
        scope = _scope("chunk")
        if where:
            passing = catalog.passing(where)
            if not passing:
                return []
            scope |= _documents(passing)
        asked = limit
        while True:
            scored = self.points.query(vector, limit=asked, where=scope)
            hits = _hits(scored, catalog, via)
            if len(hits) >= limit or len(scored) < asked:
                return hits[:limit]
            # Versions that are not visible took some of the places.
            asked *= 2

    def chunk_count(self) -> int:
        """Return the number of chunks that readers see."""
        return self.catalog().chunk_count

    def scroll(
        self,
        kind: str,
        where: Where | None = None,
        *,
        fields: Sequence[str] | None = RECORD_FIELDS,
        vectors: bool = False,
    ) -> Iterator[Point]:
        """Yield the stored points of one kind and of this tenant."""
        scope = {**_scope(kind), **(where or {})}
        return self.points.scroll(where=scope, fields=fields, vectors=vectors)

    def stored_chunk_count(self) -> int:
        """Return the exact number of stored chunks, those of versions not visible included."""
        return self.points.count(where=_scope("chunk"))

    def _token(self) -> str:
        states = self.scroll("state", fields=("token",))
        return next((str(state.payload["token"]) for state in states), "")


def scoped(kind: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a payload that belongs to this tenant and is of one kind of record."""
    return {**payload, "kind": kind, "tenant": TENANT}


def point_id(kind: str, name: str = "") -> str:
    """Return the id of a point: of one tenant, one kind and one name."""
    return content_id("windowfit", kind, TENANT, name)


def _scope(kind: str) -> dict[str, Sequence[str]]:
    """Return the filter that every read carries: one tenant, one kind of record."""
    return {"tenant": (TENANT,), "kind": (kind,)}


def _documents(records: Sequence[DocumentRecord]) -> dict[str, Sequence[str]]:
    return {"document": [record.id for record in records]}


def _hits(scored: Sequence[ScoredPoint], catalog: Catalog, via: str) -> list[Hit]:
    found = (catalog.hit(point.payload, score=point.score, via=via) for point in scored)
    return [hit for hit in found if hit is not None]


def _read_fingerprint(points: PointStore) -> IndexFingerprint | None:
    for point in points.scroll(where=_scope("fingerprint")):
        stored = point.payload
        return IndexFingerprint(stored["embedder"], stored["dimension"], stored["splitter"])
    return None


def _checked(
    name: str, stored: IndexFingerprint | None, wanted: IndexFingerprint | None
) -> IndexFingerprint:
    """Return the stored fingerprint if it is the wanted one, or say what differs."""
    differing = [
        f"{part}: stored {ours!r}, configured {theirs!r}"
        for part in ("embedder", "dimension", "splitter")
        if (ours := getattr(stored, part, None)) != (theirs := getattr(wanted, part, None))
    ]
    if differing or stored is None:
        raise EmbeddingModelMismatch(
            f"collection {name!r} was built otherwise ({'; '.join(differing)})", param="collection"
        )
    return stored
