"""Reads the events of a streamed answer, and leaves nothing of the response open behind it.

The SDK's own stream leaves the generators of the response half read where it ends early. An error
that was kept may hold them, and then the garbage collector finds them, possibly from another
thread, while the event loop closes them. Here each generator is closed by the one that opened it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Final

import anyio
import httpx2

LATE: Final = httpx2.TimeoutException
"""What reading raises where a server falls silent."""

LOST: Final = (httpx2.RequestError, ssl.SSLError, anyio.EndOfStream)
"""What reading raises where the connection breaks."""

_DONE: Final = b"[DONE]"
"""The data after which nothing of the answer follows."""

_END_SECONDS: Final = 0.5
"""How long the end of the body may take after that; once it was read, the connection is free."""

# A carriage return at the very end may be half of a line end.
_LINE_END: Final = re.compile(rb"\r\n|\n|\r(?=.)", re.DOTALL)


class ErrorInStream(Exception):
    """The server says in the middle of an answer that it failed.

    Attributes:
        body: its error object, in whatever form.
    """

    def __init__(self, body: object) -> None:
        self.body = body
        super().__init__("the server failed in the middle of the answer")


@dataclass(slots=True)
class EventData:
    """Finds the data of server-sent events in bytes that come in any pieces.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
    """

    _rest: bytes = b""
    _lines: list[bytes] = field(default_factory=list)

    def feed(self, part: bytes) -> Iterator[bytes]:
        """Yield the data of each event that is whole by now; comments and other fields are not."""
        *lines, self._rest = _LINE_END.split(self._rest + part)
        for line in lines:
            name, _, value = line.partition(b":")
            if name == b"data":
                self._lines.append(value.removeprefix(b" "))
            elif not line and self._lines:
                yield b"\n".join(self._lines)
                self._lines.clear()


async def read_events(response: httpx2.Response) -> AsyncGenerator[bytes]:
    """Yield the data of each event, until the server says that it is done or the body ends.

    Raises:
        LATE, LOST: the connection fails before that.
    """
    async with contextlib.aclosing(response.aiter_bytes()) as parts:
        data = EventData()
        async for part in parts:
            for event in data.feed(part):
                if event.startswith(_DONE):
                    await _read_to_end(parts)
                    return
                yield event
        for event in data.feed(b"\n"):
            yield event


async def _read_to_end(parts: AsyncIterator[bytes]) -> None:
    with contextlib.suppress(TimeoutError, *LOST):
        async with asyncio.timeout(_END_SECONDS):
            async for _ in parts:
                pass
