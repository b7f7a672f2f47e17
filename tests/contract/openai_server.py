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
    """One HTTP answer, or a stream of events.

    Attributes:
        delay_seconds: pause before the answer.
        reset: drop the connection; before the answer, or after the events of a stream.
        events: what a stream sends, in order; bytes as they are, anything else as `data: JSON`.
        event_seconds: pause after each event.
        hang_seconds: pause after the last event.
        whole: whether the body of a stream is ended as HTTP asks for.
    """

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0
    reset: bool = False
    events: Sequence[Any] | None = None
    event_seconds: float = 0
    hang_seconds: float = 0
    whole: bool = True

    @classmethod
    def chat(
        cls, text: str | None, *, finish: str = "stop", calls: Sequence[Any] = (), **usage: Any
    ) -> Reply:
        """Return a chat completion with that text, those tool calls and that usage, if any."""
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if calls:
            message["tool_calls"] = list(calls)
        choice = {"index": 0, "message": message}
        body: dict[str, Any] = {"choices": [{**choice, "finish_reason": finish}]}
        return cls({**body, "usage": usage} if usage else body)

    @classmethod
    def stream(cls, *events: Any, **options: Any) -> Reply:
        """Return a stream of these events, see `events`."""
        return cls(events=events, headers={"content-type": "text/event-stream"}, **options)

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
        return self._head(headers) + content

    def stream_head(self) -> bytes:
        """Return status line and headers of a stream."""
        return self._head({"transfer-encoding": "chunked", "connection": "close", **self.headers})

    def _head(self, headers: Mapping[str, str]) -> bytes:
        lines = [f"HTTP/1.1 {self.status} X", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"


DONE = b"data: [DONE]\n\n"


def event(
    content: str | None = None,
    *,
    finish: str | None = None,
    calls: Sequence[Any] = (),
    usage: Any = None,
) -> dict[str, Any]:
    """Return one event of a streamed chat completion."""
    delta: dict[str, Any] = {"tool_calls": list(calls)} if calls else {"content": content}
    chunk: dict[str, Any] = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return chunk if usage is None else {**chunk, "usage": usage}


def call_part(index: int | None, **parts: Any) -> dict[str, Any]:
    """Return a part of a tool call: `id`, `name` and `arguments`, as far as given."""
    function = {name: parts[name] for name in ("name", "arguments") if name in parts}
    part: dict[str, Any] = {"function": function}
    if index is not None:
        part["index"] = index
    return {**part, "id": parts["id"]} if "id" in parts else part


@dataclass(slots=True)
class Received:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class OpenAIServer:
    """Plays chat replies in order, then answers by itself; lists its models; plays other routes."""

    def __init__(self, replies: Sequence[Reply], models: Any, routes: Mapping[str, Reply]) -> None:
        self._replies = list(replies)
        self._models = models
        self._routes = routes
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
            if reply.events is not None:
                await self._stream(reply, reader, writer)
            if reply.reset:
                writer.transport.abort()
                return
            if reply.events is None:
                writer.write(reply.encoded())
                await writer.drain()
        except ConnectionError:
            self.disconnected.set()
        finally:
            writer.close()

    def asked(self, path: str) -> list[Received]:
        """Return the requests that came for a path."""
        return [request for request in self.received if request.path == path]

    async def _stream(
        self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(reply.stream_head())
        for sent in reply.events or ():
            data = sent if isinstance(sent, bytes) else f"data: {json.dumps(sent)}\n\n".encode()
            writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            await writer.drain()
            await asyncio.sleep(reply.event_seconds)
        if reply.hang_seconds:
            await self._wait(reader, reply.hang_seconds)
        if reply.whole and not reply.reset:
            writer.write(b"0\r\n\r\n")
            await writer.drain()

    def _reply(self, request: Received) -> Reply:
        if request.path == "/v1/models":
            return self._models if isinstance(self._models, Reply) else Reply(self._models)
        if request.path != "/v1/chat/completions":
            return self._routes.get(request.path, Reply.error(404, "echo Not Found"))
        if self._replies:
            return self._replies.pop(0)
        return _answer(request)

    async def _wait(self, reader: asyncio.StreamReader, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await reader.read()  # ends early when the client leaves
        except TimeoutError:
            return
        self.disconnected.set()


@asynccontextmanager
async def run_server(
    replies: Sequence[Reply] = (), models: Any = None, routes: Mapping[str, Reply] | None = None
) -> AsyncIterator[OpenAIServer]:
    """Serve on a free port; the default list of models is one `small` with 8,192 tokens."""
    listed = {"data": [{"id": "small", "max_model_len": 8192}]} if models is None else models
    server = OpenAIServer(replies, listed, routes or {})
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


def _answer(request: Received) -> Reply:
    """Answer like a model: call the first tool once, else repeat the last message."""
    last = request.body["messages"][-1]
    tools = request.body.get("tools")
    if tools and last["role"] == "user":
        name = tools[0]["function"]["name"]
        parts = [
            call_part(0, id="call-1", name=name, arguments=""),
            call_part(0, arguments='{"city": '),
            call_part(0, arguments='"Lima"}'),
        ]
        if request.body.get("stream"):
            pieces = [event(calls=[part]) for part in parts]
            return Reply.stream(event(""), *pieces, event(finish="tool_calls"), DONE)
        whole = call_part(0, id="call-1", name=name, arguments='{"city": "Lima"}')
        return Reply.chat(None, finish="tool_calls", calls=[whole])
    return _echo(request, last["content"])


def _echo(request: Received, text: str) -> Reply:
    """Count words, stop at the limit."""
    words = text.split()
    limit = request.body.get("max_tokens") or request.body["max_completion_tokens"]
    said = words[:limit]
    finish = "length" if len(words) > limit else "stop"
    usage: dict[str, Any] = {
        "prompt_tokens": sum(len((m["content"] or "").split()) for m in request.body["messages"]),
        "completion_tokens": len(said),
    }
    if not request.body.get("stream"):
        return Reply.chat(" ".join(said), finish=finish, **usage)
    pieces = [event(f" {word}" if number else word) for number, word in enumerate(said)]
    counted = [{"choices": [], "usage": usage}] if "stream_options" in request.body else []
    return Reply.stream(event(""), *pieces, event(finish=finish), *counted, DONE)
