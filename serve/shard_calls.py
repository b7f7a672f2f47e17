"""Makes the calls of mode `exhaustive`: the shards side by side, then the one that joins them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace

from chunking.errors import UpstreamError
from chunking.tokens import TokenCounter
from serve.backends.protocol import ChatBackend, Completion, CompletionRequest
from serve.context.shards import Shard
from serve.exhaustive import Exhaustion, fit_notes

SIDE_BY_SIDE = 4
"""Shards read at once: servers batch that many without making the first wait much longer."""


@dataclass(frozen=True, slots=True)
class ShardCalls:
    """Answers one request by all of its calls; `complete` and `stream` are those of a backend.

    Attributes:
        inner: what makes each call.
        check: looks at every completion as it arrives; what it raises ends all calls.
    """

    inner: ChatBackend
    exhaustion: Exhaustion
    counter: TokenCounter
    check: Callable[[Completion], object]

    async def complete(self, request: CompletionRequest) -> Completion:
        """Return the joined answer, with the completion of every call as its parts."""
        parts = await self._read(request)
        if self.exhaustion.join is None:
            return _whole(parts, parts[0], notes_cut=0)
        joining, tokens, cut = self._join(request, parts)
        last = self._checked(await self.inner.complete(joining), tokens)
        return _whole((*parts, last), last, notes_cut=cut)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[str | Completion]:
        """Read all shards, then yield the joined answer as it is written."""
        parts = await self._read(request)
        if self.exhaustion.join is None:
            yield parts[0].text
            yield _whole(parts, parts[0], notes_cut=0)
            return
        joining, tokens, cut = self._join(request, parts)
        last: Completion | None = None
        async with contextlib.aclosing(self.inner.stream(joining)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Completion):
                    last = self._checked(piece, tokens)
                else:
                    yield piece
        if last is None:
            raise UpstreamError("the stream of the joining call ended without its completion")
        yield _whole((*parts, last), last, notes_cut=cut)

    async def _read(self, request: CompletionRequest) -> tuple[Completion, ...]:
        """Return the completions of all shards; the first failure cancels the others."""
        turns = asyncio.Semaphore(SIDE_BY_SIDE)

        async def read(shard: Shard) -> Completion:
            async with turns:
                completion = await self.inner.complete(self._shard_request(request, shard))
                return self._checked(completion, shard.tokens)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(read(shard)) for shard in self.exhaustion.shards]
        except* Exception as failures:
            raise _first(failures) from failures
        return tuple(task.result() for task in tasks)

    def _shard_request(self, request: CompletionRequest, shard: Shard) -> CompletionRequest:
        return replace(
            request,
            messages=shard.messages,
            max_output_tokens=self.exhaustion.note_limit,
            sources=shard.chunks,
            response_format=request.response_format if self.exhaustion.join is None else None,
        )

    def _join(
        self, request: CompletionRequest, parts: Sequence[Completion]
    ) -> tuple[CompletionRequest, int, int]:
        notes = [part.text for part in parts]
        messages, tokens, cut = fit_notes(self.exhaustion, notes, self.counter)
        return replace(request, messages=messages), tokens, cut

    def _checked(self, completion: Completion, planned: int) -> Completion:
        checked = replace(completion, planned_tokens=planned)
        self.check(checked)
        return checked


def _whole(parts: Sequence[Completion], last: Completion, *, notes_cut: int) -> Completion:
    """Return the last completion with the usage of all."""
    served = [part.prompt_tokens for part in parts if part.prompt_tokens is not None]
    return replace(
        last,
        prompt_tokens=sum(served) if len(served) == len(parts) else None,
        output_tokens=sum(part.output_tokens for part in parts),
        cached_tokens=sum(part.cached_tokens for part in parts),
        planned_tokens=sum(part.planned_tokens or 0 for part in parts),
        parts=tuple(parts),
        notes_cut=notes_cut,
    )


def _first(failures: BaseExceptionGroup[Exception]) -> Exception:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
