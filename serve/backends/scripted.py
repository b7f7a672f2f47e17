"""A backend that plays prepared answers and records what it was asked, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from chunking.errors import UpstreamRejected, WindowfitError
from serve.backends.protocol import Completion, CompletionRequest

Answer = str | Completion | WindowfitError


class ScriptedBackend:
    """Gives the prepared answers in order: a text, a whole completion, or an error to raise.

    Attributes:
        requests: every request so far, in order, those that ended in an error included.
        closed: whether `close` was called.
    """

    def __init__(
        self,
        answers: Iterable[Answer],
        *,
        prompt_tokens: int | Callable[[CompletionRequest], int] | None = None,
        problems: Sequence[str] = (),
        delay_seconds: float = 0,
    ) -> None:
        """Prepare the script.

        Args:
            answers: what to play; `itertools.repeat("yes")` never ends.
            prompt_tokens: what to report for answers given as text; None reports nothing, as
                where no server was called; a function may count the request.
            problems: what `check` returns.
            delay_seconds: how long each answer takes.
        """
        self._answers = iter(answers)
        self._prompt_tokens = prompt_tokens
        self._problems = tuple(problems)
        self._delay_seconds = delay_seconds
        self.requests: list[CompletionRequest] = []
        self.closed = False

    async def complete(self, request: CompletionRequest) -> Completion:
        """Play the next answer; a script that has ended raises `UpstreamRejected`."""
        self.requests.append(request)
        number = len(self.requests)
        answer = next(self._answers, None)
        await asyncio.sleep(self._delay_seconds)
        if answer is None:
            raise UpstreamRejected(
                f"the script holds {number - 1} answers and this is request {number}",
                hint="give ScriptedBackend one answer for every request",
            )
        if isinstance(answer, WindowfitError):
            raise answer
        if isinstance(answer, Completion):
            return answer
        return Completion(text=answer, prompt_tokens=self._count(request), output_tokens=0)

    async def check(self) -> Sequence[str]:
        """Return the prepared problems."""
        return self._problems

    async def close(self) -> None:
        """Remember that it was called."""
        self.closed = True

    def _count(self, request: CompletionRequest) -> int | None:
        if callable(self._prompt_tokens):
            return self._prompt_tokens(request)
        return self._prompt_tokens
