"""A small OpenAI-like server on the loopback interface that misbehaves as it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer; `reset` drops the connection instead, `delay_seconds` waits before it."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0
    reset: bool = False

    @classmethod
    def chat(cls, text: str | None, *, finish: str = "stop", **usage: Any) -> Reply:
        """Return a chat completion with that text and that usage, if any."""
        choice = {"index": 0, "message": {"role": "assistant", "content": text}}
        body: dict[str, Any] = {"choices": [{**choice, "finish_reason": finish}]}
        return cls({**body, "usage": usage} if usage else body)

    @classmethod
    def error(cls, status: int, message: str, **fields: Any) -> Reply:
        """Return an error in OpenAI's form."""
        return cls({"error": {"message": message, **fields}}, status=status)

    def encoded(self) -> bytes:
        """Return status line, headers and body."""
        raw = isinstance(self.body, str)
        content = self.body.encode() if raw else json.dumps(self.body).encode()
        headers = {
            "content-type": "application/json",
            "content-length": str(len(content)),
            "connection": "close",
            **self.headers,
        }
        lines = [f"HTTP/1.1 {self.status} X", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


@dataclass(slots=True)
class Received:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class OpenAIServer:
    """Plays chat replies in order, then echoes the last user message; lists its models."""

    def __init__(self, replies: Sequence[Reply], models: Any) -> None:
        self._replies = list(replies)
        self._models = models
        self.received: list[Received] = []
        self.arrived = asyncio.Event()
        self.disconnected = asyncio.Event()
        self.base_url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close the connection."""
        try:
            request = await _read(reader)
            if request is None:
                return
            self.received.append(request)
            self.arrived.set()
            reply = self._reply(request)
            if reply.delay_seconds:
                await self._wait(reader, reply.delay_seconds)
            if reply.reset:
                writer.transport.abort()
                return
            writer.write(reply.encoded())
            await writer.drain()
        except ConnectionError:
            self.disconnected.set()
        finally:
            writer.close()

    def _reply(self, request: Received) -> Reply:
        if request.path.endswith("/models"):
            return self._models if isinstance(self._models, Reply) else Reply(self._models)
        if self._replies:
            return self._replies.pop(0)
        return _echo(request)

    async def _wait(self, reader: asyncio.StreamReader, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await reader.read()  # ends early when the client leaves
        except TimeoutError:
            return
        self.disconnected.set()


@asynccontextmanager
async def run_server(
    replies: Sequence[Reply] = (), models: Any = None
) -> AsyncIterator[OpenAIServer]:
    """Serve on a free port; the default list of models is one `small` with 8,192 tokens."""
    listed = {"data": [{"id": "small", "max_model_len": 8192}]} if models is None else models
    server = OpenAIServer(replies, listed)
    listener = await asyncio.start_server(server.handle, host="127.0.0.1", port=0)
    port = listener.sockets[0].getsockname()[1]
    server.base_url = f"http://127.0.0.1:{port}/v1"
    async with listener:
        yield server


async def _read(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    content = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(first.split()[1], headers, json.loads(content) if content else {})


def _echo(request: Received) -> Reply:
    """Answer like a model: count words, stop at the limit."""
    words = request.body["messages"][-1]["content"].split()
    limit = request.body.get("max_tokens") or request.body["max_completion_tokens"]
    said = words[:limit]
    return Reply.chat(
        " ".join(said),
        finish="length" if len(words) > limit else "stop",
        prompt_tokens=sum(len(m["content"].split()) for m in request.body["messages"]),
        completion_tokens=len(said),
    )
