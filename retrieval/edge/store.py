"""The points of one collection in Qdrant Edge."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from uuid import UUID

import numpy as np
import qdrant_edge as edge

from chunking.errors import CollectionNotFound, StoreError
from retrieval.checks import check_points, check_sought, last_of_each_id
from retrieval.edge.failures import engine_errors
from retrieval.points import Point, ScoredPoint, Vector, Where, only_by_terms, passing
from retrieval.room import check_room, has_room_for_a_copy
from retrieval.terms import Terms

VECTOR = "dense"
TERMS = "terms"
"""The names of the two vectors of a point."""
ABOUT = "collection.json"
"""The file that is written last and makes a folder a collection."""
_UPSERT_SIZE = 256
_DELETE_SIZE = 4096
_SCROLL_SIZE = 512
_FLUSH_SIZE = 8192
"""Points written between two flushes; a load replays at most this many, in under a second."""


class EdgePointStore:
    """A `PointStore` in one Qdrant Edge shard; made by `EdgeEngine`, safe to share among threads.

    Args:
        folder: a folder that `EdgeEngine.create` made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._dimension = _read_dimension(folder)
        self._shard = edge.EdgeShard.load(str(folder))
        self._unflushed = 0
        self._dropped = False

    def upsert(self, points: Sequence[Point], *, only_if: Where | None = None) -> None:
        """See `PointStore.upsert`; in steps of 256 points, each written whole or not at all."""
        check_points(points, dimension=self._dimension)
        condition = None
        if only_if is not None:
            points, condition = last_of_each_id(points), _filter(only_if)
        for start in range(0, len(points), _UPSERT_SIZE):
            batch = points[start : start + _UPSERT_SIZE]
            with self._calls(f"write {len(batch)} points"):
                stored = [_stored(point) for point in batch]
                self._update(edge.UpdateOperation.upsert_points(stored, condition), size=len(batch))

    def delete(self, ids: Sequence[str]) -> None:
        """See `PointStore.delete`."""
        for start in range(0, len(ids), _DELETE_SIZE):
            batch = ids[start : start + _DELETE_SIZE]
            with self._calls(f"delete {len(batch)} points"):
                operation = edge.UpdateOperation.delete_points([UUID(hex=item) for item in batch])
                self._update(operation, size=len(batch))

    def query(
        self,
        sought: Vector | Terms,
        *,
        limit: int,
        where: Where,
        ids: Sequence[str] | None = None,
        terms: Terms | None = None,
        bare: bool = False,
    ) -> list[ScoredPoint]:
        """See `PointStore.query`; the search is exact, and equal scores are in the order of ids."""
        check_sought(sought, dimension=self._dimension)
        if limit < 1:
            return []
        chosen, near = _filter(where, ids), _nearest(sought)
        # Of what is found beside terms, few payloads are needed, and they are quick to read.
        payloads = not bare and terms is None
        asked = [edge.QueryRequest(limit=limit, query=near, filter=chosen, with_payload=payloads)]
        if terms is not None:
            asked.append(edge.QueryRequest(limit=limit, query=_nearest(terms), filter=chosen))
        with self._calls("search"):
            found, *by_terms = self._shard.query_batch(edge.QueryBatchRequest(asked))
            scores = {_hex(hit.id): hit.score for hit in chain.from_iterable(by_terms)}
            hits = [
                ScoredPoint(name, hit.score, hit.payload or {}, scores.get(name))
                for name, hit in ((_hex(hit.id), hit) for hit in found)
            ]
        ranked = sorted(hits, key=lambda hit: (-hit.score, hit.id))
        return [*ranked, *only_by_terms(scores, ranked)]

    def scroll(
        self,
        *,
        where: Where,
        ids: Sequence[str] | None = None,
        fields: Sequence[str] | None = None,
        vectors: bool = False,
    ) -> Iterator[Point]:
        """See `PointStore.scroll`; reads page after page, in the order of ids."""
        if ids is not None:
            yield from self._named(ids, where, fields, vectors=vectors)
            return
        selected: bool | list[str] = True if fields is None else list(fields)
        offset: edge.PointId | None = None
        while True:
            with self._calls("read points"):
                request = edge.ScrollRequest(
                    offset=offset,
                    limit=_SCROLL_SIZE,
                    filter=_filter(where),
                    with_payload=selected,
                    with_vector=vectors,
                )
                records, offset = self._shard.scroll(request)
                page = [_point(record) for record in records]
            yield from page
            if offset is None:
                return

    def _named(
        self, ids: Sequence[str], where: Where, fields: Sequence[str] | None, *, vectors: bool
    ) -> Iterator[Point]:
        """Yield the points of these ids that pass the filter; a third of the time of a scroll."""
        with self._calls("read points"):
            wanted: list[edge.PointId] = [UUID(hex=name) for name in set(ids)]
            records = self._shard.retrieve(
                wanted, with_payload=True, with_vector=[VECTOR] if vectors else False
            )
            found = sorted(map(_point, records), key=lambda point: point.id)
        yield from passing(found, where, fields)

    def count(self, *, where: Where) -> int:
        """See `PointStore.count`."""
        with self._calls("count points"):
            return self._shard.count(edge.CountRequest(exact=True, filter=_filter(where)))

    def close(self, *, tidy: bool = False, dropped: bool = False) -> None:
        """Flush and close the shard; `tidy` first gives back the room of deleted points.

        With `dropped`, who still holds this store is told that its collection is gone.
        """
        self._dropped = dropped
        with engine_errors("close the collection"):
            try:
                if tidy and has_room_for_a_copy(self._folder):
                    # The engine rewrites a segment once a fifth of it is deleted.
                    self._shard.optimize()
            finally:
                self._shard.close()

    @contextmanager
    def _calls(self, action: str) -> Iterator[None]:
        try:
            with engine_errors(action):
                yield
        except StoreError as error:
            if not self._dropped:
                raise
            raise CollectionNotFound(f"{self._folder.name!r} was dropped meanwhile") from error

    def _update(self, operation: edge.UpdateOperation, *, size: int) -> None:
        check_room(self._folder)
        self._shard.update(operation)
        self._unflushed += size
        if self._unflushed >= _FLUSH_SIZE:
            self._unflushed = 0
            self._shard.flush()


