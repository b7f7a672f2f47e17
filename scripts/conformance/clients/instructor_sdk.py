"""instructor over the OpenAI SDK: text is passed through, structures come by way of a tool."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import instructor
import openai
from instructor.core.exceptions import InstructorRetryException
from pydantic import BaseModel

from scripts.conformance.checks import Call, Client, Failure, Reply, main


class Capital(BaseModel):
    """A country and its capital."""

    country: str
    capital: str


def answer(call: Call) -> Reply:
    """Ask for text, which instructor passes through."""
    client = instructor.from_openai(openai.OpenAI(**_connection(call)))
    completion: Any = client.chat.completions.create(response_model=None, **_asked(call))
    text = completion.choices[0].message.content or ""
    return Reply(text, _receipt(completion), completion.usage.prompt_tokens)


async def stream(call: Call) -> AsyncGenerator[str | Reply]:
    """Stream text, which instructor passes through."""
    client = instructor.from_openai(openai.AsyncOpenAI(**_connection(call)))
    options = {"stream": True, "stream_options": {"include_usage": True}}
    events: Any = await client.chat.completions.create(
        response_model=None, **_asked(call), **options
    )
    receipt, prompt_tokens, text = None, None, ""
    async with events:
        async for chunk in events:
            receipt = receipt or _receipt(chunk)
            prompt_tokens = chunk.usage.prompt_tokens if chunk.usage else prompt_tokens
            for choice in chunk.choices:
                text += choice.delta.content or ""
                yield choice.delta.content or ""
    yield Reply(text, receipt, prompt_tokens)


def structure(call: Call) -> Mapping[str, Any]:
    """Ask for a structure, whole and as a stream of parts."""
    client = instructor.from_openai(openai.OpenAI(**_connection(call)), mode=instructor.Mode.TOOLS)
    capital, completion = client.chat.completions.create_with_completion(
        response_model=Capital, **_asked(call)
    )
    *_, last = client.chat.completions.create_partial(response_model=Capital, **_asked(call))
    if last.model_dump() != capital.model_dump():
        raise AssertionError(f"the parts end with {last!r}")
    if _receipt(completion) is None:
        raise AssertionError("the completion of a structure has no receipt")
    return dict(capital)


def failure(error: Exception) -> Failure:
    """Read the SDK's errors, which instructor wraps after its own retries."""
    wrapped = isinstance(error, InstructorRetryException)
    inner = error.__cause__ if wrapped else error
    if not isinstance(inner, openai.APIError):
        raise error
    name = f"`openai.{type(inner).__name__}`"
    name = f"`InstructorRetryException` of {name}" if wrapped else name
    return Failure(name, getattr(inner, "status_code", None), inner.code, inner.message)


def _connection(call: Call) -> dict[str, Any]:
    return {"base_url": call.base_url, "api_key": call.key, "max_retries": call.retries}


def _asked(call: Call) -> dict[str, Any]:
    return {"model": call.model, "messages": [{"role": "user", "content": call.question}]}


def _receipt(completion: Any) -> Mapping[str, Any] | None:
    receipt: Mapping[str, Any] | None = (completion.model_extra or {}).get("context")
    return receipt


if __name__ == "__main__":
    main(
        Client(
            package="instructor",
            answer=answer,
            stream=stream,
            failure=failure,
            overflow="`openai.BadRequestError`",
            receipt_at=(
                '`completion.model_extra["context"]` (`create_with_completion`)',
                '`model_extra["context"]` of the first chunk',
            ),
            structure=structure,
        )
    )
