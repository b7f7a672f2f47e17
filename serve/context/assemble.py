"""Packs candidates into a prompt under an exact budget and gives each of them one fate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chunking.document import Chunk
from chunking.errors import ContextLengthExceeded
from chunking.tokens import Message, TokenCounter
from serve.context.budget import TokenBudget
from serve.context.prompt import Prompt
from serve.context.report import Candidate, DropReason, Entry, Fate, Segments


@dataclass(frozen=True, slots=True)
class ContextWindow:
    """The planned prompt: kept chunks in prompt order, final messages, and the account of both."""

    chunks: tuple[Chunk, ...]
    messages: tuple[Message, ...]
    entries: tuple[Entry, ...]
    segments: Segments


def count_fixed(prompt: Prompt, counter: TokenCounter) -> tuple[int, int, int, int]:
    """Return the tokens of template, system, history and question; they sum to the bare prompt."""
    totals = [counter.count_messages(messages) for messages in prompt.cumulative()]
    template, system, history, question = (
        after - before for before, after in zip([0, *totals], totals, strict=False)
    )
    return template, system, history, question


def assemble(
    candidates: Sequence[Candidate],
    *,
    prompt: Prompt,
    fixed: tuple[int, int, int, int],
    budget: TokenBudget,
    counter: TokenCounter,
    in_corpus_order: bool = False,
) -> ContextWindow:
    """Keep as many candidates as fit, in order of priority, and count the final messages.

    A candidate that does not fit is skipped and the next is tried. Single counts choose; the count
    of the final messages has the last word, because tokens do not add up across a join.

    Args:
        candidates: best first; their order is their priority.
        fixed: `count_fixed` of the prompt.
        in_corpus_order: show kept chunks by document and position instead of by priority.
    """
    packing = _Packing(candidates, prompt, budget, counter, in_corpus_order)
    kept, total = packing.pack()
    shown = packing.shown(kept)
    entries = packing.entries(kept, shown)
    segments = Segments(*fixed, total - sum(fixed))
    return ContextWindow(shown, prompt.messages(shown), entries, segments)


def refuse_truncation(entries: Sequence[Entry], budget: TokenBudget) -> None:
    """Raise ContextLengthExceeded if a candidate was dropped for lack of room."""
    dropped = [entry for entry in entries if entry.reason == "over_budget"]
    if dropped:
        needed = sum(entry.tokens for entry in entries)
        raise ContextLengthExceeded(
            f"{len(entries)} candidates need {needed} tokens, room for {budget.context_limit}; "
            f"{len(dropped)} would be dropped and truncation is disabled",
            hint="allow truncation, narrow the question, or choose a model with a longer window",
            param="truncation",
        )


class _Packing:
    """One run of `assemble`: what every step of it needs to know."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        prompt: Prompt,
        budget: TokenBudget,
        counter: TokenCounter,
        in_corpus_order: bool,
    ) -> None:
        self._candidates = candidates
        self._prompt = prompt
        self._budget = budget
        self._counter = counter
        self._in_corpus_order = in_corpus_order
        # The marker's digits are charged as the widest this request can show.
        self._tokens = [
            counter.count(prompt.piece(candidate.chunk, len(candidates)) + "\n\n")
            for candidate in candidates
        ]
        self._duplicates = _duplicates(candidates)

    def pack(self) -> tuple[list[int], int]:
        """Return the places of the kept candidates, in order of priority, and the final count."""
        kept: list[int] = []
        used = self._budget.fixed
        for place, tokens in enumerate(self._tokens):
            if place not in self._duplicates and used + tokens <= self._budget.prompt_limit:
                kept.append(place)
                used += tokens
        total = self._total(kept)
        while kept and total > self._budget.prompt_limit:
            kept.pop()
            total = self._total(kept)
        return self._refill(kept, total)

    def _refill(self, kept: list[int], total: int) -> tuple[list[int], int]:
        """Try the dropped again, best first, in the room that the final count shows to be left."""
        for place, tokens in enumerate(self._tokens):
            free = self._budget.prompt_limit - total
            if place in kept or place in self._duplicates or tokens > free:
                continue
            longer = sorted([*kept, place])
            longer_total = self._total(longer)
            if longer_total <= self._budget.prompt_limit:
                kept, total = longer, longer_total
        return kept, total

    def shown(self, kept: Sequence[int]) -> tuple[Chunk, ...]:
        """Return the kept chunks in the order the prompt shows them."""
        chunks = [self._candidates[place].chunk for place in kept]
        if self._in_corpus_order:
            chunks.sort(key=lambda chunk: (chunk.document, chunk.start))
        return tuple(chunks)

    def entries(self, kept: Sequence[int], shown: Sequence[Chunk]) -> tuple[Entry, ...]:
        """Return one entry per candidate, in order of priority."""
        markers = {chunk.id: marker for marker, chunk in enumerate(shown, start=1)}
        chosen = frozenset(kept)
        places = range(len(self._candidates))
        return tuple(self._entry(place, chosen, markers) for place in places)

    def _entry(self, place: int, chosen: frozenset[int], markers: Mapping[str, int]) -> Entry:
        candidate = self._candidates[place]
        chunk = candidate.chunk
        marker = markers.get(chunk.id) if place in chosen else None
        first = self._duplicates.get(place)
        duplicate_of = self._candidates[first].chunk.id if first in chosen else None
        fate: Fate = "dropped"
        reason: DropReason | None = "over_budget"
        if marker is not None:
            fate, reason = "kept", None
        elif duplicate_of is not None:
            fate, reason = "duplicate", None
        return Entry(
            chunk=chunk.id,
            document=chunk.document,
            breadcrumb=chunk.breadcrumb,
            start=chunk.start,
            end=chunk.end,
            rank=place + 1,
            tokens=self._tokens[place],
            fate=fate,
            score=candidate.score,
            via=candidate.via,
            marker=marker,
            reason=reason,
            duplicate_of=duplicate_of,
        )

    def _total(self, kept: Sequence[int]) -> int:
        return self._counter.count_messages(self._prompt.messages(self.shown(kept)))


def _duplicates(candidates: Sequence[Candidate]) -> dict[int, int]:
    """Return for the place of every repeated text the place where it stood first."""
    first: dict[tuple[str, str], int] = {}
    repeated: dict[int, int] = {}
    for place, candidate in enumerate(candidates):
        key = (candidate.chunk.breadcrumb, candidate.chunk.text)
        if key in first:
            repeated[place] = first[key]
        else:
            first[key] = place
    return repeated
