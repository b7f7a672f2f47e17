"""Reciprocal rank fusion: one ranking out of several, whatever their scores mean."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

T = TypeVar("T", bound=Hashable)

_RANK_OFFSET = 60
"""k of Cormack, Clarke and Büttcher 2009, "Reciprocal rank fusion outperforms Condorcet and
individual rank learning methods", SIGIR; fixed there in a pilot and near the best for every set."""


def fuse_rankings(rankings: Sequence[Sequence[T]]) -> list[T]:
    """Return all items that are ranked, by the sum of 1 / (60 + rank) over the rankings.

    Equal sums are in the order of the best rank, then in that of the rankings.

    Args:
        rankings: best first, ranks counting from 1; each names an item once.
    """
    sums: dict[T, float] = {}
    firsts: dict[T, tuple[int, int]] = {}
    for number, ranking in enumerate(rankings):
        for rank, item in enumerate(ranking, start=1):
            sums[item] = sums.get(item, 0.0) + 1 / (_RANK_OFFSET + rank)
            firsts[item] = min(firsts.get(item, (rank, number)), (rank, number))
    return sorted(sums, key=lambda item: (-sums[item], firsts[item]))
