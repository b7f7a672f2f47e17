"""Makes the calls of mode `exhaustive`: the shards side by side, then the one that joins them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from dataclasses import dataclass, replace

from chunking.tokens import TokenCounter
from serve.backends.protocol import ChatBackend, Completion, CompletionRequest
from serve.citations import CitationCheck
from serve.context.shards import Shard
from serve.errors import UpstreamError
from serve.exhaustive import Exhaustion, fit_notes

SIDE_BY_SIDE = 4
"""Shards read at once: servers batch that many without making the first wait much longer."""


@dataclass(frozen=True, slots=True)
class _Joining:
    """The joining call.

    Attributes:
        cut: notes that were cut to fit it.
        markers: what its answer may cite; `highest` is the last one of all shards.
        removed: false citations that were taken out of the notes.
    """

    request: CompletionRequest
    tokens: int
    cut: int
    markers: Collection[int]
    highest: int
    removed: int


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
            return _whole(parts, parts[0])
        joining = await asyncio.to_thread(self._join, request, parts)
        last = self._checked(await self.inner.complete(joining.request), joining.tokens)
        check = CitationCheck(joining.markers, highest=joining.highest)
        text = check.feed(last.text) + check.finish()
        return self._joined(joining, (*parts, last), text, check.removed)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[str | Completion]:
        """Read all shards, then yield the joined answer as it is written."""
        parts = await self._read(request)
        if self.exhaustion.join is None:
            yield parts[0].text
            yield _whole(parts, parts[0])
            return
        joining = await asyncio.to_thread(self._join, request, parts)
        check = CitationCheck(joining.markers, highest=joining.highest)
        last: Completion | None = None
        text = ""
        async with contextlib.aclosing(self.inner.stream(joining.request)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Completion):
                    last = self._checked(piece, joining.tokens)
                elif decided := check.feed(piece):
                    text += decided
                    yield decided
        if last is None:
            raise UpstreamError("the stream of the joining call ended without its completion")
        if rest := check.finish():
            text += rest
            yield rest
        yield self._joined(joining, (*parts, last), text, check.removed)

    def _joined(
        self, joining: _Joining, parts: Sequence[Completion], text: str, removed: int
    ) -> Completion:
        return replace(
            _whole(parts, parts[-1]),
            text=text,
            notes_cut=joining.cut,
            removed_citations=removed + joining.removed,
        )

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

    def _join(self, request: CompletionRequest, parts: Sequence[Completion]) -> _Joining:
        """Return the joining call; a note may cite what its own call has read, and nothing else."""
        final = self.exhaustion.shards[-1]
        highest = final.first_marker + len(final.chunks) - 1
        notes: list[str] = []
        removed = 0
        for shard, part in zip(self.exhaustion.shards, parts, strict=True):
            own = range(shard.first_marker, shard.first_marker + len(shard.chunks))
            check = CitationCheck(own, highest=highest)
            notes.append(check.feed(part.text) + check.finish())
            removed += check.removed
        fitted, messages, tokens = fit_notes(self.exhaustion, notes, self.counter)
        cut = sum(left != note for left, note in zip(fitted, notes, strict=True))
        told = CitationCheck(range(1, highest + 1))
        told.feed("\n".join(fitted))
        told.finish()
        return _Joining(
            replace(request, messages=messages), tokens, cut, told.cited, highest, removed
        )

    def _checked(self, completion: Completion, planned: int) -> Completion:
        checked = replace(completion, planned_tokens=planned)
        self.check(checked)
        return checked


def _whole(parts: Sequence[Completion], last: Completion) -> Completion:
    """Return the last completion with the usage of all."""
    served = [part.prompt_tokens for part in parts if part.prompt_tokens is not None]
    return replace(
        last,
        prompt_tokens=sum(served) if len(served) == len(parts) else None,
        output_tokens=sum(part.output_tokens for part in parts),
        cached_tokens=sum(part.cached_tokens for part in parts),
        planned_tokens=sum(part.planned_tokens or 0 for part in parts),
        parts=tuple(parts),
    )


def _first(failures: BaseExceptionGroup[Exception]) -> Exception:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
