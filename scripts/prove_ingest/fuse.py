"""An engine that counts what is written, and ends its process at one of the writes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from retrieval.points import Engine, Point, PointStore, ScoredPoint, Vector, Where
from retrieval.terms import Terms


@dataclass(slots=True)
class Fuse:
    """Counts writes, and ends the process before the n-th, or behind it for n + 0.5.

    Attributes:
        before_write: called before the n-th write, from 0.
    """

    die_at: float
    before_write: Callable[[int], None] = lambda _: None
    writes: int = 0

    def write(self, action: Callable[[], Any]) -> Any:
        """Do what changes the store."""
        self.before_write(self.writes)
        if self.writes == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        done = action()
        self.writes += 1
        if self.writes == self.die_at + 0.5:
            os.kill(os.getpid(), signal.SIGKILL)
        return done


@dataclass(frozen=True, slots=True)
class FusedStore:
    """A `PointStore` whose writes are counted."""

    store: PointStore
    fuse: Fuse

    def upsert(self, points: Sequence[Point], *, only_if: Where | None = None) -> None:
        """See `PointStore.upsert`."""
        self.fuse.write(partial(self.store.upsert, points, only_if=only_if))

    def delete(self, ids: Sequence[str]) -> None:
        """See `PointStore.delete`."""
        self.fuse.write(partial(self.store.delete, ids))

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
        return self.store.query(sought, limit=limit, where=where, ids=ids, terms=terms, bare=bare)

    def scroll(
        self,
        *,
        where: Where,
        ids: Sequence[str] | None = None,
        fields: Sequence[str] | None = None,
        vectors: bool = False,
    ) -> Iterator[Point]:
        """See `PointStore.scroll`."""
        return self.store.scroll(where=where, ids=ids, fields=fields, vectors=vectors)

    def count(self, *, where: Where) -> int:
        """See `PointStore.count`."""
        return self.store.count(where=where)


@dataclass(frozen=True, slots=True)
class FusedEngine:
    """An `Engine` whose writes are counted, those to its collections and those of collections."""

    engine: Engine
    fuse: Fuse

    def collections(self) -> tuple[str, ...]:
        """See `Engine.collections`."""
        return self.engine.collections()

    def create(self, collection: str, *, dimension: int, indexed: Sequence[str]) -> PointStore:
        """See `Engine.create`."""
        create = partial(self.engine.create, collection, dimension=dimension, indexed=indexed)
        return FusedStore(self.fuse.write(create), self.fuse)

    def open(self, collection: str) -> PointStore:
        """See `Engine.open`."""
        return FusedStore(self.engine.open(collection), self.fuse)

    def drop(self, collection: str) -> None:
        """See `Engine.drop`."""
        self.fuse.write(partial(self.engine.drop, collection))

    def close(self) -> None:
        """See `Engine.close`."""
        self.engine.close()
