"""How long the answers of each model took of late, for rules that have a limit of time."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from statistics import median
from threading import Lock
from typing import Final

REMEMBERED: Final = 32
"""Answers of a model whose time counts: enough to be steady, few enough to follow a change."""


class Latencies:
    """The last times of each model; safe to share between threads."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, deque[float]] = defaultdict(
            lambda: deque(maxlen=REMEMBERED)
        )
        self._lock = Lock()

    def note(self, model: str, seconds: float) -> None:
        """Remember the time of one answer, from the call to its end."""
        with self._lock:
            self._seconds[model].append(seconds)

    def seconds(self) -> Mapping[str, float]:
        """Return the median of the last answers of every model that has answered."""
        with self._lock:
            return {name: round(median(times), 3) for name, times in self._seconds.items()}
