"""pydantic-ai's `Agent` over `OpenAIChatModel`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import openai
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIChatModelSettings
from pydantic_ai.output import ToolOutput
from pydantic_ai.providers.openai import OpenAIProvider

from scripts.conformance.checks import Call, Client, Failure, Reply, main


@dataclass
class Capital:
    """A country and its capital."""

    country: str
    capital: str


def answer(call: Call) -> Reply:
    """Ask with `run_sync`."""
    result = Agent(_model(call)).run_sync(call.question)
    unmapped = (result.response.provider_details or {}).get("unmapped", {})
    receipt = unmapped.get("response", {}).get("context")
    return Reply(result.output, receipt, result.usage.input_tokens)


async def stream(call: Call) -> AsyncGenerator[str | Reply]:
    """Stream with `run_stream`."""
    text = ""
    async with Agent(_model(call)).run_stream(call.question) as result:
        async for delta in result.stream_text(delta=True, debounce_by=None):
            text += delta
            yield delta
        unmapped = (result.response.provider_details or {}).get("unmapped", {})
        chunks = unmapped.get("chunks", [])
        receipt = next((c["response"]["context"] for c in chunks if "response" in c), None)
        yield Reply(text, receipt, result.usage.input_tokens)


def structure(call: Call) -> Mapping[str, Any]:
    """Ask for a structure, which pydantic-ai takes from a call of its own tool."""
    agent = Agent(_model(call), output_type=ToolOutput(Capital))
    return asdict(agent.run_sync(call.question).output)


def tools(call: Call) -> str:
    """Let the model call a function and answer from what it returns."""

    def confirm(country: str, capital: str) -> str:
        """Confirm the capital of a country."""
        return f"{capital} is the capital of {country}: confirmed"

    result = Agent(_model(call), tools=[confirm]).run_sync(call.question)
    return str(result.output)


def failure(error: Exception) -> Failure:
    """Read pydantic-ai's errors."""
    if not isinstance(error, ModelAPIError):
        raise error
    kind = type(error).__name__.removeprefix("_HTTP")
    status = getattr(error, "status_code", None)
    return Failure(f"`pydantic_ai…{kind}`", status, error.provider_error_code, error.message)


def _model(call: Call) -> OpenAIChatModel:
    client = openai.AsyncOpenAI(base_url=call.base_url, api_key=call.key, max_retries=call.retries)
    settings = OpenAIChatModelSettings(openai_include_unmapped_response_data=True)
    return OpenAIChatModel(
        call.model, provider=OpenAIProvider(openai_client=client), settings=settings
    )


if __name__ == "__main__":
    shown = '`provider_details["unmapped"]` (`openai_include_unmapped_response_data=True`)'
    main(
        Client(
            package="pydantic-ai-slim",
            answer=answer,
            stream=stream,
            failure=failure,
            overflow="`pydantic_ai…ModelContextWindowExceededError`",
            receipt_at=(shown, shown),
            structure=structure,
            tools=tools,
        )
    )
