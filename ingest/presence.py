"""Shows other processes that this one still takes care of its jobs."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self
from uuid import uuid4

from chunking.errors import StoreError
from retrieval.lease import Holder, Lease
from retrieval.points import PointStore
from retrieval.scope import point_id, scoped

_KIND = "presence"


class Presence:
    """A point of the ledger with a beat, from construction to `close`; see `retrieval.lease`.

    On the same machine a process that is gone is known by its number. Of another machine, or of a
    container that was started anew, only a beat that stands still tells.

    Attributes:
        name: what jobs call it by.
    """

    def __init__(self, ledger: PointStore) -> None:
        self.name = uuid4().hex
        self._ledger = ledger
        self._lease = _lease(ledger, self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def holder(self) -> Holder:
        """This process, for the records of its jobs."""
        return self._lease.holder

    def close(self) -> None:
        """Leave: jobs of this process that did not end read as interrupted from now on."""
        self._lease.release()
        with suppress(StoreError):
            self._ledger.delete([point_id(_KIND, self.name)])


def await_absence(
    ledger: PointStore, name: str, *, wait: Callable[[float], None] = time.sleep
) -> None:
    """Return once it is known that nobody shows this presence any more; takes up to 30 seconds.

    Args:
        wait: sleeps so many seconds; may raise to give up.

    Raises:
        StoreLocked: the process runs; the message names it.
    """
    _lease(ledger, name, wait=wait).release()
    ledger.delete([point_id(_KIND, name)])


def _lease(ledger: PointStore, name: str, *, wait: Callable[[float], None] = time.sleep) -> Lease:
    scope = scoped(_KIND, {"presence": name})
    return Lease(ledger, scope=scope, point_id=point_id(_KIND, name), wait=wait)
