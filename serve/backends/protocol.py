"""What a backend is: messages in, one completion with its usage out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from chunking.document import Chunk
from chunking.sensitivity import Sensitivity
from chunking.tokens import Message, Tool, ToolCall


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """Everything a backend may look at.

    Attributes:
        messages: the planned prompt, complete; the only thing a language model sees.
        max_output_tokens: room reserved for the answer, at least 1.
        question: the bare question, for backends that are no language model.
        sources: the kept chunks in prompt order; citation marker [n] names `sources[n - 1]`.
        collection: where the sources were found; empty where nobody says.
        planned_labels: by collection and document, the highest label that it may have for the
            messages to be as they were planned.
        tools: functions the model may ask the caller to run, planned into the prompt's count.
        tool_choice: OpenAI's `tool_choice`; None leaves it to the server.
        response_format: OpenAI's `response_format`; None leaves the answer free.
        sampling: `temperature`, `top_p`, `stop`, `seed` and their like, as OpenAI names them; what
            stands here wins over the profile's.
        sensitivity: the highest label of what the messages hold besides the sources; where nobody
            says, the highest there is.
        before_try: awaited right before anything is sent, once more before each repeated try; what
            it raises ends the call.
    """

    messages: tuple[Message, ...]
    max_output_tokens: int
    question: str
    sources: tuple[Chunk, ...]
    collection: str = ""
    planned_labels: Mapping[str, Mapping[str, Sensitivity]] = field(default_factory=dict)
    tools: tuple[Tool, ...] = ()
    tool_choice: str | Mapping[str, Any] | None = None
    response_format: Mapping[str, Any] | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    sensitivity: Sensitivity = Sensitivity.RESTRICTED
    before_try: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back.

    Attributes:
        text: the answer.
        prompt_tokens: tokens the server says it read; None where nothing was called.
        output_tokens: tokens the server says it wrote.
        cached_tokens: part of `prompt_tokens` served from a prompt cache.
        finish_reason: "stop", "length" or "tool_calls", as the server says it.
        markers: the sources the answer rests on, where the backend knows them; None where they
            stand in the text as [n].
        tool_calls: what the model asks the caller to run.
        planned_tokens: prompt tokens planned for the call, where they are not the request's.
        parts: the calls that this was made from, where there was more than one.
        notes_cut: notes of shards that were cut to fit the call that joined them.
        removed_citations: citations that were taken out of the text and the notes already.
    """

    text: str
    prompt_tokens: int | None
    output_tokens: int
    cached_tokens: int = 0
    finish_reason: str = "stop"
    markers: tuple[int, ...] | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    planned_tokens: int | None = None
    parts: tuple[Completion, ...] = ()
    notes_cut: int = 0
    removed_citations: int = 0


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a model server says of itself; None where it does not say.

    Attributes:
        served: whether it serves the backend's model.
        models: names of models it serves, as many as a message has room for.
        window: most tokens of prompt and answer together.
        probe_tokens: prompt tokens it counts in the probe.
    """

    served: bool | None = None
    models: tuple[str, ...] = ()
    window: int | None = None
    probe_tokens: int | None = None


class ChatBackend(Protocol):
    """One way to complete a chat request.

    Raises only `UpstreamError` and its children, and `ContextLengthExceeded` where the server says
    that the prompt is longer than its window.
    """

    async def complete(self, request: CompletionRequest) -> Completion:
        """Return the answer to a planned prompt."""

    def stream(self, request: CompletionRequest) -> AsyncGenerator[str | Completion]:
        """Yield the answer's text piece by piece, then the whole `Completion`, once and last.

        The pieces join to the completion's text. Closing the generator cancels the call upstream,
        also before the first piece.
        """

    async def inspect(self, probe: Sequence[Message]) -> ServerFacts:
        """Return what the server says of itself and counts in the probe; no answer is made.

        An empty probe is not sent, and neither is one to a server that lists no models.
        """

    async def close(self) -> None:
        """Release connections."""
