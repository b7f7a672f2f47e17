"""Prepares texts for a model: token ids, planned into padded batches, a window at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from retrieval.batches import BatchLimits, plan_batches
from retrieval.points import Vector
from retrieval.transformer.tokens import Ids, Tokens

FIRST_TEXTS, MOST_TEXTS = 256, 2048
"""Texts planned together. The first window is small, so that the device starts early; the others
grow, because more texts sort into fuller batches."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts of like length that go through the model together.

    Attributes:
        positions: where each text stands in its window.
        ids: one row of token ids per text, zeros behind its end; shape (texts, longest).
        counts: tokens of each row.
        texts: the texts themselves, for models whose library prepares its own input.
    """

    positions: list[int]
    ids: Ids
    counts: Ids
    texts: list[str]

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def padded_count(self) -> int:
        """Tokens that the model computes, padding included."""
        return int(self.ids.size)

    def halves(self) -> tuple[Batch, Batch]:
        """Return two batches with half of the texts each, in the same order."""
        middle = len(self) // 2
        return self._part(slice(middle)), self._part(slice(middle, None))

    def first(self, count: int) -> Batch:
        """Return a batch with the first `count` texts."""
        return self._part(slice(count))

    def _part(self, rows: slice) -> Batch:
        counts = self.counts[rows]
        ids = self.ids[rows, : max(counts.max(), 1)]
        return Batch(self.positions[rows], ids, counts, self.texts[rows])


@dataclass(frozen=True, slots=True)
class Window:
    """Texts that were planned together; `last` where a caller's batch of texts ends with them."""

    count: int
    batches: list[Batch]
    last: bool

    def in_order(self, rows: Iterable[Vector], *, dimension: int) -> Vector:
        """Return the rows of the batches in the order of the window's texts."""
        ordered = np.empty((self.count, dimension), dtype=np.float32)
        for batch, found in zip(self.batches, rows, strict=True):
            ordered[batch.positions] = found
        return ordered


def prepare(
    batches: Iterable[Sequence[str]], *, tokens: Tokens, limits: Callable[[], BatchLimits]
) -> Iterator[Window]:
    """Yield each caller's batch of texts as one window or more, an empty one included.

    `limits` is asked once there are texts: to know a device takes a library that is slow to import.
    """
    size = FIRST_TEXTS
    for texts in batches:
        start = 0
        while start < len(texts) or not start:
            part = texts[start : start + size]
            start += size
            yield _plan(part, tokens=tokens, limits=limits, last=start >= len(texts))
            size = min(2 * size, MOST_TEXTS)


def _plan(
    texts: Sequence[str], *, tokens: Tokens, limits: Callable[[], BatchLimits], last: bool
) -> Window:
    if not texts:
        return Window(0, [], last)
    rows = tokens.ids(texts)
    counts = [len(row) for row in rows]
    batches = []
    for positions in plan_batches(counts, limits()):
        # Some tokenizers give an empty text no token; a model needs a column.
        width = max(counts[positions[0]], 1)
        ids = np.zeros((len(positions), width), dtype=np.int32)
        for row, position in zip(ids, positions, strict=True):
            row[: counts[position]] = rows[position]
        sizes = np.array([counts[position] for position in positions], dtype=np.int32)
        batches.append(Batch(positions, ids, sizes, [texts[position] for position in positions]))
    return Window(len(texts), batches, last)
