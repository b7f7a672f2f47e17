"""Chooses which candidates fit: by sums where sums are exact, by counting the whole where not."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from chunking.duplicates import find_duplicates
from chunking.split import boundaries
from chunking.tokens import TokenCounter
from serve.context.budget import TokenBudget
from serve.context.costs import Costs
from serve.context.neighbours import Run, Runs, joined
from serve.context.prompt import Prompt
from serve.context.report import Candidate

Kept = tuple[list[int], int]
"""Places of the kept candidates in order of priority, and the prompt's tokens with them."""

_MOST_SAVED = 64
"""More tokens than a chunk saves by being joined to a neighbour, but for the longest headings."""
_TRIMMED = 4
"""Most candidates for which a cut is looked for; those after them are of lower priority still."""


@dataclass(slots=True)
class Packing:
    """One request's packing: what every step of it needs to know."""

    candidates: Sequence[Candidate]
    prompt: Prompt
    budget: TokenBudget
    counter: TokenCounter
    in_corpus_order: bool
    units: Sequence[int] | None = None
    costs: Costs = field(init=False)
    duplicates: dict[int, tuple[int, ...]] = field(init=False)

    def __post_init__(self) -> None:
        self.costs = Costs(self.candidates, self.prompt, self.counter, self.units)
        self.duplicates = find_duplicates(self.candidates)

    def add_up(self) -> Kept:
        """Keep what fits by sums alone; no token is counted twice and the whole is never read."""
        limit = self.costs.limit(self.budget.prompt_limit)
        used = self.costs.frame
        runs = Runs(self.candidates)
        kept: list[int] = []
        for place, units in enumerate(self.costs.units):
            # Far too long even under a neighbour's header: most are, once the window is full.
            if used + units - _MOST_SAVED > limit:
                continue
            if place in self.duplicates and self._repeats(place, kept):
                continue
            growth = self.costs.growth(place, runs)
            if used + growth <= limit:
                runs.add(place)
                kept.append(place)
                used += growth
        return kept, self.costs.tokens(used) if kept else self.budget.fixed

    def recount(self) -> Kept:
        """Keep what fits by sums, then count the whole and put right what the sums got wrong."""
        kept: list[int] = []
        used = self.budget.fixed
        for place in range(len(self.candidates)):
            tokens = self._tokens(place)
            if used + tokens <= self.budget.prompt_limit and not self._repeats(place, kept):
                kept.append(place)
                used += tokens
        total = self.total(kept)
        while kept and total > self.budget.prompt_limit:
            kept.pop()
            total = self.total(kept)
        return self._refill(kept, total)

    def _refill(self, kept: list[int], total: int) -> Kept:
        """Try the dropped again, best first, in the room that the final count shows to be left."""
        for place in self.left_out(kept):
            free = self.costs.limit(self.budget.prompt_limit - total)
            runs = Runs.of(self.candidates, kept)
            if self.costs.growth(place, runs) > free or self._repeats(place, kept):
                continue
            longer = sorted([*kept, place])
            longer_total = self.total(longer)
            if longer_total <= self.budget.prompt_limit:
                kept, total = longer, longer_total
        return kept, total

    def total(self, kept: Sequence[int]) -> int:
        """Return the prompt's tokens with these candidates."""
        if not kept:
            return self.budget.fixed
        if self.costs.additive:
            return self._sum(kept)
        runs = self.shown(kept)
        shown = [joined([self.candidates[place] for place in run]) for run in runs]
        messages = self.prompt.messages(shown)
        return self.counter.count_messages(messages, tools=self.prompt.tools)

    def _sum(self, kept: Sequence[int]) -> int:
        used, runs = self.costs.frame, Runs(self.candidates)
        for place in kept:
            used += self.costs.growth(place, runs)
            runs.add(place)
        return self.costs.tokens(used)

    def shown(self, kept: Sequence[int]) -> list[Run]:
        """Return the runs of the kept candidates in the order the prompt shows them."""
        runs = Runs.of(self.candidates, kept).in_order()
        return sorted(runs, key=self._corpus_place) if self.in_corpus_order else runs

    def left_out(self, kept: Sequence[int]) -> list[int]:
        """Return the places of what did not fit, best first."""
        places = range(len(self.candidates))
        return [place for place in places if place not in kept and not self._repeats(place, kept)]

    def with_candidate(self, place: int, candidate: Candidate) -> Packing:
        """Return the packing with another candidate in this place."""
        candidates = list(self.candidates)
        candidates[place] = candidate
        units = list(self.costs.units)
        units[place] = self.costs.units_of(candidate)
        return Packing(
            candidates, self.prompt, self.budget, self.counter, self.in_corpus_order, units
        )

    def _repeats(self, place: int, kept: Collection[int]) -> bool:
        return any(repeated in kept for repeated in self.duplicates.get(place, ()))

    def _tokens(self, place: int) -> int:
        return self.costs.tokens(self.costs.units[place])

    def _corpus_place(self, run: Run) -> tuple[int, str, int]:
        first = self.candidates[run[0]]
        return first.place, first.chunk.document, first.chunk.start


def trimmed(packing: Packing, kept: list[int], total: int) -> tuple[Packing, list[int], int]:
    """Cut the best candidate left out at the last sentence or line that fits, if any does."""
    for place in packing.left_out(kept)[:_TRIMMED]:
        candidate = packing.candidates[place]
        longer = sorted([*kept, place])
        cuts = boundaries(candidate.chunk.text)

        def too_long(cut: int, place: int = place, longer: list[int] = longer) -> bool:
            shorter = packing.with_candidate(place, _cut(packing.candidates[place], cut))
            return shorter.total(longer) > packing.budget.prompt_limit

        fitting = bisect_left(cuts, True, key=too_long)
        if fitting:
            shorter = packing.with_candidate(place, _cut(candidate, cuts[fitting - 1]))
            return shorter, longer, shorter.total(longer)
    return packing, kept, total


def _cut(candidate: Candidate, length: int) -> Candidate:
    chunk = candidate.chunk
    cut = replace(chunk, text=chunk.text[:length], end=chunk.start + length)
    return replace(candidate, chunk=cut, units=None, continued=None)
