"""Cuts a whole corpus into prompts that fit a window each, so that together they read all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chunking.document import Chunk
from chunking.errors import ContextLengthExceeded
from chunking.tokens import Message, TokenCounter
from serve.context.budget import TokenBudget
from serve.context.costs import Costs
from serve.context.neighbours import Run, Runs, joined
from serve.context.prompt import Prompt
from serve.context.report import Candidate, Entry


@dataclass(frozen=True, slots=True)
class Shard:
    """One prompt of several over one corpus; markers go on from shard to shard.

    Attributes:
        first_marker: marker of its first piece.
        chunks: its pieces in prompt order.
        tokens: its prompt tokens.
    """

    first_marker: int
    chunks: tuple[Chunk, ...]
    messages: tuple[Message, ...]
    tokens: int


def cut_shards(
    candidates: Sequence[Candidate], *, prompt: Prompt, budget: TokenBudget, counter: TokenCounter
) -> tuple[tuple[Shard, ...], tuple[Entry, ...]]:
    """Return the shards in the order of the candidates, and one entry for each candidate.

    Raises:
        ContextLengthExceeded: a single candidate is longer than the room of a prompt.
    """
    costs = Costs(candidates, prompt, counter)
    shards: list[Shard] = []
    entries: list[Entry] = []
    start, marker = 0, 1
    while start < len(candidates):
        runs, total = _fill(
            candidates, start, marker, prompt=prompt, budget=budget, counter=counter, costs=costs
        )
        chunks = tuple(joined([candidates[place] for place in run]) for run in runs)
        messages = prompt.messages(chunks, first_marker=marker)
        shards.append(Shard(marker, chunks, messages, total))
        for number, run in enumerate(runs):
            entries += _entries(candidates, run, costs, marker + number, len(shards))
        start += sum(map(len, runs))
        marker += len(runs)
    if not shards:  # nothing passes the filter: the question is asked without sources, once
        bare = prompt.messages(())
        shards.append(Shard(1, (), bare, budget.fixed))
    return tuple(shards), tuple(entries)


def _fill(
    candidates: Sequence[Candidate],
    start: int,
    marker: int,
    *,
    prompt: Prompt,
    budget: TokenBudget,
    counter: TokenCounter,
    costs: Costs,
) -> tuple[list[Run], int]:
    """Return the runs that fit one prompt, from a candidate on, and its tokens."""
    limit = costs.limit(budget.prompt_limit)
    runs, used, end = Runs(candidates), costs.frame, start
    while end < len(candidates):
        growth = costs.growth(end, runs, before_first=marker - 1)
        if used + growth > limit:
            break
        runs.add(end)
        used += growth
        end += 1
    if costs.additive and end > start:
        return runs.in_order(), costs.tokens(used)
    while end > start:
        runs = Runs.of(candidates, range(start, end))
        chunks = [joined([candidates[place] for place in run]) for run in runs.in_order()]
        messages = prompt.messages(chunks, first_marker=marker)
        total = counter.count_messages(messages, tools=prompt.tools)
        if total <= budget.prompt_limit:
            return runs.in_order(), total
        end -= 1
    raise ContextLengthExceeded(
        f"chunk {candidates[start].chunk.id} takes {costs.tokens(costs.units[start])} tokens, "
        f"a prompt has room for {budget.context_limit}",
        hint="choose a model with a longer window, or reserve fewer answer tokens",
        param="mode",
    )


def _entries(
    candidates: Sequence[Candidate], run: Run, costs: Costs, marker: int, shard: int
) -> list[Entry]:
    return [
        Entry(
            chunk=candidates[place].chunk.id,
            document=candidates[place].chunk.document,
            breadcrumb=candidates[place].chunk.breadcrumb,
            start=candidates[place].chunk.start,
            end=candidates[place].chunk.end,
            rank=place + 1,
            tokens=costs.tokens(costs.units[place]),
            fate="kept" if place == run[0] else "merged",
            score=candidates[place].score,
            via=candidates[place].via,
            marker=marker,
            shard=shard,
        )
        for place in run
    ]
