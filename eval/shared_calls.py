"""Makes a call once for all who want it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")


class SharedCalls(Generic[_T]):
    """Calls that are under way, by key: who wants one that runs waits for it, and pays nothing."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[_T]] = {}

    async def join(self, key: str, call: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Return what the call of a key gives; it is made unless one of that key is under way.

        An error of the call reaches everyone who waits for it. Who is cancelled while waiting
        cancels the call.
        """
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.create_task(call())
            running.add_done_callback(lambda _: self._running.pop(key, None))
        return await running
