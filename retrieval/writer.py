"""Changes a collection so that its readers see a document's old version or its new one.

The record of a document is one point, and names the chunks of the document. New chunks are stored
first, where no record names them; then the record is replaced, which makes all of them visible and
the old ones invisible at once; what no record names any more is removed last, when no reader can
still be looking at the old record. A process that dies on any line leaves a collection that reads
as before or after that line, and is marked as unswept, so that the next run clears what was left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self
from uuid import uuid4

from chunking.document import Chunk, Document
from chunking.piece_counts import PieceCounts
from chunking.sensitivity import Sensitivity
from retrieval.index import LEASE_SECONDS, Index
from retrieval.lease import Lease
from retrieval.places import other_places
from retrieval.points import Point, PointStore, Vector
from retrieval.records import (
    DocumentRecord,
    chunk_payload,
    document_payload,
    record_of,
    relabelled,
)
from retrieval.scope import point_id, scoped
from retrieval.seals import sealed
from retrieval.state import state_point, token_at_rest
from retrieval.terms import chunk_terms
from retrieval.write_lease import take_lease

GRACE_SECONDS = 2 * LEASE_SECONDS
"""How long chunks stay stored after the last record that names them was replaced."""
_SWEPT_IN_ONE_GO = 4096


@dataclass(slots=True)
class IndexWriter:
    """The one writer of a collection, from construction to `close`.

    Used in a `with` statement it ends with `finish` and `close`.

    Attributes:
        records: the documents of the collection as this writer leaves them.
        grace_seconds: how long `finish` waits for readers before it removes; 0 where this process
            holds the store alone and reads nothing.
    """

    index: Index
    grace_seconds: float = GRACE_SECONDS
    wait: Callable[[float], None] = time.sleep
    records: dict[str, DocumentRecord] = field(init=False)
    _points: PointStore = field(init=False)
    _lease: Lease = field(init=False)
    _begun: bool = field(default=False, init=False)
    _unswept: bool = field(default=False, init=False)
    _labelling: bool = field(default=False, init=False)
    _generation: str = field(default="", init=False)
    _raised: bool = field(default=False, init=False)
    _stale: dict[str, None] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        # A writer stays with the place that it holds; an index follows its collection.
        self._points = self.index.points
        self._lease = take_lease(self.index, wait=self.wait)
        try:
            self.records = self.index.records()
            for state in self.index.scroll("state", fields=("swept", "generation")):
                self._unswept = state.payload["swept"] == "no"
                self._generation = state.payload.get("generation", "")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            # What a failure left is cleared by the next writer.
            if kind is None:
                self.finish()
        finally:
            self.close()

    def close(self) -> None:
        """Let the next writer in, whatever was done."""
        self._lease.release()

    def write(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        vectors: Vector,
        *,
        counts: Mapping[str, PieceCounts] | None = None,
    ) -> None:
        """Store a document with all its chunks and make it visible.

        Args:
            vectors: one row per chunk.
            counts: by `TokenCounter.identity`; planning counts where it finds none.
        """
        self.stage(chunks, vectors)
        self.commit(document, chunks, counts or {})

    def begin(self) -> None:
        """Mark the collection as unswept before anything in it changes; later calls do nothing."""
        if not self._begun:
            self._publish(swept=False)
            self._begun = True

    def missing(self, document: str, chunks: Sequence[Chunk]) -> list[Chunk]:
        """Return those chunks of a document that are not stored yet."""
        stored = self.stored(document)
        return [chunk for chunk in chunks if chunk.id not in stored]

    def stored(self, document: str) -> frozenset[str]:
        """Return the ids of the chunks of a document that are stored, visible or not."""
        if self._unswept:
            found = self.index.scroll("chunk", {"document": (document,)}, fields=("id",))
            return frozenset(point.payload["id"] for point in found)
        record = self.records.get(document)
        return frozenset(record.chunk_ids if record else ())

    def stage(self, chunks: Sequence[Chunk], vectors: Vector) -> None:
        """Store chunks that no reader sees yet.

        Raises:
            StoreError: another writer has taken over.
        """
        self._lease.confirm()
        self.begin()
        points = [
            Point(
                point_id("chunk", chunk.id),
                scoped("chunk", chunk_payload(chunk, vector)),
                vector,
                chunk_terms(chunk),
            )
            for chunk, vector in zip(chunks, vectors, strict=True)
        ]
        self._points.upsert(points)

    def commit(
        self, document: Document, chunks: Sequence[Chunk], counts: Mapping[str, PieceCounts]
    ) -> None:
        """Make a document visible as it is now, its chunks being stored.

        Raises:
            StoreError: another writer has taken over.
        """
        self._lease.confirm()
        self.begin()
        record = record_of(document, chunks, counts)
        self._announce(document.id, record.sensitivity)
        payload = sealed(scoped("document", document_payload(document, record)))
        self._points.upsert([Point(point_id("document", document.id), payload)])
        self._forget(document.id, keep=set(record.chunk_ids))
        self.records[document.id] = record

    def relabel(self, labels: Mapping[str, Sensitivity]) -> None:
        """Give documents other labels; nothing else of them changes. Unknown ids are ignored.

        Raises:
            StoreError: another writer has taken over.
        """
        held = {name: self.records[name] for name in labels if name in self.records}
        wanted = [name for name, one in held.items() if one.sensitivity is not labels[name]]
        if not wanted:
            return
        self._lease.confirm()
        self.begin()
        for name in wanted:
            self._announce(name, labels[name])
        for point in self.index.scroll("document", {"document": wanted}, fields=None):
            label = labels[point.payload["document"]]
            self._points.upsert([Point(point.id, relabelled(point.payload, label))])
        for name in wanted:
            self.records[name] = replace(held[name], sensitivity=labels[name])

    def _announce(self, document: str, label: Sensitivity) -> None:
        """Have readers look at labels before one changes, so that none misses it if this dies."""
        known = self.records.get(document)
        if known is None or known.sensitivity is label:
            return
        self._raised = self._raised or label > known.sensitivity
        if not self._labelling:
            self._publish(swept=False, labelling=True)

    def remove(self, documents: Iterable[str]) -> None:
        """Make documents invisible; their chunks go with `finish`. Unknown ids are ignored."""
        for document in documents:
            if document in self.records:
                self._lease.confirm()
                self.begin()
                self._points.delete([point_id("document", document)])
                self._forget(document, keep=set())
                del self.records[document]

    def discard(self, points: Sequence[str]) -> None:
        """Remove points that should not be stored, and look at the store from now on.

        What a record names counts as stored as long as nothing was discarded.
        """
        self._lease.confirm()
        self._unswept = self._begun = True
        if points:
            self._generation = uuid4().hex
        self._publish(swept=False)
        self._points.delete(points)

    def distrust(self, documents: Iterable[str]) -> None:
        """Have the next run read these documents anew, whether their source changed or not."""
        for document in documents:
            for point in self.index.scroll("document", {"document": (document,)}, fields=None):
                self.begin()
                self._points.upsert([Point(point.id, {**point.payload, "digest": ""})])

    def finish(self) -> int:
        """Remove what no reader sees any more, and return how many chunks that were."""
        self._drop_superseded()
        if not (self._begun or self._unswept):
            return 0
        self._lease.check()
        self._publish(swept=False)
        stale = self._unnamed() if self._unswept else list(self._stale)
        # A label that was raised is in force for every reader once this returns.
        if stale or self._raised:
            self.wait(self.grace_seconds)
            self._lease.check()
        for start in range(0, len(stale), _SWEPT_IN_ONE_GO):
            names = stale[start : start + _SWEPT_IN_ONE_GO]
            self._points.delete([point_id("chunk", name) for name in names])
        self._publish(swept=True)
        self._stale.clear()
        self._begun = self._unswept = self._raised = False
        return len(stale)

    def drop_unfinished(self) -> None:
        """Remove what a rebuild left that died before its switch and is not to be gone on with."""
        engine, place = self.index.engine, self.index.place
        if engine is not None:
            self._lease.check()
            for unfinished in other_places(engine, self.index.name, place).unfinished:
                engine.drop(unfinished)

    def _drop_superseded(self) -> None:
        """Remove what a rebuild left that died between its switch and its end."""
        engine, place = self.index.engine, self.index.place
        if engine is None:
            return
        left = other_places(engine, self.index.name, place).superseded
        if left:
            self.wait(self.grace_seconds)
            self._lease.check()
        for superseded in left:
            engine.drop(superseded)

    def publish(self) -> None:
        """Tell readers that records have changed.

        Raises:
            StoreError: another writer has taken over.
        """
        self._lease.check()
        self._publish(swept=False)

    def _publish(self, *, swept: bool, labelling: bool = False) -> None:
        token = token_at_rest(self.records.values()) if swept else uuid4().hex
        state = state_point(token, swept=swept, labelling=labelling, generation=self._generation)
        self._points.upsert([state])
        self._labelling = labelling
        self.index.forget()

    def _forget(self, document: str, *, keep: set[str]) -> None:
        """Note the chunks of the replaced record that the new one does not name."""
        for name in keep:
            self._stale.pop(name, None)
        replaced = self.records.get(document)
        for name in replaced.chunk_ids if replaced else ():
            if name not in keep:
                self._stale[name] = None

    def _unnamed(self) -> list[str]:
        """Return every stored chunk that no record names."""
        named = {name for record in self.records.values() for name in record.chunk_ids}
        stored = self.index.scroll("chunk", fields=("id",))
        return [name for point in stored if (name := point.payload["id"]) not in named]
