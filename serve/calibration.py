"""Calibrates estimated counts by what servers really read: upward only, in bounded memory."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from threading import Lock

_LOG = logging.getLogger("windowfit.serve")

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

    Attributes:
        file: where raised factors are kept from one start to the next; None forgets them. A file
            that cannot be read or written costs what was learnt, never an answer.
    """

    file: Path | None = None
    _factors: dict[str, Fraction] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        """Read what was learnt before."""
        if self.file is None:
            return
        try:
            kept = json.loads(self.file.read_text(encoding="utf-8"))
            learnt = {str(name): Fraction(text) for name, text in kept.items()}
        except (OSError, ValueError, TypeError, AttributeError, ZeroDivisionError):
            return
        self._factors = {name: one for name, one in learnt.items() if 1 <= one <= FACTOR_LIMIT * 2}

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
            if raised > known:
                self._keep()
            return raised > known

    def known(self) -> Mapping[str, Fraction]:
        """Return the factor of every profile that was observed."""
        with self._lock:
            return dict(self._factors)

    def _keep(self) -> None:
        """Replace the file as a whole, so that a killed process leaves the old one."""
        if self.file is None:
            return
        text = json.dumps({name: str(factor) for name, factor in self._factors.items()})
        new = self.file.with_name(f"{self.file.name}.new")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(text, encoding="utf-8")
            new.replace(self.file)
        except OSError as error:
            _LOG.warning("calibration not kept", extra={"fields": {"reason": str(error)}})
