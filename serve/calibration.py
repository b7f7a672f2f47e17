"""Calibrates estimated counts by what servers really read: upward only, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from threading import Lock

MARGIN = Fraction(102, 100)
"""Above the largest ratio seen: the next prompt may be a little worse than the worst so far."""

FACTOR_LIMIT = Fraction(4)
"""A larger ratio is no tokenizer's: the server read something else than was sent."""

_FEWEST_TOKENS = 32
"""Of shorter prompts the template is the larger part, and its ratio says nothing of long ones."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One prompt as it was counted and as it was served.

    Attributes:
        base_count: tokens of the request by the estimate's base counter, not yet multiplied.
        served_prompt_tokens: what the server's usage said.
    """

    base_count: int
    served_prompt_tokens: int

    @property
    def ratio(self) -> Fraction | None:
        """Served tokens for each counted one; None where that teaches nothing."""
        if self.base_count < _FEWEST_TOKENS or self.served_prompt_tokens <= 0:
            return None
        ratio = Fraction(self.served_prompt_tokens, self.base_count)
        return ratio if ratio <= FACTOR_LIMIT else None


def calibrated_factor(factor: Fraction, observations: Iterable[Observation]) -> Fraction:
    """Return the factor raised to cover every observation with `MARGIN`, and never lowered.

    It is rounded up to hundredths, so that few factors are ever in use.
    """
    ratios = [seen.ratio for seen in observations]
    largest = max((ratio for ratio in ratios if ratio is not None), default=Fraction(0))
    needed = Fraction(-(-largest * MARGIN * 100 // 1), 100)
    return max(factor, needed)


@dataclass(slots=True)
class Calibration:
    """The factors of the profiles with an estimated tokenizer; safe to share between threads.

    It keeps one number for each profile, whatever was observed.
    """

    _factors: dict[str, Fraction] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def factor(self, profile: str, given: Fraction) -> Fraction:
        """Return the factor to count with: the given one, or a larger one that was needed."""
        with self._lock:
            return max(given, self._factors.get(profile, given))

    def observe(self, profile: str, given: Fraction, seen: Observation) -> bool:
        """Learn from one answer; return whether the factor rose."""
        with self._lock:
            known = max(given, self._factors.get(profile, given))
            raised = calibrated_factor(known, (seen,))
            self._factors[profile] = raised
            return raised > known

    def known(self) -> Mapping[str, Fraction]:
        """Return the factor of every profile that was observed."""
        with self._lock:
            return dict(self._factors)
