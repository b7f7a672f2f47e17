"""What a prompt costs, in tokens of the base tokenizer: added up where sums are exact."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from chunking.piece_counts import PieceCounter
from chunking.tokens import TokenCounter
from serve.context.neighbours import Run, Runs, joined
from serve.context.prompt import Prompt
from serve.context.report import Candidate


class Costs:
    """Counts of one request: of each candidate, of runs of them, and of the whole prompt.

    A base tokenizer counts; `tokens` turns its counts into those of the model, which differ from
    them only where the model's are estimated.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        prompt: Prompt,
        counter: TokenCounter,
        units: Sequence[int] | None = None,
    ) -> None:
        """Count the candidates that were not counted at ingestion, unless all units are given."""
        self._candidates = candidates
        self._prompt = prompt
        self._base = counter.base
        self._raise, self._lower = counter.factor.as_integer_ratio()
        self._pieces = PieceCounter(counter.base)
        self.additive = counter.additive
        self.units = units or [self.units_of(candidate) for candidate in candidates]
        self._joins: dict[tuple[int, int], int | None] = {}
        self._wholes: dict[Run, int] = {}
        self._frame: int | None = None

    def units_of(self, candidate: Candidate) -> int:
        """Return the base tokens of a candidate's piece, counted now if not at ingestion."""
        if candidate.units is None:
            return self._pieces.count(candidate.chunk)
        return candidate.units

    def limit(self, tokens: int) -> int:
        """Return the most base tokens that count as at most `tokens`."""
        return tokens * self._lower // self._raise

    def tokens(self, units: int) -> int:
        """Return what so many base tokens count as for the model."""
        return -(-units * self._raise // self._lower)

    @property
    def frame(self) -> int:
        """Base tokens of a prompt with sources, without the sources themselves."""
        if self._frame is None:
            messages = self._prompt.frame()
            self._frame = self._base.count_messages(messages, tools=self._prompt.tools)
        return self._frame

    def growth(self, place: int, runs: Runs, *, before_first: int = 0) -> int:
        """Return what a candidate adds to a prompt that shows these runs.

        `before_first` is the marker before the prompt's first.
        """
        before, after = runs.around(place)
        last = before_first + len(runs)
        if not (before or after):
            return self.units[place] + self._marker(last + 1)
        markers = -self._marker(last) if before and after else 0
        own = self.of_run((*before, place, *after))
        return own - self.of_run(before) - self.of_run(after) + markers

    def of_run(self, run: Run) -> int:
        """Return the base tokens of the piece that shows a run, whatever its marker."""
        if len(run) <= 1:
            return self.units[run[0]] if run else 0
        saved = [self._join(pair) for pair in pairwise(run)]
        known = [units for units in saved if units is not None]
        if len(known) == len(saved):
            return sum(self.units[place] for place in run) + sum(known)
        if run not in self._wholes:
            chunk = joined([self._candidates[place] for place in run])
            self._wholes[run] = self._pieces.count(chunk)
        return self._wholes[run]

    def _join(self, pair: tuple[int, int]) -> int | None:
        """Return what a neighbour costs beyond its own units, None where only counting tells."""
        if pair not in self._joins:
            self._joins[pair] = self._count_join(*pair) if self.additive else None
        return self._joins[pair]

    def _count_join(self, earlier: int, later: int) -> int | None:
        before, candidate = self._candidates[earlier], self._candidates[later]
        # A chunk that no record counts is of another version than its neighbour may continue.
        if before.units is None or candidate.units is None or candidate.continued is None:
            return self._pieces.join(before.chunk, candidate.gap or "", candidate.chunk)
        return candidate.continued - candidate.units

    def _marker(self, marker: int) -> int:
        """Return what this marker takes more than one of one digit, the same in every request."""
        known = _MARKER_TOKENS.setdefault(self._base.identity, {})
        if marker not in known:
            known[marker] = self._pieces.marker(marker)
        return known[marker]


_MARKER_TOKENS: dict[str, dict[int, int]] = {}
