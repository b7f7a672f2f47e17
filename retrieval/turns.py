"""Merges rankings by letting them take turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from retrieval.records import Hit


def by_turns(groups: Sequence[Sequence[list[Hit]]]) -> list[list[Hit]]:
    """Return the first of each group, then the second of each, and so on."""
    return [stream for turn in zip_longest(*groups, fillvalue=[]) for stream in turn]


def take_turns(streams: Sequence[Sequence[Hit]], *, limit: int) -> list[Hit]:
    """Merge ranked lists by taking from each in turn; a chunk counts where it comes first."""
    merged: dict[str, Hit] = {}
    for hit in _turns(streams):
        if len(merged) == limit:
            break
        merged.setdefault(hit.chunk.id, hit)
    return list(merged.values())


def _turns(streams: Sequence[Sequence[Hit]]) -> Iterator[Hit]:
    for rank in range(max(map(len, streams), default=0)):
        for stream in streams:
            if rank < len(stream):
                yield stream[rank]
