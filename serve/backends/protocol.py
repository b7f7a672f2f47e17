"""What a backend is: messages in, one completion with its usage out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from chunking.document import Chunk
from chunking.tokens import Message


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """Everything a backend may look at.

    Attributes:
        messages: the planned prompt, complete; the only thing a language model sees.
        max_output_tokens: room reserved for the answer, at least 1.
        question: the bare question, for backends that are no language model.
        sources: the kept chunks in prompt order; citation marker [n] names `sources[n - 1]`.
    """

    messages: tuple[Message, ...]
    max_output_tokens: int
    question: str
    sources: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back.

    Attributes:
        text: the answer.
        prompt_tokens: tokens the server says it read; None where nothing was called.
        output_tokens: tokens the server says it wrote.
        cached_tokens: part of `prompt_tokens` served from a prompt cache.
        finish_reason: "stop" or "length", as the server says it.
        markers: the sources the answer rests on, where the backend knows them; None where they
            stand in the text as [n].
    """

    text: str
    prompt_tokens: int | None
    output_tokens: int
    cached_tokens: int = 0
    finish_reason: str = "stop"
    markers: tuple[int, ...] | None = None


class ChatBackend(Protocol):
    """One way to complete a chat request.

    Raises only `UpstreamError` and its children, and `ContextLengthExceeded` where the server says
    that the prompt is longer than its window.
    """

    async def complete(self, request: CompletionRequest) -> Completion:
        """Return the answer to a planned prompt."""

    async def check(self) -> Sequence[str]:
        """Return what is wrong with the backend, empty when it is ready; never raises."""

    async def close(self) -> None:
        """Release connections."""
