"""Pure measures of answers and contexts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from chunking.document import Chunk
from eval.questions import Evidence, Question

Z_95 = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""
_HALVINGS = 50


def answer_in_context(question: Question, kept: Sequence[Chunk]) -> bool:
    """Return whether every piece of evidence stands word for word in a kept chunk of its document.

    Documents are compared by the end of their ids, because a collection may put a prefix before
    the names that the question set uses.
    """
    return all(any(holds(chunk, evidence) for chunk in kept) for evidence in question.evidence)


def holds(chunk: Chunk, evidence: Evidence) -> bool:
    """Return whether a piece of evidence stands word for word in a chunk of its document."""
    return f"/{chunk.document}".endswith(f"/{evidence.document}") and evidence.text in chunk.text


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (E. B. Wilson, 1927); (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    spread = Z_95**2 / trials
    middle = (share + spread / 2) / (1 + spread)
    half = Z_95 * math.sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def paired_interval(first_only: int, second_only: int, pairs: int) -> tuple[float, float]:
    """Return the 95 % score interval of the difference of two paired shares (T. Tango, 1998).

    The difference is the second share minus the first. Unlike resampling it has a width where the
    pairs are few or all alike, and it excludes 0 where McNemar's chi-square of 1 is above 3.84.

    Args:
        first_only, second_only: pairs that one side alone has.
        pairs: all of them, at least one.
    """
    difference = (second_only - first_only) / pairs

    def excluded(shift: float) -> bool:
        linear = (2 * pairs - second_only + first_only) * shift - first_only - second_only
        constant = -first_only * shift * (1 - shift)
        root = math.sqrt(max(0.0, linear**2 - 8 * pairs * constant))
        share = (root - linear) / (4 * pairs)
        variance = pairs * (2 * share + shift * (1 - shift))
        off = second_only - first_only - pairs * shift
        return off**2 > Z_95**2 * max(0.0, variance)

    def bound(inside: float, outside: float) -> float:
        if not excluded(outside):
            return outside
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if excluded(middle) else (middle, outside)
        return inside

    return bound(difference, -1.0), bound(difference, 1.0)
