"""A collection of documents and their chunks over a point store, as its readers see it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import inf
from threading import RLock
from typing import TypeVar

from chunking.document import Document
from chunking.errors import CollectionChanged, CollectionNotFound
from chunking.sensitivity import UNLABELLED, Sensitivity
from retrieval.catalog import Catalog
from retrieval.fingerprint import IndexFingerprint, check_fingerprint, create_place
from retrieval.places import find_place, open_place
from retrieval.points import Engine, Point, PointStore, Vector, Where
from retrieval.ranking import Ranker, within
from retrieval.records import RECORD_FIELDS, DocumentRecord, Hit, read_document, stored_record
from retrieval.scope import scope_of
from retrieval.state import read_state, token_of
from retrieval.terms import Terms

T = TypeVar("T")

LEASE_SECONDS = 2.0
"""How long a catalog is taken for current without asking the store; writers wait for longer."""

_STEADY_TRIES = 4


class Index:
    """One collection: documents, chunks and vectors of one tenant; thread-safe.

    Use `Index.create` to write and `Index.open` to read; both check the fingerprint before anything
    else touches the collection. `retrieval.writer` changes what it holds. An open index follows its
    collection when a rebuild moves it, and checks the fingerprint again.

    Attributes:
        points: those of the place where the collection lies, as far as this index knows.
        place: the name of that place, see `retrieval.places`.
        engine: where the place may change; None where this index stays with its points.
        unlabelled: what documents at least count as that were stored before there were labels; for
            whoever opens the index to raise.
    """

    def __init__(
        self,
        name: str,
        points: PointStore,
        fingerprint: IndexFingerprint,
        *,
        place: str | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.points = points
        self.place = place or name
        self.engine = engine
        self.unlabelled: Sensitivity = UNLABELLED
        self._known: tuple[float, Catalog] | None = None
        self._lock = RLock()

    @classmethod
    def create(cls, engine: Engine, name: str, fingerprint: IndexFingerprint) -> Index:
        """Open a collection for writing, made first if it does not exist.

        Raises:
            EmbeddingModelMismatch: the collection holds vectors of another fingerprint.
            InputError: the name is that of the ledger.
        """
        create_place(engine, find_place(engine, name), fingerprint)
        # Opened anew: if it was moved just now, what was made is none of its places any more.
        return cls.open(engine, name, fingerprint)

    @classmethod
    def open(cls, engine: Engine, name: str, fingerprint: IndexFingerprint | None = None) -> Index:
        """Open an existing collection for reading; without a fingerprint, by the one it has.

        Raises:
            CollectionNotFound: there is no such collection.
            EmbeddingModelMismatch: it was made by another fingerprint.
        """
        place, points = open_place(engine, name)
        checked = check_fingerprint(name, points, fingerprint)
        return cls(name, points, checked, place=place, engine=engine)

    def catalog(self) -> Catalog:
        """Return the documents of the collection, current at most `LEASE_SECONDS` ago.

        What a request reads under one catalog belongs together: see `check`.
        """
        with self._lock:
            now = time.monotonic()
            if self._known is None or now - self._known[0] > LEASE_SECONDS:
                # The token first: what changes while the records are read changes it afterwards.
                token, swept = self._state()
                known = None if self._known is None else self._known[1]
                if known is None or known.token != token:
                    known = Catalog.of(self.records().values(), token, swept=swept)
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
            token, _ = self._state()
        if token != catalog.token:
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
            str(point.payload["document"]): stored_record(
                point.payload, collection=self.name, unlabelled=self.unlabelled
            )
            for point in self.scroll("document", where, fields=(*RECORD_FIELDS, "document"))
        }

    def documents(self, documents: Sequence[str] | None = None) -> Iterator[Document]:
        """Yield whole documents, all or those named."""
        where: Where = {} if documents is None else {"document": documents}
        yield from (read_document(p.payload) for p in self.scroll("document", where, fields=None))

    def read(self, where: Where | None = None, *, catalog: Catalog | None = None) -> list[Hit]:
        """Return every chunk that passes the filter, as a hit of score 0, in corpus order.

        Raises:
            InputError: the filter names a key that is not allowed.
            CollectionChanged: a chunk was replaced meanwhile.
        """
        catalog = catalog or self.catalog()
        passing = catalog.passing(where)
        stored = self.scroll("chunk", within(passing) if where else {}, fields=None)
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
        sought: Vector | Terms,
        *,
        limit: int,
        where: Where | None = None,
        chunks: Sequence[str] | None = None,
        via: str = "question",
        catalog: Catalog | None = None,
    ) -> list[Hit]:
        """Return the chunks nearest to a vector, or those that share terms, best first.

        Args:
            sought: a unit row of `Embedder.embed`, or terms: scores are then those of BM25.
            limit: most hits.
            where: filter of documents; every key must be one of `FILTER_KEYS`.
            chunks: ids of the only chunks to look at; all if None.
            via: the name recorded as the step that brought these hits.
            catalog: the state of the collection to look at; the current one if None.

        Raises:
            InputError: the filter names a key that is not allowed.
            CollectionChanged: the collection was moved meanwhile.
        """
        with self.ranker(where=where, catalog=catalog) as ranker:
            return ranker.search(sought, limit=limit, chunks=chunks, via=via)

    @contextmanager
    def ranker(
        self, *, where: Where | None = None, catalog: Catalog | None = None
    ) -> Iterator[Ranker]:
        """Yield what ranks the chunks of one state of the collection, the current one if None.

        Raises:
            InputError: the filter names a key that is not allowed.
            CollectionChanged: the collection was moved meanwhile.
        """
        catalog = catalog or self.catalog()  # first, as it may find the collection moved
        try:
            yield Ranker.of(self.points, catalog, where)
        except CollectionNotFound as error:
            raise self._changed() from error

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
        """Yield the stored points of one kind and of this tenant.

        Raises:
            CollectionChanged: the collection was moved meanwhile.
        """
        scope = {**scope_of(kind), **(where or {})}
        begun = False
        try:
            for point in self.points.scroll(where=scope, fields=fields, vectors=vectors):
                begun = True
                yield point
        except CollectionNotFound as error:
            if begun:
                raise self._changed() from error
        else:
            return
        self._follow()
        yield from self.points.scroll(where=scope, fields=fields, vectors=vectors)

    def stored_chunk_count(self) -> int:
        """Return the exact number of stored chunks, those of versions not visible included."""
        try:
            return self.points.count(where=scope_of("chunk"))
        except CollectionNotFound:
            self._follow()
            return self.points.count(where=scope_of("chunk"))

    def _state(self) -> tuple[str, bool]:
        """Return what changes with every change and when it is moved, and whether it is swept."""
        state = read_state(self)
        if state.get("moving"):
            self._follow()
            state = read_state(self)
        return f"{self.place} {token_of(state, self)}", state.get("swept") == "yes"

    def _follow(self) -> None:
        """Go to where the collection lies now.

        Raises:
            CollectionNotFound: there is no such collection any more.
            EmbeddingModelMismatch: it was rebuilt with another fingerprint.
        """
        if self.engine is None:
            return
        with self._lock:
            place, points = open_place(self.engine, self.name)
            if place != self.place:
                check_fingerprint(self.name, points, self.fingerprint)
                self.place, self.points, self._known = place, points, None

    def _changed(self) -> CollectionChanged:
        self.forget()
        return CollectionChanged(f"collection {self.name!r} was rebuilt while it was read")
