"""Turns windows of batches into rows, in order, with several batches under way at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from retrieval.points import Vector
from retrieval.transformer.encoder import Running
from retrieval.transformer.windows import Batch, Window


class Runner(Protocol):
    """Computes batches: a model on one device, or processes with one device each.

    Attributes:
        lag: how many windows may be under way while the next is started.
    """

    lag: int

    def settle(self, window: Window) -> None:
        """Look at a window before its batches are started."""

    def start(self, batch: Batch) -> Running:
        """Begin a batch, and return what waits for its rows."""


def embed_windows(
    windows: Iterator[Window],
    runner_of: Callable[[], Runner],
    *,
    dimension: int,
    ready: Callable[[], bool],
) -> Iterator[Vector]:
    """Yield the rows of each caller's batch, in order.

    While the device works on one window the next is started, but only when that one is `ready`: the
    rows of a slow source do not wait for texts to come. `runner_of` is asked once there is a text,
    since a model takes seconds to load.
    """
    runner: Runner | None = None
    parts: list[Vector] = []
    running: deque[tuple[Window, list[Running]]] = deque()
    more = True
    while more or running:
        lag = runner.lag if runner else 0
        if running and (len(running) > lag or not more or not ready()):
            window, batches = running.popleft()
            parts.append(window.in_order((finish() for finish in batches), dimension=dimension))
            if window.last:
                yield np.concatenate(parts)
                parts = []
        elif (following := next(windows, None)) is None:
            more = False
        elif following.batches:
            runner = runner or runner_of()
            runner.settle(following)
            running.append((following, [runner.start(batch) for batch in following.batches]))
        else:
            running.append((following, []))