def _read_dimension(folder: Path) -> int:
    try:
        return int(json.loads((folder / ABOUT).read_text("utf-8"))["dimension"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"collection {folder.name!r} is damaged: {ABOUT} does not hold its dimension",
            hint="restore the folder from a copy, or remove it and ingest again",
        ) from error


def _stored(point: Point) -> edge.Point:
    vectors: dict[str, edge.NamedVector] = {}
    if point.vector is not None:
        vectors[VECTOR] = point.vector.tolist()
    if point.terms is not None:
        vectors[TERMS] = _sparse(point.terms)
    return edge.Point(UUID(hex=point.id), vectors, dict(point.payload))


def _sparse(terms: Terms) -> edge.SparseVector:
    return edge.SparseVector(list(terms.indices), list(terms.weights))


def _nearest(sought: Vector | Terms) -> edge.Query:
    if isinstance(sought, Terms):
        return edge.Query.Nearest(_sparse(sought), using=TERMS)
    return edge.Query.Nearest(sought.tolist(), using=VECTOR)


def _point(record: edge.Record) -> Point:
    vectors = record.vector  # made anew from the engine's numbers each time it is asked for
    stored = vectors if isinstance(vectors, dict) else {}
    dense, sparse = stored.get(VECTOR), stored.get(TERMS)
    vector = None if dense is None else np.asarray(dense, dtype=np.float32)
    terms = None
    if isinstance(sparse, edge.SparseVector):
        terms = Terms.of(dict(zip(sparse.indices, sparse.values, strict=True)))
    return Point(_hex(record.id), record.payload or {}, vector, terms)


def _hex(point_id: edge.PointId) -> str:
    return point_id.hex if isinstance(point_id, UUID) else str(point_id)


def _match(values: Sequence[str]) -> edge.MatchValue | edge.MatchAny:
    # One value is matched in half the time that a set of one takes.
    return edge.MatchValue(values[0]) if len(values) == 1 else edge.MatchAny(list(values))


def _filter(where: Where, ids: Sequence[str] | None = None) -> edge.Filter | None:
    conditions: list[edge.ConditionType] = [
        edge.FieldCondition(key, match=_match(values)) for key, values in where.items()
    ]
    if ids is not None:
        conditions.append(edge.HasIdCondition({UUID(hex=point_id) for point_id in ids}))
    return edge.Filter(must=conditions) if conditions else None
