"""The two small protocols a vector engine fulfils, and what engines share."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import Any, Protocol

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
        far: whether it is found by these alone, and not among the nearest.
    """

    id: str
    score: float
    payload: Mapping[str, Any]
    term_score: float | None = None
    far: bool = False


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
        bare: bool = False,
    ) -> list[ScoredPoint]:
        """Return at most `limit` points that match the filter, best first.

        For a vector these are the nearest by cosine. For terms they are those that share a term
        with what is sought, by the sum over these of weight times weight times how rare the term is
        (`rarity`, over all points of the collection that have terms, whatever the filter; one that
        was removed may count until the store has tidied up, which it does at a fifth of them, and
        a server of several shards counts in each of them).

        With `ids`, only these points are looked at. With `terms` beside a vector, the `limit` best
        by these are found as well: those not among the nearest stand last, the best by terms first.

        With `bare`, payloads are empty, and what is far may have no cosine, be it with or without a
        vector: its score is nan. Without, it is left out where it has no vector. A store that reads
        by ids as fast as it sends may do as with `bare` wherever there are terms beside a vector.
        """

    def scroll(
        self,
        *,
        where: Where,
        ids: Sequence[str] | None = None,
        fields: Sequence[str] | None = None,
        vectors: bool = False,
    ) -> Iterator[Point]:
        """Yield every matching point, in the order of ids.

        Payloads are cut down to `fields` if given; vectors and terms come only with `vectors`.
        With `ids`, only these points are looked at, and no terms come.
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


def collection_not_found(collection: str, existing: Sequence[str]) -> CollectionNotFound:
    """Return the error every engine raises for a collection it does not hold."""
    known = ", ".join(existing) if existing else "none"
    return CollectionNotFound(
        f"no collection {collection!r}; existing collections: {known}", param="collection"
    )


def matches(payload: Mapping[str, Any], where: Mapping[str, Collection[str]]) -> bool:
    """Return whether a payload passes a filter."""
    return all(payload.get(key) in values for key, values in where.items())


def _cut_down(point: Point, fields: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in point.payload.items() if key in fields}


def passing(points: Iterable[Point], where: Where, fields: Sequence[str] | None) -> Iterator[Point]:
    """Yield the points whose payload passes a filter, with these fields of it."""
    allowed = {key: frozenset(values) for key, values in where.items()}
    for point in points:
        if matches(point.payload, allowed):
            yield point if fields is None else replace(point, payload=_cut_down(point, fields))


def only_by_terms(best: Mapping[str, float], near: Sequence[ScoredPoint]) -> list[ScoredPoint]:
    """Return the best by terms that are not among the nearest, without cosine and payload."""
    known = {hit.id for hit in near}
    return [
        ScoredPoint(one, nan, {}, score, far=True)
        for one, score in best.items()
        if one not in known
    ]
