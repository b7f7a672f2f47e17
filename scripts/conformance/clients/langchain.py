"""LangChain's `ChatOpenAI`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import openai
from langchain_openai import ChatOpenAI

from scripts.conformance.checks import Call, Client, Failure, Reply, main


def answer(call: Call) -> Reply:
    """Ask with `invoke`."""
    message = _model(call).invoke(call.question)
    return Reply(str(message.text), _receipt(message), _prompt_tokens(message))


async def stream(call: Call) -> AsyncGenerator[str | Reply]:
    """Stream with `astream`."""
    events = _model(call).astream(call.question)
    whole: Any = None
    try:
        async for chunk in events:
            whole = chunk if whole is None else whole + chunk
            yield str(chunk.text)
    finally:
        await events.aclose()
    yield Reply(str(whole.text), _receipt(whole), _prompt_tokens(whole))


def structure(call: Call) -> Mapping[str, Any]:
    """Ask for a structure by way of a tool."""
    schema = {
        "title": "Capital",
        "description": "A country and its capital.",
        "type": "object",
        "properties": {"country": {"type": "string"}, "capital": {"type": "string"}},
        "required": ["country", "capital"],
    }
    asking = _model(call).with_structured_output(schema, method="function_calling")
    given: Any = asking.invoke(call.question)
    return {**given}


def failure(error: Exception) -> Failure:
    """Read the errors of the SDK below, which LangChain classifies."""
    if not isinstance(error, openai.APIError):
        raise error
    package = type(error).__module__.partition(".")[0]
    name = f"`{package}{'.' if package == 'openai' else '…'}{type(error).__name__}`"
    return Failure(name, getattr(error, "status_code", None), error.code, error.message)


def _model(call: Call) -> Any:
    return ChatOpenAI(
        model=call.model,
        base_url=call.base_url,
        api_key=call.key,
        max_retries=call.retries,
        stream_usage=True,
        include_response_headers=True,
    )


def _receipt(message: Any) -> Mapping[str, Any] | None:
    headers = message.response_metadata.get("headers")
    return headers and {"prompt_tokens": int(headers["x-context-used"])}


def _prompt_tokens(message: Any) -> int | None:
    return message.usage_metadata["input_tokens"] if message.usage_metadata else None


if __name__ == "__main__":
    shown = 'numbers only: `response_metadata["headers"]` (`include_response_headers=True`)'
    main(
        Client(
            package="langchain-openai",
            answer=answer,
            stream=stream,
            failure=failure,
            overflow="`langchain_openai…OpenAIContextOverflowError`",
            receipt_at=(shown, shown),
            structure=structure,
        )
    )
