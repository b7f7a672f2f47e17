"""The OpenAI SDK for Python."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import openai

from scripts.conformance.checks import Call, Client, Failure, Reply, main


def answer(call: Call) -> Reply:
    """Ask through the synchronous client."""
    client = openai.OpenAI(base_url=call.base_url, api_key=call.key, max_retries=call.retries)
    completion = client.chat.completions.create(model=call.model, messages=_messages(call))
    text = completion.choices[0].message.content or ""
    return Reply(text, _receipt(completion), _prompt_tokens(completion))


async def stream(call: Call) -> AsyncGenerator[str | Reply]:
    """Stream through the asynchronous client."""
    client = openai.AsyncOpenAI(base_url=call.base_url, api_key=call.key, max_retries=call.retries)
    events = await client.chat.completions.create(
        model=call.model,
        messages=_messages(call),
        stream=True,
        stream_options={"include_usage": True},
    )
    receipt, prompt_tokens, text = None, None, ""
    async with events:
        async for chunk in events:
            receipt = receipt or _receipt(chunk)
            prompt_tokens = prompt_tokens or _prompt_tokens(chunk)
            for choice in chunk.choices:
                text += choice.delta.content or ""
                yield choice.delta.content or ""
    yield Reply(text, receipt, prompt_tokens)


def failure(error: Exception) -> Failure:
    """Read the SDK's errors."""
    if not isinstance(error, openai.APIError):
        raise error
    status = getattr(error, "status_code", None)
    return Failure(f"`openai.{type(error).__name__}`", status, error.code, error.message)


def _messages(call: Call) -> Any:
    return [{"role": "user", "content": call.question}]


def _receipt(completion: Any) -> Mapping[str, Any] | None:
    receipt: Mapping[str, Any] | None = (completion.model_extra or {}).get("context")
    return receipt


def _prompt_tokens(completion: Any) -> int | None:
    return completion.usage.prompt_tokens if completion.usage else None


if __name__ == "__main__":
    main(
        Client(
            package="openai",
            answer=answer,
            stream=stream,
            failure=failure,
            overflow="`openai.BadRequestError`",
            receipt_at=('`model_extra["context"]`', '`model_extra["context"]` of the first chunk'),
        )
    )
