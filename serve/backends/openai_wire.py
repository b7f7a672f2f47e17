"""The bytes of OpenAI's routes: requests as they are sent, replies as far as they are read.

Servers differ in what they leave out, so everything a server may leave out is optional here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field, NonNegativeInt

from chunking.counters.wire import message_payload, sendable, tool_payload
from chunking.tokens import Message, Tool, ToolCall
from serve.backends.protocol import Completion, CompletionRequest

_LENGTH_REASONS = frozenset({"length", "max_tokens", "model_length"})


def request_body(
    request: CompletionRequest, *, model: str, temperature: float | None, room: str
) -> dict[str, Any]:
    """Return the JSON of a chat completion; what the request leaves open is left out.

    Args:
        temperature: the profile's, unless the request's sampling says otherwise.
        room: the name under which the server takes the most answer tokens.
    """
    optional = {
        "tools": [_tool(tool) for tool in request.tools] or None,
        "tool_choice": request.tool_choice,
        "response_format": request.response_format,
    }
    own = {
        "model": model,
        "messages": wire_messages(request.messages),
        room: request.max_output_tokens,
        **sendable(_given(optional)),
    }
    # What was planned stands last, so that no sampling option can take its place.
    return {**_given({"temperature": temperature}), **sendable(_given(request.sampling)), **own}


def wire_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Return messages in OpenAI's form; content is null beside tool calls that stand alone."""
    return [_message(message) for message in messages]


def _message(message: Message) -> dict[str, Any]:
    sent = message_payload(message)
    if message.tool_calls and not message.content:
        sent["content"] = None
    return sent


def _tool(tool: Tool) -> dict[str, Any]:
    sent = tool_payload(tool)
    return {**sent, "function": _given(sent["function"])}


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


class WireFunction(BaseModel):
    """Name and arguments of a tool call, or the part of them that one chunk of a stream brings."""

    name: str | None = None
    arguments: str | None = None


class WireToolCall(BaseModel):
    """A tool call; `index` tells the calls of a stream apart."""

    index: int | None = None
    id: str | None = None
    function: WireFunction = WireFunction()


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[WireToolCall] | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _PromptDetails(BaseModel):
    cached_tokens: NonNegativeInt | None = None


class WireUsage(BaseModel):
    """The tokens a server says it read and wrote."""

    prompt_tokens: NonNegativeInt | None = None
    completion_tokens: NonNegativeInt | None = None
    prompt_tokens_details: _PromptDetails | None = None


class ChatReply(BaseModel):
    """One answer of `/chat/completions`, with at least one choice."""

    choices: list[_Choice] = Field(min_length=1)
    usage: WireUsage | None = None

    @property
    def withheld(self) -> bool:
        """Whether a content filter cut or suppressed the answer."""
        return self.choices[0].finish_reason == "content_filter"

    def completion(self) -> Completion:
        """Return the first choice.

        An answer without content is an empty text: tool calls, or a model that spent its room on
        thinking.
        """
        choice = self.choices[0]
        calls = [
            ToolCall(call.id or "", call.function.name or "", call.function.arguments or "")
            for call in choice.message.tool_calls or ()
        ]
        return completion_of(
            choice.message.content or choice.message.refusal or "",
            usage=self.usage,
            finish_reason=choice.finish_reason,
            tool_calls=calls,
        )


def completion_of(
    text: str,
    *,
    usage: WireUsage | None,
    finish_reason: str | None,
    tool_calls: Sequence[ToolCall],
) -> Completion:
    """Return a completion; without `usage` the prompt tokens are None, never a guess."""
    usage = usage or WireUsage()
    details = usage.prompt_tokens_details or _PromptDetails()
    return Completion(
        text=text,
        prompt_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens or 0,
        cached_tokens=details.cached_tokens or 0,
        finish_reason=_known_reason(finish_reason),
        tool_calls=tuple(tool_calls),
    )


def _known_reason(said: str | None) -> str:
    if said in _LENGTH_REASONS:
        return "length"
    return "tool_calls" if said == "tool_calls" else "stop"
