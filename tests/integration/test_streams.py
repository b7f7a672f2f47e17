"""Streams and departures over a real socket: what is sent when, and what leaving cancels."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from chunking.errors import WindowfitError
from serve.backends.protocol import CompletionRequest
from serve.backends.scripted import ScriptedBackend
from serve.errors import UpstreamError, UpstreamRateLimited
from serve.settings import ServeSettings
from tests.running import running
from tests.serving import SETTINGS, mistral, small_runtime

pytestmark = pytest.mark.network

QUESTION = "What is the capital of Peru?"
ASKED = {"question": QUESTION}
CHAT = {"model": "scripted", "messages": [{"role": "user", "content": QUESTION}]}


def settings(**changes: Any) -> ServeSettings:
    return SETTINGS.model_copy(update=changes)


class Connection:
    """One HTTP/1.1 request by hand, so that it can be left at any byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def head(self) -> tuple[int, dict[str, str]]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = head.strip().split("\r\n")
        return int(status.split()[1]), dict(line.split(": ", 1) for line in lines)

    async def events(self) -> list[str]:
        """Read to the end and return the comments and data lines, without chunked framing."""
        content, rest = b"", await self.reader.read()
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            content, rest = content + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        return content.decode().rstrip("\n").split("\n\n")

    async def leave(self) -> None:
        self.writer.transport.abort()
        await asyncio.sleep(0)


@asynccontextmanager
async def post(port: int, path: str, body: dict[str, Any]) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    content = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "host: test", "content-type: application/json"]
    head = "\r\n".join([*lines, f"content-length: {len(content)}", "connection: close"])
    writer.write(f"{head}\r\n\r\n".encode() + content)
    await writer.drain()
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def served(
    backend: ScriptedBackend,
    scenario: Callable[[int], Coroutine[Any, Any, Any]],
    **changes: Any,
) -> Any:
    async def serve() -> Any:
        async with running(small_runtime(backend), settings(**changes)) as port:
            return await asyncio.wait_for(scenario(port), 30)

    return asyncio.run(serve())


def streamed(
    backend: ScriptedBackend, path: str, body: dict[str, Any], **changes: Any
) -> tuple[int, dict[str, str], list[str]]:
    async def scenario(port: int) -> tuple[int, dict[str, str], list[str]]:
        async with post(port, path, {**body, "stream": True}) as connection:
            status, headers = await connection.head()
            return status, headers, await connection.events()

    result: tuple[int, dict[str, str], list[str]] = served(backend, scenario, **changes)
    return result


def data(events: list[str]) -> list[dict[str, Any]]:
    return [
        json.loads(line.removeprefix("data: ")) for line in events if line.startswith("data: {")
    ]


def exact(request: CompletionRequest) -> int:
    return mistral().count_messages(request.messages)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the service has no event for it
            await asyncio.sleep(0.01)


# --- what is sent


def test_a_chat_stream_begins_with_the_receipt_and_ends_with_usage_cost_and_done() -> None:
    backend = ScriptedBackend(["It is Lima [1][99]."], prompt_tokens=exact)

    status, headers, events = streamed(backend, "/v1/chat/completions", CHAT)

    chunks = data(events)
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["x-context-used"] == str(chunks[0]["context"]["prompt_tokens"])
    assert events[-1] == "data: [DONE]"
    assert not [line for line in events if line.startswith("event:")]
    first, *texts, last = chunks
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert first["request_id"] == headers["x-request-id"]
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in texts) == "It is Lima [1]."
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["usage"]["prompt_tokens"] == first["context"]["prompt_tokens"]
    assert last["context"]["removed_citations"] == 1
    assert [citation["marker"] for citation in last["citations"]] == [1]
    assert last["cost_usd"] == 0
    assert {chunk["id"] for chunk in chunks} == {f"chatcmpl-{headers['x-request-id']}"}


def test_usage_comes_on_a_chunk_of_its_own_when_it_is_asked_for() -> None:
    body = {**CHAT, "stream_options": {"include_usage": True}}

    _, _, events = streamed(ScriptedBackend(["Lima [1]."]), "/v1/chat/completions", body)

    *others, last = data(events)
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] > 0
    assert all(chunk["usage"] is None for chunk in others)
    assert others[-1]["choices"][0]["finish_reason"] == "stop"


def test_an_answer_streams_as_context_deltas_and_the_whole_answer() -> None:
    _, headers, events = streamed(ScriptedBackend(["It is Lima [1]."]), "/answer", ASKED)

    first, *deltas, last = data(events)
    assert first["request_id"] == headers["x-request-id"]
    assert "".join(event["delta"] for event in deltas) == last["answer"] == "It is Lima [1]."
    assert last["context"]["entries"] == first["context"]["entries"]
    assert last["usage"]["source"] == "planned"


def test_a_silence_is_broken_by_comments_also_before_the_first_piece() -> None:
    backend = ScriptedBackend(["It is"], delay_seconds=0.5, piece_seconds=0.3)

    _, _, events = streamed(backend, "/answer", ASKED, keepalive_seconds=0.1, grace_seconds=0)

    assert events[1] == ": keepalive"
    assert events.count(": keepalive") >= 4
    between = events[events.index('data: {"delta":"It"}') :]
    assert between[1] == ": keepalive"


# --- failures


