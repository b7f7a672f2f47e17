"""Answers with verbatim passages of the sources when no language model is configured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chunking.tokens import TokenCounter
from serve.backends.passages import find_passages
from serve.backends.protocol import Completion, CompletionRequest

INTRODUCTION = "No language model is configured. The sources say, word for word:"
NOTHING_FOUND = (
    "No language model is configured, and no passage of the sources shares a word with the "
    "question."
)


@dataclass(frozen=True, slots=True)
class QuoteBackend:
    """A `ChatBackend` without a model: it quotes and cites, and writes no sentence of its own.

    Attributes:
        counter: keeps the answer within the request's `max_output_tokens`.
    """

    counter: TokenCounter

    async def complete(self, request: CompletionRequest) -> Completion:
        """Return the passages that answer best, as many as the answer has room for."""
        lines: list[str] = []
        for passage in find_passages(request.question, request.sources):
            line = f"- {passage.text} [{passage.marker}]"
            text = "\n".join((INTRODUCTION, *lines, line))
            if self.counter.count(text) <= request.max_output_tokens:
                lines.append(line)
        text = "\n".join((INTRODUCTION, *lines)) if lines else NOTHING_FOUND
        return Completion(text=text, prompt_tokens=None, output_tokens=0)

    async def check(self) -> Sequence[str]:
        """Return no problems: nothing is called."""
        return ()

    async def close(self) -> None:
        """Release nothing."""
