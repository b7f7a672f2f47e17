"""What the contract tests of the engines share: an open engine, and points to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrieval.points import Engine, Point, PointStore, ScoredPoint, Vector
from retrieval.terms import Terms


@dataclass(slots=True)
class Workbench:
    """One open engine, a collection name of this test's own, and a way to start over."""

    engine: Engine
    collection: str
    connect: Callable[[], Engine]

    def create(self, *, dimension: int = 4) -> PointStore:
        """Create this test's collection."""
        indexed = ("kind", "document")
        return self.engine.create(self.collection, dimension=dimension, indexed=indexed)

    def reopen(self) -> PointStore:
        """Close the engine and open the collection with a new one."""
        self.engine.close()
        self.engine = self.connect()
        return self.engine.open(self.collection)


def point_id(number: int) -> str:
    return f"{number:032x}"


def point(
    number: int, vector: Vector | None = None, *, terms: Terms | None = None, **payload: Any
) -> Point:
    return Point(point_id(number), payload, vector, terms)


def unit(axis: int, *, dimension: int = 4) -> Vector:
    vector = np.zeros(dimension, dtype=np.float32)
    vector[axis] = 1
    return vector


def random_points(count: int, *, dimension: int) -> list[Point]:
    vectors = np.random.default_rng(7).standard_normal((count, dimension), dtype=np.float32)
    return [point(number, vector, place=number) for number, vector in enumerate(vectors)]


def ids(points: Iterable[Point | ScoredPoint]) -> list[str]:
    return [found.id for found in points]


def payloads(store: PointStore, **where: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    return {found.id: found.payload for found in store.scroll(where=where)}
