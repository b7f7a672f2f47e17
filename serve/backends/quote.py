"""Answers with verbatim passages of the sources when no language model is configured."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from chunking.tokens import Message, TokenCounter
from serve.backends.passages import find_passages
from serve.backends.protocol import Completion, CompletionRequest, ServerFacts

INTRODUCTION = "No language model is configured. The sources say, word for word:"
NOTHING_FOUND = (
    "No language model is configured, and no passage of the sources shares a word with the "
    "question."
)
TOO_LITTLE_ROOM = (
    "No language model is configured, and every passage that answers is longer than the room for "
    "the answer."
)


@dataclass(frozen=True, slots=True)
class QuoteBackend:
    """A `ChatBackend` without a model: it quotes and cites, and writes no sentence of its own.

    Attributes:
        counter: keeps the answer within the request's `max_output_tokens`.
    """

    counter: TokenCounter

    async def complete(self, request: CompletionRequest) -> Completion:
        """Return the passages that answer best, as many as the answer has room for.

        Where one had to be left out, the finish reason is "length"; where there is no room even to
        say so, the text is empty.
        """
        return await asyncio.to_thread(self._quoted, request)

    def _quoted(self, request: CompletionRequest) -> Completion:
        passages = find_passages(request.question, request.sources)
        lines = [INTRODUCTION]
        markers: list[int] = []
        for passage in passages:
            line = f"- {passage.text} [{passage.marker}]"
            if self._fits("\n".join((*lines, line)), request):
                lines.append(line)
                markers.append(passage.marker)
        quoted = len(lines) - 1
        notice = TOO_LITTLE_ROOM if passages else NOTHING_FOUND
        text = "\n".join(lines) if quoted else notice
        fits = self._fits(text, request)
        return Completion(
            text=text if fits else "",
            prompt_tokens=None,
            output_tokens=0,
            finish_reason="stop" if fits and quoted == len(passages) else "length",
            # Brackets inside of a quotation are the document's: the text is not searched for [n].
            markers=tuple(markers),
        )

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[str | Completion]:
        """Yield the quoted passages line by line, then the completion."""
        completion = await self.complete(request)
        for line in completion.text.splitlines(keepends=True):
            yield line
        yield completion

    def _fits(self, text: str, request: CompletionRequest) -> bool:
        return self.counter.count(text) <= request.max_output_tokens

    async def inspect(self, probe: Sequence[Message]) -> ServerFacts:  # noqa: ARG002  # the protocol's
        """Return no facts: there is no server."""
        return ServerFacts()

    async def close(self) -> None:
        """Release nothing."""
