"""The LiteLLM SDK, with the provider `openai/`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import litellm
import openai

from scripts.conformance.checks import Call, Client, Failure, Reply, main


def answer(call: Call) -> Reply:
    """Ask with `completion`."""
    response: Any = litellm.completion(**_arguments(call))
    text = response.choices[0].message.content or ""
    return Reply(text, _receipt(response), response.usage.prompt_tokens)


async def stream(call: Call) -> AsyncGenerator[str | Reply]:
    """Stream with `acompletion`."""
    options = {"stream": True, "stream_options": {"include_usage": True}}
    events: Any = await litellm.acompletion(**_arguments(call), **options)
    receipt, prompt_tokens, text = None, None, ""
    try:
        async for chunk in events:
            receipt = receipt or _receipt(chunk)
            usage = getattr(chunk, "usage", None)
            prompt_tokens = usage.prompt_tokens if usage else prompt_tokens
            for choice in chunk.choices:
                text += choice.delta.content or ""
                yield choice.delta.content or ""
    finally:
        await events.aclose()
    yield Reply(text, receipt, prompt_tokens)


def failure(error: Exception) -> Failure:
    """Read LiteLLM's errors, children of the OpenAI SDK's."""
    if not isinstance(error, openai.APIError):
        raise error
    status = getattr(error, "status_code", None)
    # LiteLLM puts the status into `code`; the service's own code is in the body, or is the class.
    code = error.body.get("code") if isinstance(error.body, dict) else error.code
    if isinstance(error, litellm.ContextWindowExceededError):
        code = "context_length_exceeded"
    return Failure(f"`litellm.{type(error).__name__}`", status, code, error.message)


def _arguments(call: Call) -> dict[str, Any]:
    return {
        "model": f"openai/{call.model}",
        "api_base": call.base_url,
        "api_key": call.key,
        "max_retries": call.retries,
        "messages": [{"role": "user", "content": call.question}],
    }


def _receipt(response: Any) -> Mapping[str, Any] | None:
    receipt: Mapping[str, Any] | None = getattr(response, "context", None)
    return receipt


if __name__ == "__main__":
    main(
        Client(
            package="litellm",
            answer=answer,
            stream=stream,
            failure=failure,
            overflow="`litellm.ContextWindowExceededError`",
            receipt_at=("`response.context`", "`chunk.context` of the first chunk"),
        )
    )
