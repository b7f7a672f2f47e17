"""The two small protocols a vector engine fulfils, and an in-memory engine that fulfils them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log
from typing import Any, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from chunking.errors import CollectionNotFound
from retrieval.terms import Terms

Vector = NDArray[np.float32]
Where = Mapping[str, Sequence[str]]
"""A filter: for every key, the payload value must be one of the given values. Empty matches all.

Keys are top-level payload keys without a dot, and their values are strings: engines read a dot as a
path, and match a list by any of its members.
"""


@dataclass(frozen=True, slots=True)
class Point:
    """A stored record: an id of 32 hexadecimal digits, a payload, and a vector and terms or none.

    A point without a vector is stored and scrolled like any other and never returned by a query for
    a vector; the same holds of terms.
    """

    id: str
    payload: Mapping[str, Any]
    vector: Vector | None = None
    terms: Terms | None = None


@dataclass(frozen=True, slots=True)
class ScoredPoint:
    """A point found by a query: with its cosine similarity, or its BM25 score by terms.

    Attributes:
        term_score: where a query for a vector had terms beside it, the score by these of a point
            that is among the best by them.
    """

    id: str
    score: float
    payload: Mapping[str, Any]
    term_score: float | None = None


class PointStore(Protocol):
    """One collection of points. Every acknowledged write survives a killed process.

    Vectors are compared by direction alone and come back with length 1, or as zeros.

    All methods raise `StoreError` when the store cannot be reached, `CollectionNotFound` when the
    collection was dropped meanwhile, `EmbeddingModelMismatch` for a vector of another dimension and
    `InputError` for a payload that cannot be stored.
    """

    def upsert(self, points: Sequence[Point], *, only_if: Where | None = None) -> None:
        """Insert the points, replacing those of the same id; durable on return.

        With `only_if`, a stored point is replaced only where its payload matches; a point that is
        not stored yet is inserted. Looking and writing are one step for each point, among all
        threads and processes that write, so this is a compare-and-set. Who won is read afterwards.
        """

    def delete(self, ids: Sequence[str]) -> None:
        """Remove the points of these ids; unknown ids are ignored."""

    def query(
        self,
        sought: Vector | Terms,
        *,
        limit: int,
        where: Where,
        ids: Sequence[str] | None = None,
        terms: Terms | None = None,
        payloads: bool = True,
    ) -> list[ScoredPoint]:
        """Return at most `limit` points that match the filter, best first.

        For a vector these are the nearest by cosine. For terms they are those that share a term
        with what is sought, by the sum over these of weight times weight times how rare the term is
        (`rarity`, over all points of the collection that have terms, whatever the filter; one that
        was removed may count until the store has tidied up, which it does at a fifth of them).

        With `ids`, only these points are looked at. With `terms` beside a vector, the `limit` best
        by these are found as well where they have a vector: up to twice `limit` points, all in the
        order of their cosines. Without `payloads` those of the points are empty.
        """

    def scroll(
        self, *, where: Where, fields: Sequence[str] | None = None, vectors: bool = False
    ) -> Iterator[Point]:
        """Yield every matching point, in the order of ids.

        Payloads are cut down to `fields` if given; vectors and terms come only with `vectors`.
        """

    def count(self, *, where: Where) -> int:
        """Return the exact number of matching points."""


class Engine(Protocol):
    """A place that holds collections: a folder on this machine, or a server."""

    def collections(self) -> tuple[str, ...]:
        """Return the names of all collections, sorted."""

    def create(self, collection: str, *, dimension: int, indexed: Sequence[str]) -> PointStore:
        """Create a collection for vectors of `dimension`, with keyword indexes on payload keys.

        Opens the collection when it exists already, so that creating twice changes nothing.
        """

    def open(self, collection: str) -> PointStore:
        """Open an existing collection or raise `CollectionNotFound`."""

    def drop(self, collection: str) -> None:
        """Remove a collection and all its points; an unknown name is ignored."""

    def close(self) -> None:
        """Release files and connections; the engine is not used afterwards."""


def _matches(payload: Mapping[str, Any], where: Where) -> bool:
    return all(payload.get(key) in values for key, values in where.items())


def _cut_down(payload: Mapping[str, Any], fields: Sequence[str] | None) -> dict[str, Any]:
    return {key: value for key, value in payload.items() if fields is None or key in fields}


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
        return only_if is None or stored is None or _matches(stored.payload, only_if)

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
        payloads: bool = True,
    ) -> list[ScoredPoint]:
        """See `PointStore.query`."""
        ranked = self._ranked(sought, where, ids)
        if not payloads:
            ranked = [replace(hit, payload={}) for hit in ranked]
        if terms is None:
            return ranked[: max(limit, 0)]
        best = {hit.id: hit.score for hit in self._ranked(terms, where, ids)[: max(limit, 0)]}
        return [
            replace(hit, term_score=best.get(hit.id))
            for place, hit in enumerate(ranked)
            if place < limit or hit.id in best
        ]

    def _ranked(
        self, sought: Vector | Terms, where: Where, ids: Sequence[str] | None
    ) -> list[ScoredPoint]:
        scored = [
            ScoredPoint(point.id, score, point.payload)
            for point, score in _scores(sought, tuple(self.points.values()))
            if _matches(point.payload, where) and (ids is None or point.id in ids)
        ]
        return sorted(scored, key=lambda hit: (-hit.score, hit.id))

    def scroll(
        self, *, where: Where, fields: Sequence[str] | None = None, vectors: bool = False
    ) -> Iterator[Point]:
        """See `PointStore.scroll`."""
        for point in sorted(self.points.values(), key=lambda point: point.id):
            if _matches(point.payload, where):
                payload = _cut_down(point.payload, fields)
                kept_vector, terms = (point.vector, point.terms) if vectors else (None, None)
                yield Point(point.id, payload, _direction(kept_vector), terms)

    def count(self, *, where: Where) -> int:
        """See `PointStore.count`."""
        return sum(_matches(point.payload, where) for point in tuple(self.points.values()))


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


def collection_not_found(collection: str, existing: Sequence[str]) -> CollectionNotFound:
    """Return the error every engine raises for a collection it does not hold."""
    known = ", ".join(existing) if existing else "none"
    return CollectionNotFound(
        f"no collection {collection!r}; existing collections: {known}", param="collection"
    )


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
