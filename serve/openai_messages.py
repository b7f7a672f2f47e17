"""OpenAI's messages and tools, and the turns they become."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from chunking.tokens import Message, Tool, ToolCall
from serve.fields import JsonObject, WellFormed

_TEXT_ONLY = 'send text: a string, or parts like {"type": "text", "text": "…"}'
_TEXT_PARTS = frozenset({"text", "refusal"})


def _text_of(content: object) -> object:
    """Return the text of a message's content, which may be a list of parts."""
    if not isinstance(content, list):
        return content
    texts = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        text = part.get(kind) if isinstance(kind, str) and kind in _TEXT_PARTS else None
        if not isinstance(text, str):
            what = f"a part of type {kind!r}" if isinstance(kind, str) else "a part without a type"
            raise PydanticCustomError(
                "not_text", "{what} is no text", {"what": what, "hint": _TEXT_ONLY}
            )
        texts.append(text)
    return "\n".join(texts)


Content = Annotated[
    WellFormed,
    BeforeValidator(_text_of),
    Field(max_length=2_000_000),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "maxLength": 2_000_000},
                {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "type": {"type": "string", "enum": ["text"]},
                            "text": {"type": "string"},
                        },
                        "required": ["type", "text"],
                    },
                },
            ]
        }
    ),
]


class FunctionCall(BaseModel):
    """The function a model wants run, and its arguments as JSON text."""

    name: WellFormed
    arguments: WellFormed


class FunctionToolCall(BaseModel):
    """A call of a tool, in a request's history or in an answer."""

    id: WellFormed
    type: Literal["function"] = "function"
    function: FunctionCall

    @classmethod
    def of(cls, call: ToolCall) -> Self:
        """Return the wire form of a call."""
        return cls(id=call.id, function=FunctionCall(name=call.name, arguments=call.arguments))


class InstructionMessage(BaseModel):
    """Instructions, which follow Windowfit's own wherever they stand in the conversation."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "developer"]
    content: Content
    name: str | None = None


class UserMessage(BaseModel):
    """What the user says; the last one is the question."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["user"]
    content: Content
    name: str | None = None

    def turn(self) -> Message:
        """Return the turn."""
        return Message("user", self.content)


class AssistantMessage(BaseModel):
    """What a model said before; what servers add to their answers is accepted and left out."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["assistant"]
    content: Content | None = None
    tool_calls: tuple[FunctionToolCall, ...] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.content is None and not self.tool_calls:
            raise ValueError("an assistant message needs content or tool_calls")
        return self

    def turn(self) -> Message:
        """Return the turn."""
        calls = (
            ToolCall(call.id, call.function.name, call.function.arguments)
            for call in self.tool_calls or ()
        )
        return Message("assistant", self.content or "", tuple(calls))


class ToolMessage(BaseModel):
    """The result of a tool that the caller ran."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["tool"]
    content: Content
    tool_call_id: WellFormed
    name: str | None = None

    def turn(self) -> Message:
        """Return the turn."""
        return Message("tool", self.content, tool_call_id=self.tool_call_id)


ChatMessage = Annotated[
    InstructionMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")
]


class FunctionDefinition(BaseModel):
    """A function: its name, what it does, and the JSON schema of its arguments."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
    description: WellFormed | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class FunctionTool(BaseModel):
    """A function that the model may ask the caller to run."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["function"]
    function: FunctionDefinition

    def tool(self) -> Tool:
        """Return the tool."""
        given = self.function
        return Tool(given.name, given.description, given.parameters, given.strict)