@pytest.mark.parametrize("path", ["/answer", "/v1/chat/completions"])
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (UpstreamError("m cannot be reached"), 503, "upstream_unavailable"),
        (UpstreamRateLimited("asks", retry_after_seconds=7), 429, "rate_limited"),
    ],
)
def test_a_failure_before_the_first_piece_is_a_real_status(
    path: str, error: WindowfitError, status: int, code: str
) -> None:
    body = ASKED if path == "/answer" else CHAT

    async def scenario(port: int) -> tuple[int, dict[str, str], bytes]:
        async with post(port, path, {**body, "stream": True}) as connection:
            head = await connection.head()
            return *head, await connection.reader.read()

    got, headers, content = served(ScriptedBackend([error]), scenario)

    assert got == status
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-should-retry"] == "true"
    assert headers["retry-after"] == str(error.retry_after_seconds)
    assert json.loads(content)["error"]["code"] == code


def test_a_plan_that_is_refused_is_a_real_status() -> None:
    body = {**CHAT, "messages": [{"role": "user", "content": "word " * 9000}], "stream": True}

    async def scenario(port: int) -> int:
        async with post(port, "/v1/chat/completions", body) as connection:
            return (await connection.head())[0]

    assert served(ScriptedBackend(()), scenario) == 400


@pytest.mark.parametrize("path", ["/answer", "/v1/chat/completions"])
def test_a_failure_after_the_first_piece_is_the_last_event(path: str) -> None:
    backend = ScriptedBackend([["It ", "is ", UpstreamError("m closed the connection")]])

    status, _, events = streamed(backend, path, ASKED if path == "/answer" else CHAT)

    error = data(events)[-1]["error"]
    assert status == 200
    assert events[-1] != "data: [DONE]"
    assert (error["code"], error["message"]) == ("upstream_unavailable", "m closed the connection")
    assert error["hint"]
    assert error["request_id"]
    assert error["retryable"] is True


def test_a_slow_failure_before_the_first_piece_is_an_event_after_the_grace() -> None:
    backend = ScriptedBackend([UpstreamError("m cannot be reached")], delay_seconds=0.3)

    status, _, events = streamed(backend, "/v1/chat/completions", CHAT, grace_seconds=0.05)

    assert status == 200
    assert data(events)[-1]["error"]["code"] == "upstream_unavailable"


def test_a_prompt_cut_in_silence_ends_the_stream_with_its_error() -> None:
    _, _, events = streamed(
        ScriptedBackend(["Lima"], prompt_tokens=10), "/v1/chat/completions", CHAT
    )

    assert data(events)[-1]["error"]["code"] == "upstream_silent_truncation"
    assert events[-1] != "data: [DONE]"


def test_a_prompt_cut_in_silence_is_only_reported_where_the_settings_say_so() -> None:
    backend = ScriptedBackend(["Lima"], prompt_tokens=10)

    _, _, events = streamed(backend, "/v1/chat/completions", CHAT, upstream_check="report")

    upstream = data(events)[-1]["context"]["upstream"]
    assert upstream["silently_truncated"] is True
    assert upstream["drift"] < 0


def test_a_defect_in_a_stream_tells_its_request_and_nothing_of_its_cause() -> None:
    class Broken(ScriptedBackend):
        async def stream(self, request: CompletionRequest) -> Any:
            yield "It "
            raise RuntimeError(f"cannot digest {request.question}")

    _, headers, events = streamed(Broken(()), "/v1/chat/completions", CHAT)

    error = data(events)[-1]["error"]
    assert error["code"] == "internal_error"
    assert error["request_id"] == headers["x-request-id"]
    assert "digest" not in json.dumps(error)


# --- leaving


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", ["/answer", "/v1/chat/completions"])
@pytest.mark.parametrize("grace", [0.0, 30.0], ids=["headers sent", "nothing sent"])
def test_leaving_before_the_first_piece_cancels_the_model(
    path: str, stream: bool, grace: float
) -> None:
    backend = ScriptedBackend(["yes"], delay_seconds=30)
    body = {**(ASKED if path == "/answer" else CHAT), "stream": stream}

    async def scenario(port: int) -> None:
        async with post(port, path, body) as connection:
            await until(lambda: len(backend.requests) == 1)
            if stream and not grace:
                await connection.head()
            assert backend.cancelled == 0
            await connection.leave()
            await until(lambda: backend.cancelled == 1)

    served(backend, scenario, grace_seconds=grace)


def test_leaving_in_the_middle_of_an_answer_cancels_the_model() -> None:
    backend = ScriptedBackend(["one " * 1000], piece_seconds=0.02)

    async def scenario(port: int) -> None:
        async with post(port, "/v1/chat/completions", {**CHAT, "stream": True}) as connection:
            await connection.reader.readuntil(b'"content":"one"')
            await connection.leave()
            await until(lambda: backend.cancelled == 1)

    served(backend, scenario)


def test_a_client_that_stays_cancels_nothing() -> None:
    backend = ScriptedBackend(["yes", "yes"])

    async def scenario(port: int) -> None:
        for stream in (True, False):
            async with post(port, "/answer", {**ASKED, "stream": stream}) as connection:
                await connection.reader.read()

    served(backend, scenario)
    assert (len(backend.requests), backend.cancelled) == (2, 0)


def test_a_slow_answer_is_streamed_to_its_end() -> None:
    backend = ScriptedBackend(["one " * 200], piece_seconds=0.005)

    async def scenario(port: int) -> list[str]:
        async with post(port, "/answer", {**ASKED, "stream": True}) as connection:
            await connection.head()
            return await connection.events()

    assert data(served(backend, scenario))[-1]["finish_reason"] == "stop"
