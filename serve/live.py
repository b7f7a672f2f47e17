"""Runs work for a client that may leave, and streams to it: keepalives, errors, cancellation.

A stream is decided late: a request that fails before its first piece, within a short grace, still
gets a real HTTP status. After that, an error is an ordinary `data:` line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping
from typing import Any, Final, Generic, Self, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serve.errors import UpstreamTimeout

KEEPALIVE: Final = b": keepalive\n\n"
_AHEAD_LIMIT: Final = 64
"""Pieces read ahead of the client; a client that reads slowly slows the model's server down."""

Json = Mapping[str, Any]
_T = TypeVar("_T")


class ClientLeft(Exception):
    """The client closed the connection: nobody waits for a response."""


async def while_connected(request: Request, work: Coroutine[Any, Any, _T]) -> _T:
    """Return the result of the work, which is cancelled when the client leaves.

    Raises:
        ClientLeft: the client closed the connection first.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request.receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientLeft
        return working.result()
    finally:
        await _cancel(working, leaving)


class Pieces(Generic[_T]):
    """A generator that runs in one task, so that waiting for it can time out without harming it.

    It is closed when the client leaves, and by `close`.
    """

    def __init__(self, source: AsyncGenerator[_T], request: Request) -> None:
        """Start the generator for the client of a request."""
        self._ready: asyncio.Queue[tuple[_T] | Exception] = asyncio.Queue()
        self._room = asyncio.Semaphore(_AHEAD_LIMIT)
        self._next: tuple[_T] | Exception | None = None
        self._running = asyncio.ensure_future(self._run(source))
        self._leaving = asyncio.ensure_future(_left(request.receive))
        self._leaving.add_done_callback(lambda _: self._running.cancel())

    def __aiter__(self) -> Self:
        """Iterate over the pieces."""
        return self

    async def __anext__(self) -> _T:
        """Return the next piece.

        Raises:
            ClientLeft: the client closed the connection.
            Exception: whatever the generator raised, after the pieces before it.
        """
        item = await self._ready.get() if self._next is None else self._next
        self._next = None
        if isinstance(item, Exception):
            raise item
        self._room.release()
        return item[0]

    async def arrives(self, seconds: float) -> bool:
        """Return whether the next piece or the end is there within so many seconds.

        Raises:
            Exception: the generator failed instead.
        """
        if self._next is None:
            try:
                async with asyncio.timeout(seconds):
                    self._next = await self._ready.get()
            except TimeoutError:
                return False
        if isinstance(self._next, Exception) and not isinstance(self._next, StopAsyncIteration):
            raise self._next
        return True

    @property
    def arrived(self) -> _T | None:
        """The next piece, where `arrives` found one."""
        return self._next[0] if isinstance(self._next, tuple) else None

    async def close(self) -> None:
        """Close the generator and wait until it has ended."""
        await _cancel(self._running, self._leaving)

    async def _run(self, source: AsyncGenerator[_T]) -> None:
        end: Exception = StopAsyncIteration()
        try:
            async with contextlib.aclosing(source):
                async for piece in source:
                    await self._room.acquire()
                    self._ready.put_nowait((piece,))
        except asyncio.CancelledError:
            # A deadline inside the generator can strike while it waits for a slow reader.
            slow = UpstreamTimeout("the deadline passed while the client was not reading")
            end = ClientLeft() if self._leaving.done() else slow
        except Exception as error:  # noqa: BLE001 - raised again where the pieces are read
            end = error
        self._ready.put_nowait(end)


class EventStream(Response, Generic[_T]):
    """Server-sent events: `data:` lines only, since a named event breaks naive clients."""

    media_type = "text/event-stream"

    def __init__(
        self,
        pieces: Pieces[_T],
        *,
        first: _T,
        events: Callable[[_T], Iterable[Json]],
        failure: Callable[[Exception], Json],
        last: bytes,
        keepalive_seconds: float,
    ) -> None:
        """Prepare the response.

        Args:
            pieces: what to send; closed in the end, whatever happens.
            first: the piece that was taken from them to decide on the status.
            events: the events of one piece.
            failure: the event of an error, the last one sent then.
            last: bytes that end a complete stream.
            keepalive_seconds: a silence of that length is broken by a comment.
        """
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._pieces = pieces
        self._first = first
        self._events = events
        self._failure = failure
        self._last = last
        self._keepalive_seconds = keepalive_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the pieces until their end, an error, or the client leaves."""
        del scope, receive

        async def write(body: bytes, *, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": body, "more_body": more})

        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            await self._write_all(write)
            await write(b"", more=False)
        finally:
            await self._pieces.close()

    async def _write_all(self, write: Callable[[bytes], Coroutine[Any, Any, None]]) -> None:
        try:
            piece = self._first
            while True:
                for event in self._events(piece):
                    await write(event_line(event))
                while not await self._pieces.arrives(self._keepalive_seconds):
                    await write(KEEPALIVE)
                piece = await anext(self._pieces)
        except StopAsyncIteration:
            await write(self._last)
        except ClientLeft:
            pass
        except Exception as error:  # noqa: BLE001 - the status is sent: the client must learn of it
            await write(event_line(self._failure(error)))


def event_line(event: Json) -> bytes:
    """Return the event as it is sent; non-ASCII is escaped, since clients split at U+2028 too."""
    return f"data: {json.dumps(event, separators=(',', ':'))}\n\n".encode("ascii")


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancel(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
