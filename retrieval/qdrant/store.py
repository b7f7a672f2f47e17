"""The points of one collection on a Qdrant server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TypeVar
from uuid import UUID

import numpy as np
from qdrant_client import models

from retrieval.checks import check_points, check_sought, last_of_each_id
from retrieval.points import Point, ScoredPoint, Vector, Where, only_by_terms, passing
from retrieval.qdrant.connection import Connection
from retrieval.terms import Terms

T = TypeVar("T")

VECTOR = "dense"
TERMS = "terms"
"""The names of the two vectors of a point."""
_UPSERT_SIZE = 256
"""Points of one request: 2.5 MB at 384 dimensions; the server refuses bodies over 32 MB."""
_DELETE_SIZE = 4096
_SCROLL_SIZE = 512
_ORDERING = models.WriteOrdering.MEDIUM
"""One copy of a shard, of those that are up, orders its writes, so that all copies end alike."""
_CONDITIONAL_ORDERING = models.WriteOrdering.STRONG
"""The same copy always: among free writers, two copies let different ones win (1 round in 4)."""
_OVERSAMPLING = 2.0
"""Candidates of a quantized search for each point asked for, before rescoring orders them."""


class QdrantPointStore:
    """A `PointStore` in one collection of a Qdrant server; made by `QdrantEngine`.

    Args:
        connection: the way to the server.
        collection: an existing collection.
        dimension: that of its vectors.
        rescore: in a quantized collection, whether the vectors as given settle a search; else None.
    """

    def __init__(
        self, connection: Connection, collection: str, *, dimension: int, rescore: bool | None
    ) -> None:
        self._connection = connection
        self._client = connection.data
        self._collection = collection
        self._dimension = dimension
        self._search = None if rescore is None else _quantized_search(rescore=rescore)

    def upsert(self, points: Sequence[Point], *, only_if: Where | None = None) -> None:
        """See `PointStore.upsert`; in requests of 256 points, each written whole or not at all."""
        check_points(points, dimension=self._dimension)
        condition, ordering = None, _ORDERING
        if only_if is not None:
            self._connection.require_conditional_writes()
            points, condition = last_of_each_id(points), _filter(only_if)
            ordering = _CONDITIONAL_ORDERING

        def write() -> None:
            self._client.upsert(
                self._collection,
                [_stored(point) for point in batch],
                wait=True,
                ordering=ordering,
                update_filter=condition,
            )

        for start in range(0, len(points), _UPSERT_SIZE):
            batch = points[start : start + _UPSERT_SIZE]
            self._call(f"write {len(batch)} points", write)

    def delete(self, ids: Sequence[str]) -> None:
        """See `PointStore.delete`."""

        def delete() -> None:
            selected = models.PointIdsList(points=[UUID(hex=point_id) for point_id in batch])
            self._client.delete(self._collection, selected, wait=True, ordering=_ORDERING)

        for start in range(0, len(ids), _DELETE_SIZE):
            batch = ids[start : start + _DELETE_SIZE]
            self._call(f"delete {len(batch)} points", delete)

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
        """See `PointStore.query`; equal scores are in the order of ids."""
        check_sought(sought, dimension=self._dimension)
        if limit < 1:
            return []
        chosen = _filter(where, ids)
        if terms is None:
            ranking = self._ranking(sought, limit=limit, chosen=chosen, payloads=not bare)
            return _best_first(self._ask([ranking])[0], {})
        # What is quantized is large and lies on disk: the few payloads needed are read by id.
        bare = bare or self._search is not None
        ranking = self._ranking(sought, limit=limit, chosen=chosen, payloads=not bare)
        asked = [ranking, self._ranking(terms, limit=limit, chosen=chosen, payloads=False)]
        if not bare:
            worded = models.Prefetch(query=_sparse(terms), using=TERMS, filter=chosen, limit=limit)
            asked.append(ranking.model_copy(update={"prefetch": worded, "filter": None}))
        found, by_terms, *rescored = self._ask(asked)
        scores = {_hex(hit.id): hit.score for hit in by_terms}
        near = _best_first(found, scores)
        far = only_by_terms(scores, near)
        if bare:
            return near + far
        cosines = {hit.id: hit for hit in _best_first(chain.from_iterable(rescored), scores)}
        # Of several shards, each has its own best by terms, and the nearest of all push them out.
        missing = sorted({hit.id for hit in far} - cosines.keys())
        if missing:
            chosen = _filter(where, missing)
            ranking = self._ranking(sought, limit=len(missing), chosen=chosen)
            cosines |= {hit.id: hit for hit in _best_first(self._ask([ranking])[0], scores)}
        return near + [replace(cosines[hit.id], far=True) for hit in far if hit.id in cosines]

    def _ask(self, asked: Sequence[models.QueryRequest]) -> list[list[models.ScoredPoint]]:
        """Return what each of the queries finds, in one request."""
        return self._call("search", lambda: self._connection.query(self._collection, asked))

    def _ranking(
        self,
        sought: Vector | Terms,
        *,
        limit: int,
        chosen: models.Filter | None,
        payloads: bool = True,
    ) -> models.QueryRequest:
        by_terms = isinstance(sought, Terms)
        return models.QueryRequest(
            query=_sought(sought),
            using=TERMS if by_terms else VECTOR,
            filter=chosen,
            params=None if by_terms else self._search,
            limit=limit,
            with_payload=payloads,
        )

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
        offset: models.ExtendedPointId | None = None
        selected = True if fields is None else list(fields)
        while True:
            page = partial(
                self._client.scroll,
                self._collection,
                scroll_filter=_filter(where),
                limit=_SCROLL_SIZE,
                offset=offset,
                with_payload=selected,
                with_vectors=vectors,
            )
            records, offset = self._call("read points", page)
            yield from map(_point, records)
            if offset is None:
                return

    def _named(
        self, ids: Sequence[str], where: Where, fields: Sequence[str] | None, *, vectors: bool
    ) -> Iterator[Point]:
        """Yield the points of these ids that pass the filter; a third of the time of a scroll."""
        wanted = [UUID(hex=name) for name in sorted(set(ids))]
        for start in range(0, len(wanted), _SCROLL_SIZE):
            read = partial(
                self._client.retrieve,
                self._collection,
                wanted[start : start + _SCROLL_SIZE],
                with_payload=True,
                with_vectors=[VECTOR] if vectors else False,
            )
            records = self._call("read points", read)
            found = sorted(map(_point, records), key=lambda point: point.id)
            yield from passing(found, where, fields)

    def count(self, *, where: Where) -> int:
        """See `PointStore.count`."""
        return self._call(
            "count points",
            lambda: self._client.count(self._collection, _filter(where), exact=True),
        ).count

    def _call(self, action: str, request: Callable[[], T]) -> T:
        action = f"{action} in collection {self._collection!r}"
        return self._connection.call(action, request, collection=self._collection)


def _best_first(
    found: Iterable[models.ScoredPoint], term_scores: Mapping[str, float]
) -> list[ScoredPoint]:
    hits = (
        ScoredPoint(name, hit.score, hit.payload or {}, term_scores.get(name))
        for name, hit in ((_hex(hit.id), hit) for hit in found)
    )
    return sorted(hits, key=lambda hit: (-hit.score, hit.id))


def _quantized_search(*, rescore: bool) -> models.SearchParams:
    oversampling = _OVERSAMPLING if rescore else None
    return models.SearchParams(
        quantization=models.QuantizationSearchParams(rescore=rescore, oversampling=oversampling)
    )


def _stored(point: Point) -> models.PointStruct:
    vectors: dict[str, models.Vector] = {}
    if point.vector is not None:
        vectors[VECTOR] = point.vector.tolist()
    if point.terms is not None:
        vectors[TERMS] = _sparse(point.terms)
    return models.PointStruct(id=UUID(hex=point.id), vector=vectors, payload=dict(point.payload))


def _sparse(terms: Terms) -> models.SparseVector:
    return models.SparseVector(indices=list(terms.indices), values=list(terms.weights))


def _sought(sought: Vector | Terms) -> models.VectorInput:
    return _sparse(sought) if isinstance(sought, Terms) else sought.tolist()


def _point(record: models.Record) -> Point:
    stored = record.vector if isinstance(record.vector, dict) else {}
    dense, sparse = stored.get(VECTOR), stored.get(TERMS)
    vector = None if dense is None else np.asarray(dense, dtype=np.float32)
    terms = None
    if isinstance(sparse, models.SparseVector):
        terms = Terms.of(dict(zip(sparse.indices, sparse.values, strict=True)))
    return Point(_hex(record.id), record.payload or {}, vector, terms)


def _hex(point_id: models.ExtendedPointId) -> str:
    # As the server writes it, with dashes; to read it as a UUID would take ten times as long.
    return str(point_id).replace("-", "")


def _filter(where: Where, ids: Sequence[str] | None = None) -> models.Filter | None:
    conditions: list[models.Condition] = [
        models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))
        for key, values in where.items()
    ]
    if ids is not None:
        conditions.append(models.HasIdCondition(has_id=[UUID(hex=point_id) for point_id in ids]))
    return models.Filter(must=conditions) if conditions else None
