"""Plans batches of texts of like length; knows token counts, not models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How large batches may be on a device, and what starting one costs there.

    Attributes:
        budget: most tokens of a batch, padding included; bounds the memory of a forward pass.
        overhead: tokens that could be computed in the time that one more batch takes to start.
    """

    budget: int
    overhead: int

    def __post_init__(self) -> None:
        if self.budget < 1 or self.overhead < 0:
            raise ValueError(f"budget {self.budget} < 1 or overhead {self.overhead} < 0")


def plan_batches(counts: Sequence[int], limits: BatchLimits) -> list[list[int]]:
    """Return the positions of `counts`, each once, in batches of like count, longest first.

    The rows of a batch are padded to its longest, so a batch of n texts takes n times its largest
    count: at most `budget`, unless it is one text that is longer. A batch ends, too, where its
    padding would cost more than starting another; so no plan pads by more than `overhead` a batch.

    Longest first, because a batch that is too large for the device's memory shows at once.
    """
    order = sorted(range(len(counts)), key=lambda position: (-counts[position], position))
    batches: list[list[int]] = []
    width = padding = 0
    for position in order:
        count = counts[position]
        grown = padding + width - count
        full = not batches or (len(batches[-1]) + 1) * width > limits.budget
        if full or grown > limits.overhead:
            batches.append([])
            width, grown = count, 0
        batches[-1].append(position)
        padding = grown
    return batches
