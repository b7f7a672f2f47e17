"""Fills a second place of a collection while the first one is read, and then moves it there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from chunking.errors import CollectionNotFound
from retrieval.fingerprint import IndexFingerprint, create_place, read_fingerprint
from retrieval.index import Index
from retrieval.lease import Lease
from retrieval.places import Switch, next_place, open_place, other_places
from retrieval.points import Engine, Point
from retrieval.scope import point_id, scope_of, scoped
from retrieval.write_lease import take_lease
from retrieval.writer import GRACE_SECONDS


@dataclass(frozen=True, slots=True)
class Rebuild:
    """A rebuild under way; made by `begin_rebuild`.

    Attributes:
        stored: the collection as it is, whatever made its vectors; nobody else changes it.
        build: the place that is filled, for an `IndexWriter`; no reader sees it before `switch`.
    """

    engine: Engine
    stored: Index
    build: Index
    grace_seconds: float
    wait: Callable[[float], None]
    _lease: Lease
    _switch: Switch

    def switch(self) -> None:
        """Let the collection lie in the new place by one write, and remove the old one.

        Readers that look at the old one go on with it until they ask again whether it changed, and
        it is removed when that is past.

        Raises:
            StoreError: another job has taken over; the collection stays where it is.
        """
        self._lease.check()
        self._send_readers()
        self._switch.move(self.build.place)
        self.wait(self.grace_seconds)
        # Given back before it goes: its keeper would write into nothing.
        self._lease.release()
        self.engine.drop(self.stored.place)

    def _send_readers(self) -> None:
        """Have the readers of the old place ask where the collection lies, from now on.

        Before the switch: whatever dies behind it, no reader stays with what is superseded.
        """
        points = self.stored.points
        states = [one.payload for one in points.scroll(where=scope_of("state"))]
        state = states[0] if states else scoped("state", {"token": "", "swept": "yes"})
        points.upsert([Point(point_id("state"), {**state, "moving": "yes"})])


@contextmanager
def begin_rebuild(
    engine: Engine,
    collection: str,
    fingerprint: IndexFingerprint,
    *,
    grace_seconds: float = GRACE_SECONDS,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[Rebuild]:
    """Hold a collection against other writers and open a second place for it.

    A place that an earlier rebuild began for the same fingerprint is gone on with; one for another
    is removed. Without `Rebuild.switch`, the collection stays as it is and the place is kept.

    Raises:
        CollectionNotFound: there is no such collection.
        StoreLocked: another writer holds it.
    """
    stored = open_stored(engine, collection)
    lease = take_lease(stored, wait=wait)
    try:
        # From here on, no earlier rebuild of this collection can switch to what it has filled.
        switch = Switch(engine, collection, stored.place)
        place = next_place(stored.place)
        for other in other_places(engine, collection, stored.place).unfinished:
            if other != place or read_fingerprint(engine.open(other)) != fingerprint:
                engine.drop(other)
        build = Index(
            collection, create_place(engine, place, fingerprint), fingerprint, place=place
        )
        yield Rebuild(engine, stored, build, grace_seconds, wait, lease, switch)
    finally:
        lease.release()


def open_stored(engine: Engine, collection: str) -> Index:
    """Open a collection whatever made its vectors, to read what does not depend on them.

    Raises:
        CollectionNotFound: there is no such collection, or its creation was cut short.
    """
    place, points = open_place(engine, collection)
    stored = read_fingerprint(points)
    if stored is None:
        raise CollectionNotFound(f"collection {collection!r} holds nothing", param="collection")
    return Index(collection, points, stored, place=place, engine=engine)
