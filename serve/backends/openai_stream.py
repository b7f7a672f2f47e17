"""Puts a streamed answer together: text as it comes, tool calls and usage at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from chunking.tokens import ToolCall
from serve.backends.openai_wire import WireToolCall, WireUsage, completion_of
from serve.backends.protocol import Completion


class _Delta(BaseModel):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[WireToolCall] | None = None


class _StreamChoice(BaseModel):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class StreamChunk(BaseModel):
    """One event of a stream; the last ones hold no choice but usage, or nothing we read.

    Attributes:
        error: what went wrong in the middle of the answer, in whatever form; empty where nothing.
    """

    choices: list[_StreamChoice] = []
    usage: WireUsage | None = None
    error: Any = None


@dataclass(slots=True)
class _GrowingCall:
    """A tool call of which more may follow."""

    id: str
    name: str = ""
    arguments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class StreamedAnswer:
    """What a stream has brought so far.

    Attributes:
        finish_reason: why the answer ended, as the server says it; None while it goes on.
    """

    finish_reason: str | None = None
    _pieces: list[str] = field(default_factory=list)
    _calls: list[_GrowingCall] = field(default_factory=list)
    _growing: dict[int | None, _GrowingCall] = field(default_factory=dict)
    _usage: WireUsage | None = None

    @property
    def withheld(self) -> bool:
        """Whether a content filter cut or suppressed the answer."""
        return self.finish_reason == "content_filter"

    def add(self, chunk: StreamChunk) -> str:
        """Take in a chunk and return the text that it adds to the answer, often none."""
        self._usage = chunk.usage or self._usage  # some servers count along: the last one holds
        choice = next((choice for choice in chunk.choices if choice.index == 0), None)
        if choice is None:
            return ""
        self.finish_reason = choice.finish_reason or self.finish_reason
        delta = choice.delta or _Delta()
        for part in delta.tool_calls or ():
            self._add_call(part)
        piece = (delta.content or "") + (delta.refusal or "")
        self._pieces.append(piece)
        return piece

    def completion(self) -> Completion:
        """Return the whole answer."""
        return completion_of(
            "".join(self._pieces),
            usage=self._usage,
            finish_reason=self.finish_reason,
            tool_calls=[
                ToolCall(call.id, call.name, "".join(call.arguments)) for call in self._calls
            ],
        )

    def _add_call(self, part: WireToolCall) -> None:
        """Append to the call of that index; a new id under an old index begins another call.

        Gemini gives several calls the same index, or none.
        """
        call = self._growing.get(part.index)
        if call is None or (part.id and call.id and part.id != call.id):
            call = self._growing[part.index] = _GrowingCall(part.id or "")
            self._calls.append(call)
        call.id = call.id or part.id or ""
        call.name = call.name or part.function.name or ""
        call.arguments.append(part.function.arguments or "")
