"""Model servers on the loopback that fail at random; each counts the marks in what reaches it.

They read the bytes of the socket themselves, so that nothing between a client and the wire can hide
what was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MODEL: Final = "fake"
TOOL: Final = "note"
"""The tool that the models call with what they read."""
STALL_SECONDS: Final = 3.0
"""Longer than the deadline of every profile."""

_REFUSALS: Final = {
    "429": (429, "busy"),
    "500": (500, "internal"),
    "503": (503, "loading"),
    "out of memory": (500, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"),
    "context": (400, "This model's maximum context length is 8192 tokens"),
}
_GUESS: Final = "It is Arequipa, with 977,431 people, says Ricardo Palma."
"""An answer that stands nowhere in the documents, so that rules escalate it."""
_CALLING: Final = 0.6
"""Share of the whole answers with tools that are calls of one."""
_FAILURES: Final = (
    *_REFUSALS,
    "guess",
    "guess",
    "stall",
    "reset",
    "cut",
    "no JSON",
    "withheld",
    "silent cut",
)


@dataclass(slots=True)
class Received:
    """What reached a server.

    Attributes:
        requests, bytes: of everything, heads included.
        marks: how often each mark stood in it.
        behaviours: how often the server did what.
    """

    requests: int = 0
    bytes: int = 0
    marks: Counter[str] = field(default_factory=Counter)
    behaviours: Counter[str] = field(default_factory=Counter)


class FakeServer:
    """Answers, fails, stalls and cuts as a seed says.

    Attributes:
        received: by the first part of the path that clients were given, such as "internal".
    """

    def __init__(self, marks: tuple[str, ...], *, seed: int, failing: float) -> None:
        """Prepare a server.

        Args:
            marks: texts to look for in every byte that comes.
            failing: share of the requests that fail, from 0 to 1.
        """
        self._marks = {mark: mark.encode() for mark in marks}
        self._random = random.Random(seed)
        self._failing = failing
        self.received: dict[str, Received] = {}
        self.port = 0
        self._serving: set[asyncio.Task[None] | None] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen on a free port of the loopback."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            tasks = [task for task in self._serving if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def base_url(self, room: str) -> str:
        """Return the address that keeps account under that name."""
        return f"http://127.0.0.1:{self.port}/{room}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._serving.add(task)
        # Cancelled where a client that left long ago still waits: the end of the server.
        left = (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError)
        with contextlib.suppress(*left):
            while await self._exchange(reader, writer):
                pass
        writer.close()
        self._serving.discard(task)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection goes on."""
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        seen = self.received.setdefault(path.split("/")[1], Received())
        seen.requests += 1
        seen.bytes += len(head) + len(body)
        for mark, sought in self._marks.items():
            if count := head.count(sought) + body.count(sought):
                seen.marks[mark] += count
        if method == "GET":
            await _send(writer, 200, {"object": "list", "data": [{"id": MODEL}]})
            return True
        fails = self._random.random() < self._failing
        behaviour = self._random.choice(_FAILURES) if fails else "answer"
        seen.behaviours[behaviour] += 1
        return await self._behave(behaviour, json.loads(body), writer)

    async def _behave(
        self, behaviour: str, request: dict[str, Any], writer: asyncio.StreamWriter
    ) -> bool:
        """Answer as chance has it; return whether the connection goes on."""
        stream = bool(request.get("stream"))
        if behaviour == "stall":
            await asyncio.sleep(STALL_SECONDS)
        if behaviour in {"stall", "reset"} or (behaviour == "cut" and not stream):
            writer.transport.abort()
            return False
        if behaviour in _REFUSALS:
            status, told = _REFUSALS[behaviour]
            await _send(writer, status, {"error": {"message": told}})
            return True
        text = _GUESS if behaviour == "guess" else _echo(request)
        if request.get("tools") and behaviour == "answer" and self._random.random() < _CALLING:
            await _call(writer, {"text": text}, stream=stream)
            return not stream
        usage = {"prompt_tokens": 3, "completion_tokens": 5} if behaviour == "silent cut" else None
        finish = "content_filter" if behaviour == "withheld" else "stop"
        if stream:
            await _stream(writer, text, finish, usage, cut=behaviour == "cut")
            return False
        choice = {"index": 0, "message": {"content": text}, "finish_reason": finish}
        whole = {"choices": [choice], "usage": usage}
        await _send(writer, 200, "<html>" if behaviour == "no JSON" else whole)
        return True


def _echo(request: dict[str, Any]) -> str:
    """Return an answer that repeats what the model read, as a quotation would."""
    last = str(request["messages"][-1]["content"])
    return f"The sources say [1]: {last[:300]}"


async def _call(
    writer: asyncio.StreamWriter, arguments: Mapping[str, str], *, stream: bool
) -> None:
    """Ask the caller to run a tool, with what the model read as its argument."""
    function = {"name": TOOL, "arguments": json.dumps(arguments)}
    call = {"index": 0, "id": "call00001", "type": "function", "function": function}
    if not stream:
        message = {"content": None, "tool_calls": [call]}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        await _send(writer, 200, {"choices": [choice], "usage": None})
        return
    _open_stream(writer)
    _write_event(writer, {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})
    _write_event(writer, {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    writer.write(b"data: [DONE]\n\n")
    await writer.drain()


async def _send(writer: asyncio.StreamWriter, status: int, body: object) -> None:
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    writer.write(
        f"HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\nretry-after-ms: 1\r\n"
        f"content-length: {len(content)}\r\n\r\n".encode()
        + content
    )
    await writer.drain()


async def _stream(
    writer: asyncio.StreamWriter, text: str, finish: str, usage: object, *, cut: bool
) -> None:
    """Write an answer in pieces; a cut one ends after none or some of them."""
    _open_stream(writer)
    pieces = [text[at : at + 40] for at in range(0, len(text), 40)]
    for number, piece in enumerate(pieces):
        if cut and number == len(text) % 3:
            writer.transport.abort()
            return
        _write_event(writer, {"choices": [{"index": 0, "delta": {"content": piece}}]})
        await writer.drain()
    _write_event(writer, {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    _write_event(writer, {"choices": [], "usage": usage})
    writer.write(b"data: [DONE]\n\n")
    await writer.drain()


def _open_stream(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")


def _write_event(writer: asyncio.StreamWriter, event: object) -> None:
    writer.write(f"data: {json.dumps(event)}\n\n".encode())
