"""LlamaIndex's `OpenAILike`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import openai
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike

from scripts.conformance.checks import Call, Client, Failure, Reply, main


def answer(call: Call) -> Reply:
    """Ask with `chat`."""
    response = _model(call).chat(_messages(call))
    text = response.message.content or ""
    return Reply(text, _receipt(response.raw), _prompt_tokens(response.raw))


async def stream(call: Call) -> AsyncGenerator[str | Reply]:
    """Stream with `astream_chat`."""
    events: Any = await _model(call).astream_chat(
        _messages(call), stream_options={"include_usage": True}
    )
    receipt, prompt_tokens, text = None, None, ""
    try:
        async for response in events:
            receipt = receipt or _receipt(response.raw)
            prompt_tokens = prompt_tokens or _prompt_tokens(response.raw)
            text = response.message.content or text
            yield response.delta or ""
    finally:
        await events.aclose()
    yield Reply(text, receipt, prompt_tokens)


def failure(error: Exception) -> Failure:
    """Read the errors of the SDK below, which LlamaIndex lets through."""
    if not isinstance(error, openai.APIError):
        raise error
    status = getattr(error, "status_code", None)
    return Failure(f"`openai.{type(error).__name__}`", status, error.code, error.message)


def _model(call: Call) -> OpenAILike:
    return OpenAILike(
        model=call.model,
        api_base=call.base_url,
        api_key=call.key,
        is_chat_model=True,
        context_window=8192,
        max_retries=call.retries,
    )


def _messages(call: Call) -> list[ChatMessage]:
    return [ChatMessage(role="user", content=call.question)]


def _receipt(raw: Any) -> Mapping[str, Any] | None:
    receipt: Mapping[str, Any] | None = (raw.model_extra or {}).get("context")
    return receipt


def _prompt_tokens(raw: Any) -> int | None:
    return raw.usage.prompt_tokens if raw.usage else None


if __name__ == "__main__":
    shown = '`response.raw.model_extra["context"]`'
    main(
        Client(
            package="llama-index-llms-openai-like",
            answer=answer,
            stream=stream,
            failure=failure,
            overflow="`openai.BadRequestError`",
            receipt_at=(shown, f"{shown} of the first chunk"),
        )
    )
