"""Joins kept chunks that follow each other in one document under one header."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from chunking.document import Chunk
from serve.context.report import Candidate

Run = tuple[int, ...]
"""Places of candidates that the prompt shows as one piece, in document order."""


def follows(earlier: Candidate, later: Candidate) -> bool:
    """Return whether two chunks can be shown as one: the same header, white space between them."""
    one, other = earlier.chunk, later.chunk
    return (
        later.gap is not None
        and one.document == other.document
        and one.position + 1 == other.position
        and one.end + len(later.gap) == other.start
        and one.title == other.title
        and one.path == other.path
    )


def joined(members: Sequence[Candidate]) -> Chunk:
    """Return the chunk that shows all members: the first one's identity, the span of all."""
    first = members[0].chunk
    if len(members) == 1:
        return first
    rest = (f"{member.gap}{member.chunk.text}" for member in members[1:])
    return replace(first, end=members[-1].chunk.end, text="".join((first.text, *rest)))


_LONGEST_RUN = 8
"""Most chunks in a run: where only counting the whole run tells its cost, each of them does so."""


@dataclass(slots=True)
class Runs:
    """The runs that the kept candidates form so far."""

    candidates: Sequence[Candidate]
    _runs: dict[int, Run] = field(default_factory=dict)
    _first: dict[tuple[str, int], int] = field(default_factory=dict)
    _last: dict[tuple[str, int], int] = field(default_factory=dict)
    _claimed: set[tuple[str, int]] = field(default_factory=set)

    @classmethod
    def of(cls, candidates: Sequence[Candidate], kept: Iterable[int]) -> Runs:
        """Return the runs of kept candidates."""
        runs = cls(candidates)
        for place in kept:
            runs.add(place)
        return runs

    def __len__(self) -> int:
        return len(self._runs)

    def in_order(self) -> list[Run]:
        """Return the runs, the one with the best candidate first."""
        return sorted(self._runs.values(), key=min)

    def around(self, place: int) -> tuple[Run, Run]:
        """Return the runs that a candidate would follow and precede, empty where there is none."""
        chunk = self.candidates[place].chunk
        preceding = self._last.get((chunk.document, chunk.position - 1))
        following = self._first.get((chunk.document, chunk.position + 1))
        if (preceding is None and following is None) or self._key(place) in self._claimed:
            return (), ()
        before = () if preceding is None else self._runs.get(preceding, ())
        after = () if following is None else self._runs.get(following, ())
        if before and not follows(self.candidates[before[-1]], self.candidates[place]):
            before = ()
        if after and not follows(self.candidates[place], self.candidates[after[0]]):
            after = ()
        if len(before) >= _LONGEST_RUN:
            before = ()
        if len(before) + 1 + len(after) > _LONGEST_RUN:
            after = ()
        return before, after

    def add(self, place: int) -> None:
        """Keep a candidate, joined to its neighbours."""
        before, after = self.around(place)
        run = (*before, place, *after)
        for end in (before[:1], after[:1]):
            if end:
                del self._runs[end[0]]
        self._runs[run[0]] = run
        key = self._key(place)
        if key not in self._claimed:
            # Of chunks that claim one position of a document, only the first is ever joined.
            self._claimed.add(key)
            self._first[self._key(run[0])] = self._last[self._key(run[-1])] = run[0]

    def _key(self, place: int) -> tuple[str, int]:
        chunk = self.candidates[place].chunk
        return chunk.document, chunk.position
