"""Pure measures of answers and contexts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from chunking.document import Chunk
from eval.questions import Evidence, Question

Z_95 = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""


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
