"""Fuses what a vector and what terms say of chunks into one ranking."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def fuse_scores(
    cosines: Mapping[T, float], term_scores: Mapping[T, float], *, term_floor: float
) -> list[T]:
    """Return the items of two rankings, those first that are high in both together.

    The scores of each ranking are brought to the span from 0, its floor, to 1, its best, and the
    two are added up with equal weight: the convex combination of min-max scaled scores of Bruch,
    Gai and Ingber 2022, "An Analysis of Fusion Functions for Hybrid Retrieval". What a ranking does
    not list stands at its floor. Equal sums are in the order of `cosines`, then of `term_scores`.

    Args:
        cosines: those of the nearest; their floor is the least of them, as embedders differ in what
            they call far.
        term_scores: those of the best by terms.
        term_floor: the most that an item may have by terms that is not listed there: 0 where all
            that share a term are listed.
    """
    near = _shares(cosines, min(cosines.values(), default=0.0))
    worded = _shares(term_scores, term_floor)
    # A dictionary, as a set has an order of its own in every process.
    items = dict.fromkeys((*cosines, *term_scores))
    return sorted(items, key=lambda item: near.get(item, 0) + worded.get(item, 0), reverse=True)


def _shares(scores: Mapping[T, float], floor: float) -> dict[T, float]:
    """Return scores as shares of the way from the floor to the best."""
    span = max(scores.values(), default=floor) - floor
    return {item: (score - floor) / span if span else 0.0 for item, score in scores.items()}
