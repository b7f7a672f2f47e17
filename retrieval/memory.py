"""An in-memory engine: exact, not durable; what others are measured by."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import log
from typing import NoReturn

import numpy as np

from chunking.errors import CollectionNotFound
from retrieval.points import (
    Point,
    PointStore,
    ScoredPoint,
    Vector,
    Where,
    collection_not_found,
    matches,
    only_by_terms,
    passing,
)
from retrieval.terms import Terms


@dataclass(slots=True)
class MemoryPointStore:
    """A `PointStore` in a dictionary: exact, not durable; for tests and examples."""

    dimension: int
    points: dict[str, Point] = field(default_factory=dict)
    writing: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def upsert(self, points: Sequence[Point], *, only_if: Where | None = None) -> None:
        """See `PointStore.upsert`."""
        with self.writing:
            allowed = [point for point in points if self._may_write(point.id, only_if)]
            self.points.update((point.id, point) for point in allowed)

    def _may_write(self, point_id: str, only_if: Where | None) -> bool:
        stored = self.points.get(point_id)
        return only_if is None or stored is None or matches(stored.payload, only_if)

    def delete(self, ids: Sequence[str]) -> None:
        """See `PointStore.delete`."""
        for point_id in ids:
            self.points.pop(point_id, None)

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
        """See `PointStore.query`."""
        ranked = self._ranked(sought, where, ids)
        if bare:
            ranked = [replace(hit, payload={}) for hit in ranked]
        if terms is None:
            return ranked[: max(limit, 0)]
        best = {hit.id: hit.score for hit in self._ranked(terms, where, ids)[: max(limit, 0)]}
        scored = {hit.id: replace(hit, term_score=best.get(hit.id)) for hit in ranked}
        near = [*scored.values()][: max(limit, 0)]
        far = only_by_terms(best, near)
        if not bare:
            far = [replace(scored[hit.id], far=True) for hit in far if hit.id in scored]
        return near + far

    def _ranked(
        self, sought: Vector | Terms, where: Where, ids: Sequence[str] | None
    ) -> list[ScoredPoint]:
        scored = [
            ScoredPoint(point.id, score, point.payload)
            for point, score in _scores(sought, tuple(self.points.values()))
            if matches(point.payload, where) and (ids is None or point.id in ids)
        ]
        return sorted(scored, key=lambda hit: (-hit.score, hit.id))

    def scroll(
        self,
        *,
        where: Where,
        ids: Sequence[str] | None = None,
        fields: Sequence[str] | None = None,
        vectors: bool = False,
    ) -> Iterator[Point]:
        """See `PointStore.scroll`."""
        stored = sorted(self.points.values(), key=lambda point: point.id)
        asked = (point for point in stored if ids is None or point.id in ids)
        for point in passing(asked, where, fields):
            vector = _direction(point.vector) if vectors else None
            terms = point.terms if vectors and ids is None else None
            yield Point(point.id, {**point.payload}, vector, terms)

    def count(self, *, where: Where) -> int:
        """See `PointStore.count`."""
        return sum(matches(point.payload, where) for point in tuple(self.points.values()))


class _NoPoints(dict[str, Point]):
    """Stands where the points of a collection were that is gone: looking at them is an error."""

    def __getattribute__(self, _: str) -> NoReturn:
        raise CollectionNotFound("the collection was dropped meanwhile", param="collection")


@dataclass(slots=True)
class MemoryEngine:
    """An `Engine` of `MemoryPointStore`s; forgets everything with the process."""

    stores: dict[str, MemoryPointStore] = field(default_factory=dict)

    def collections(self) -> tuple[str, ...]:
        """See `Engine.collections`."""
        return tuple(sorted(self.stores))

    def create(self, collection: str, *, dimension: int, indexed: Sequence[str]) -> PointStore:
        """See `Engine.create`; a dictionary needs no index."""
        del indexed
        return self.stores.setdefault(collection, MemoryPointStore(dimension))

    def open(self, collection: str) -> PointStore:
        """See `Engine.open`."""
        try:
            return self.stores[collection]
        except KeyError:
            raise collection_not_found(collection, self.collections()) from None

    def drop(self, collection: str) -> None:
        """See `Engine.drop`."""
        dropped = self.stores.pop(collection, None)
        if dropped is not None:
            dropped.points = _NoPoints()

    def close(self) -> None:
        """See `Engine.close`; nothing to release."""


def rarity(points: int, holding: int) -> float:
    """Return the inverse document frequency by which Qdrant weighs a term that points hold."""
    return log(1 + (points - holding + 0.5) / (holding + 0.5))


def _scores(sought: Vector | Terms, stored: Sequence[Point]) -> Iterator[tuple[Point, float]]:
    return _term_scores(sought, stored) if isinstance(sought, Terms) else _cosines(sought, stored)


def _term_scores(sought: Terms, stored: Sequence[Point]) -> Iterator[tuple[Point, float]]:
    """Yield every point that shares a term with what is sought, and its score."""
    held = [
        (point, dict(zip(point.terms.indices, point.terms.weights, strict=True)))
        for point in stored
        if point.terms is not None
    ]
    wanted = {
        index: weight * rarity(len(held), sum(index in weights for _, weights in held))
        for index, weight in zip(sought.indices, sought.weights, strict=True)
    }
    for point, weights in held:
        if shared := wanted.keys() & weights.keys():
            yield point, sum(wanted[index] * weights[index] for index in sorted(shared))


def _cosines(sought: Vector, stored: Sequence[Point]) -> Iterator[tuple[Point, float]]:
    for point in stored:
        if point.vector is not None:
            yield point, _cosine(sought, point.vector)


def _direction(vector: Vector | None) -> Vector | None:
    if vector is None:
        return None
    norm = float(np.linalg.norm(vector))
    return vector / np.float32(norm) if norm else vector


def _cosine(left: Vector, right: Vector) -> float:
    norm = float(np.linalg.norm(left) * np.linalg.norm(right))
    return float(left @ right) / norm if norm else 0.0
