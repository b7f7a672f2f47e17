"""Takes the right to change a collection, where the collection lies."""

from __future__ import annotations

import time
from collections.abc import Callable

from chunking.errors import CollectionChanged, CollectionNotFound
from retrieval.index import Index
from retrieval.lease import Lease
from retrieval.places import find_place
from retrieval.scope import point_id, scoped


def take_lease(index: Index, *, wait: Callable[[float], None] = time.sleep) -> Lease:
    """Return the lease on the place where an index looks, its collection being there.

    Raises:
        StoreLocked: a live writer holds it.
        CollectionChanged: the collection was moved since the index was opened.
    """
    try:
        lease = Lease(
            index.points, scope=scoped("lease", {}), point_id=point_id("lease"), wait=wait
        )
    except CollectionNotFound as error:
        raise _rebuilt(index) from error
    try:
        moved = index.engine is not None and find_place(index.engine, index.name) != index.place
    except BaseException:
        lease.release()
        raise
    if moved:
        lease.release()
        raise _rebuilt(index)
    return lease


def _rebuilt(index: Index) -> CollectionChanged:
    return CollectionChanged(
        f"collection {index.name!r} was rebuilt since it was opened", hint="run the job again"
    )
