"""Tells the labels of texts that stand in several documents, which may be labelled differently."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from chunking.sensitivity import Sensitivity
from serve.context.report import Candidate


def labels_with_copies(
    candidates: Sequence[Candidate], duplicates: Mapping[int, Sequence[int]]
) -> list[Sensitivity]:
    """Return for each candidate the highest label of all that hold the same text, or nearly so.

    One text under two labels is the text of the higher one, whichever of its copies is shown.

    Args:
        duplicates: by the place of a repetition, the places of what it repeats.
    """
    labels = [candidate.chunk.sensitivity for candidate in candidates]
    alike: dict[int, set[int]] = defaultdict(set)
    for place, repeated in duplicates.items():
        for other in repeated:
            alike[place].add(other)
            alike[other].add(place)
    reached: set[int] = set()
    # From the highest label on, each reaches all that hold its text, by whatever way.
    for first in sorted(alike, key=lambda place: labels[place].rank, reverse=True):
        waiting = [first]
        while waiting:
            place = waiting.pop()
            if place not in reached:
                reached.add(place)
                labels[place] = labels[first]
                waiting += alike[place]
    return labels
