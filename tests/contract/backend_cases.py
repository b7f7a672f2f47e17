"""What the contract tests of the chat backends share: a request, a connection, a bad server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from chunking.document import Chunk, Document
from chunking.errors import WindowfitError
from chunking.tokens import Message
from serve.backends.openai_compatible import OpenAICompatibleBackend
from serve.backends.protocol import ChatBackend, Completion, CompletionRequest
from serve.errors import UpstreamRejected
from tests.contract.openai_server import OpenAIServer, Reply, run_server

KEY = "sk-very-secret-key"
SECRET = "the launch code is 4711"


def ask(
    question: str = "Say yes.", *, max_output_tokens: int = 16, **options: Any
) -> CompletionRequest:
    document = Document(id="d", text=SECRET, title="D", source="d.txt")
    chunk = Chunk.of(document, start=0, end=len(SECRET), path=(), position=0)
    messages = (Message("system", "Answer in one word."), Message("user", question))
    return CompletionRequest(
        messages=options.pop("messages", messages),
        max_output_tokens=max_output_tokens,
        question=question,
        sources=(chunk,),
        **options,
    )


@asynccontextmanager
async def closing(backend: ChatBackend) -> AsyncIterator[ChatBackend]:
    try:
        yield backend
    finally:
        await backend.close()


def connect(server: OpenAIServer, **options: Any) -> OpenAICompatibleBackend:
    settings: dict[str, Any] = {
        "api_key": KEY,
        "model": "small",
        "timeout_seconds": 5,
        "window": 8192,
        "max_retries": 0,
    }
    return OpenAICompatibleBackend(server.base_url, **{**settings, **options})


def run_against(
    *replies: Reply,
    scenario: Callable[[OpenAICompatibleBackend, OpenAIServer], Coroutine[Any, Any, Any]],
    models: Any = None,
    routes: Mapping[str, Reply] | None = None,
    **options: Any,
) -> Any:
    async def run() -> Any:
        async with run_server(replies, models, routes) as server:
            backend = connect(server, **options)
            try:
                return await scenario(backend, server)
            finally:
                await backend.close()

    return asyncio.run(run())


def answer(*replies: Reply, **options: Any) -> Completion:
    async def scenario(backend: OpenAICompatibleBackend, _: OpenAIServer) -> Completion:
        return await backend.complete(ask(SECRET))

    completion: Completion = run_against(*replies, scenario=scenario, **options)
    return completion


async def pieces_of(
    backend: ChatBackend, request: CompletionRequest
) -> tuple[list[str], Completion]:
    """Return the texts and the completion of a stream, having checked that it comes once, last."""
    *pieces, completion = [piece async for piece in backend.stream(request)]
    assert isinstance(completion, Completion)
    texts = [piece for piece in pieces if isinstance(piece, str)]
    assert len(texts) == len(pieces)
    assert "".join(texts) == completion.text
    return texts, completion


def streamed(*replies: Reply, **options: Any) -> tuple[list[str], Completion]:
    async def scenario(
        backend: OpenAICompatibleBackend, _: OpenAIServer
    ) -> tuple[list[str], Completion]:
        return await pieces_of(backend, ask(SECRET))

    result: tuple[list[str], Completion] = run_against(*replies, scenario=scenario, **options)
    return result


def failure(*replies: Reply, call: Callable[..., Any] = answer, **options: Any) -> WindowfitError:
    """Return the error of a call, having checked that it gives nothing away and keeps its cause."""
    with pytest.raises(WindowfitError) as caught:
        call(*replies, **options)
    error = caught.value
    told = f"{error} {error.message} {error.hint} {error.param}"
    assert KEY not in told
    assert SECRET not in told
    assert "echo" not in told
    assert error.__cause__ is not None or isinstance(error, UpstreamRejected)
    return error
