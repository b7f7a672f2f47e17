"""Runs an iterable on a thread of its own, a bounded number of items ahead of who reads it."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")

_WAIT_SECONDS = 0.05
"""How often a thread that waits for room looks whether anybody still reads."""


class _End:
    """Marks the end of the items, and what ended them where that was an error."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class Lookahead(Generic[Item]):
    """Yields the items of an iterable in order while a thread already takes the next ones.

    At most `size` items wait. An error of the iterable is raised once, where its item would have
    come; afterwards the iteration is over. The thread has ended when the `with` block is left,
    which waits for an item that is being made: nothing outlives the block.

    Args:
        items: iterated on the thread alone, from the first item to the last.
        size: most items that wait, at least one.
        timeout_seconds: how long the reader waits for an item before it is given a TimeoutError.
    """

    def __init__(
        self, items: Iterable[Item], *, size: int, timeout_seconds: float | None = None
    ) -> None:
        self._items = items
        self._timeout_seconds = timeout_seconds
        self._waiting: Queue[Item | _End] = Queue(maxsize=max(size, 1))
        self._left = Event()
        self._over = False
        self._thread = Thread(target=self._work, name="windowfit-lookahead", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()

    @property
    def ready(self) -> bool:
        """Whether the next item, or the end, can be had without waiting."""
        return self._over or not self._waiting.empty()

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        if self._over:
            raise StopIteration
        try:
            item = self._waiting.get(timeout=self._timeout_seconds)
        except Empty:
            raise TimeoutError(f"no item for {self._timeout_seconds:g} s") from None
        if not isinstance(item, _End):
            return item
        self._over = True
        if item.error is not None:
            raise item.error
        raise StopIteration

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._items:
                if not self._put(item):
                    break
            if isinstance(self._items, Generator):
                # Its own clean-up belongs to this thread, not to whichever frees it some day.
                self._items.close()
        except BaseException as raised:  # noqa: BLE001 - handed to the reader, who raises it
            error = raised
        self._put(_End(error))

    def _put(self, item: Item | _End) -> bool:
        """Wait for room; return whether anybody still reads."""
        while not self._left.is_set():
            try:
                self._waiting.put(item, timeout=_WAIT_SECONDS)
            except Full:
                continue
            return True
        return False
