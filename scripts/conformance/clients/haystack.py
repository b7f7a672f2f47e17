"""Haystack's `OpenAIChatGenerator`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import openai
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage, StreamingChunk
from haystack.utils import Secret

from scripts.conformance.checks import Call, Client, Failure, Reply, main


def answer(call: Call) -> Reply:
    """Ask with `run`."""
    given = _generator(call).run([ChatMessage.from_user(call.question)])
    return _reply(given["replies"][0])


async def stream(call: Call) -> AsyncGenerator[str | Reply]:
    """Stream with `run_async` and a callback."""
    heard: asyncio.Queue[str | None] = asyncio.Queue()

    async def hear(chunk: StreamingChunk) -> None:
        await heard.put(chunk.content)

    running = asyncio.ensure_future(
        _generator(call).run_async(
            [ChatMessage.from_user(call.question)],
            streaming_callback=hear,
            generation_kwargs={"stream_options": {"include_usage": True}},
        )
    )
    running.add_done_callback(lambda _: heard.put_nowait(None))
    try:
        while (text := await heard.get()) is not None:
            yield text
        given = await running
    finally:
        running.cancel()
        await asyncio.wait([running])
    yield _reply(given["replies"][0])


def failure(error: Exception) -> Failure:
    """Read the errors of the SDK below, which Haystack lets through."""
    if not isinstance(error, openai.APIError):
        raise error
    status = getattr(error, "status_code", None)
    return Failure(f"`openai.{type(error).__name__}`", status, error.code, error.message)


def _generator(call: Call) -> OpenAIChatGenerator:
    return OpenAIChatGenerator(
        api_key=Secret.from_token(call.key),
        model=call.model,
        api_base_url=call.base_url,
        max_retries=call.retries,
    )


def _reply(message: Any) -> Reply:
    return Reply(message.text or "", None, (message.meta.get("usage") or {}).get("prompt_tokens"))


if __name__ == "__main__":
    main(
        Client(
            package="haystack-ai",
            answer=answer,
            stream=stream,
            failure=failure,
            overflow="`openai.BadRequestError`",
            receipt_at=("", ""),
        )
    )
