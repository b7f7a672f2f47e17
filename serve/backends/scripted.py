"""A backend that plays prepared answers and records what it was asked, for tests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

from chunking.errors import WindowfitError
from chunking.tokens import Message
from serve.backends.protocol import Completion, CompletionRequest, ServerFacts
from serve.errors import UpstreamRejected

Piece = str | Completion | WindowfitError
Answer = Piece | Sequence[Piece]
"""A text, a whole completion, an error to raise, or the pieces of a stream in order.

Pieces are texts and at their end, if at all, an error or the completion whose text they join to.
"""

_WORD = re.compile(r"\s*\S+\s*$|\s*\S+|\s+")


class ScriptedBackend:
    """Gives the prepared answers in order.

    Attributes:
        requests: every request so far, in order, those that ended in an error included.
        probes: every probe that `inspect` was given.
        cancelled: how many answers were begun and left by the caller before their end.
        closed: whether `close` was called.
    """

    def __init__(
        self,
        answers: Iterable[Answer],
        *,
        prompt_tokens: int | Callable[[CompletionRequest], int] | None = None,
        facts: ServerFacts | WindowfitError | None = None,
        delay_seconds: float = 0,
        piece_seconds: float = 0,
    ) -> None:
        """Prepare the script.

        Args:
            answers: what to play; `itertools.repeat("yes")` never ends.
            prompt_tokens: what to report for answers given as text; None reports nothing, as
                where no server was called; a function may count the request.
            facts: what `inspect` returns or raises; None is a server that says nothing.
            delay_seconds: how long each answer takes, its first piece where it is streamed.
            piece_seconds: how long a stream waits after each piece.
        """
        self._answers = iter(answers)
        self._prompt_tokens = prompt_tokens
        self._facts = ServerFacts() if facts is None else facts
        self._delay_seconds = delay_seconds
        self._piece_seconds = piece_seconds
        self.requests: list[CompletionRequest] = []
        self.probes: list[tuple[Message, ...]] = []
        self.cancelled = 0
        self.closed = False

    async def complete(self, request: CompletionRequest) -> Completion:
        """Play the next answer; a script that has ended raises `UpstreamRejected`."""
        try:
            pieces = await self._next(request)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self._end(pieces, request)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[str | Completion]:
        """Play the next answer piece by piece; a text and a completion word by word."""
        try:
            pieces = await self._next(request)
            for piece in pieces:
                if isinstance(piece, str):
                    yield piece
                    await asyncio.sleep(self._piece_seconds)
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        yield self._end(pieces, request)

    async def inspect(self, probe: Sequence[Message]) -> ServerFacts:
        """Return or raise the prepared facts."""
        self.probes.append(tuple(probe))
        await asyncio.sleep(self._delay_seconds)
        if isinstance(self._facts, WindowfitError):
            raise self._facts
        return self._facts

    async def close(self) -> None:
        """Remember that it was called."""
        self.closed = True

    async def _next(self, request: CompletionRequest) -> Sequence[Piece]:
        """Return the pieces of the next answer, after its delay."""
        self.requests.append(request)
        number = len(self.requests)
        answer = next(self._answers, None)
        await asyncio.sleep(self._delay_seconds)
        if answer is None:
            raise UpstreamRejected(
                f"the script holds {number - 1} answers and this is request {number}",
                hint="give ScriptedBackend one answer for every request",
            )
        if isinstance(answer, str):
            return _WORD.findall(answer)
        if isinstance(answer, Completion):
            return (*_WORD.findall(answer.text), answer)
        return (answer,) if isinstance(answer, WindowfitError) else answer

    def _end(self, pieces: Sequence[Piece], request: CompletionRequest) -> Completion:
        """Return the completion that the pieces end with or join to, or raise their error."""
        last = pieces[-1] if pieces else ""
        if isinstance(last, WindowfitError):
            raise last
        if isinstance(last, Completion):
            return last
        text = "".join(piece for piece in pieces if isinstance(piece, str))
        return Completion(text=text, prompt_tokens=self._count(request), output_tokens=0)

    def _count(self, request: CompletionRequest) -> int | None:
        if callable(self._prompt_tokens):
            return self._prompt_tokens(request)
        return self._prompt_tokens
