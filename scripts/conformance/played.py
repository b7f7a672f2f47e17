"""A model that plays one part for as long as it is asked, and remembers who left before its end."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field

from chunking.tokens import Message, ToolCall
from serve.backends.protocol import Completion, CompletionRequest, ServerFacts
from serve.errors import UpstreamError, UpstreamRateLimited

_PROBE = re.compile(r"probe-[a-z0-9-]+")


@dataclass(frozen=True, slots=True)
class Part:
    """How a model behaves.

    Attributes:
        words: the answer, as the pieces of its stream.
        first_seconds: the wait before the first piece.
        pause_seconds: the wait before every other piece.
        broken_after: the upstream fails after so many pieces; None lets it finish.
        refusals: how many requests with one probe are refused as rate limited.
        arguments: what the model passes to the tool it is offered; None calls no tool.
    """

    words: tuple[str, ...]
    first_seconds: float = 0
    pause_seconds: float = 0
    broken_after: int | None = None
    refusals: int = 0
    arguments: Mapping[str, object] | None = None


@dataclass(slots=True)
class Seen:
    """What became of the requests with one probe in their question."""

    asked: int = 0
    finished: int = 0
    cancelled: int = 0


@dataclass(slots=True)
class Probes:
    """What became of every request, by the word `probe-…` in its question."""

    seen: dict[str, Seen] = field(default_factory=dict)

    def of(self, text: str) -> Seen:
        """Return the record of the probe in a text; texts without one share a record."""
        found = _PROBE.search(text)
        return self.seen.setdefault(found.group() if found else "", Seen())


class PlayedBackend:
    """Plays one part, however often it is asked."""

    def __init__(self, part: Part, probes: Probes) -> None:
        self._part = part
        self._probes = probes

    async def complete(self, request: CompletionRequest) -> Completion:
        """Return the part as a whole."""
        stream = self.stream(request)
        try:
            async for piece in stream:
                if isinstance(piece, Completion):
                    return piece
        finally:
            await stream.aclose()
        raise AssertionError("a part ends with its completion")

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[str | Completion]:
        """Play the part piece by piece; whoever leaves before the end is counted."""
        seen = self._probes.of(request.question)
        seen.asked += 1
        try:
            if seen.asked <= self._part.refusals:
                raise UpstreamRateLimited("the played model is busy", retry_after_seconds=1)
            async for piece in self._play(request):
                yield piece
        except (asyncio.CancelledError, GeneratorExit):
            seen.cancelled += 1
            raise
        seen.finished += 1

    async def inspect(self, probe: Sequence[Message]) -> ServerFacts:
        """Say nothing of itself: no server stands behind a part."""
        del probe
        return ServerFacts()

    async def close(self) -> None:
        """Hold nothing that needs closing."""

    async def _play(self, request: CompletionRequest) -> AsyncGenerator[str | Completion]:
        call = self._call(request)
        words = () if call else self._part.words
        await asyncio.sleep(self._part.first_seconds)
        for position, word in enumerate(words):
            if position == self._part.broken_after:
                raise UpstreamError("the played model broke off")
            if position:
                await asyncio.sleep(self._part.pause_seconds)
            yield word
        yield Completion(
            text="".join(words),
            prompt_tokens=None,
            output_tokens=len(words),
            finish_reason="tool_calls" if call else "stop",
            tool_calls=(call,) if call else (),
        )

    def _call(self, request: CompletionRequest) -> ToolCall | None:
        """Return the call of the first tool offered, unless its result is in the prompt already."""
        if self._part.arguments is None or not request.tools:
            return None
        if request.messages[-1].role == "tool":
            return None
        # Nine letters and digits, the only form of an id that Mistral's templates take.
        return ToolCall("played001", request.tools[0].name, json.dumps(self._part.arguments))
