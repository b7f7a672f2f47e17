"""Computes batches in one process per device, so that several GPUs work at the same time."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from functools import cache, partial
from typing import Self

from chunking.errors import EmbedderUnavailable
from retrieval.points import Vector
from retrieval.transformer.encoder import Encoder, Running
from retrieval.transformer.windows import Batch, Window

_WINDOWS_A_DEVICE = 2


class DeviceProcesses:
    """A `Runner` that deals batches out to processes; they end with the `with` block.

    A batch goes to the process with the fewest tokens to do. The next process starts when all that
    run are busy, so that little work does not load the model onto every device.

    Args:
        location: folder or hub name of the weights.
        devices: one process is started for each; a device may be named twice.
    """

    def __init__(self, location: str, devices: Sequence[str]) -> None:
        self.lag = _WINDOWS_A_DEVICE * len(devices)
        self._location = location
        self._idle = list(devices)
        self._started: list[_DeviceProcess] = []
        self._running = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def settle(self, window: Window) -> None:
        """See `Runner.settle`; a process keeps the precision that its device starts with."""

    def start(self, batch: Batch) -> Running:
        """See `Runner.start`.

        Raises:
            EmbedderUnavailable: the process of the batch has ended.
        """
        free = min(self._started, key=lambda process: process.tokens(), default=None)
        if free is None or (self._idle and free.tokens()):
            free = _DeviceProcess(self._location, self._idle.pop(0))
            self._running.callback(free.close)
            self._started.append(free)
        return free.start(batch)


class _DeviceProcess:
    """A process with a model on its device."""

    def __init__(self, location: str, device: str) -> None:
        self._location, self._device = location, device
        self._executor = ProcessPoolExecutor(
            # A CUDA context does not survive a fork.
            1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_ignore_interrupts,
        )
        self._waiting: list[tuple[int, Future[Vector]]] = []

    def tokens(self) -> int:
        """Return the tokens of the batches that are not done."""
        self._waiting = [entry for entry in self._waiting if not entry[1].done()]
        return sum(count for count, _ in self._waiting)

    def start(self, batch: Batch) -> Running:
        """Hand a batch over; it is computed after those before it."""
        try:
            future = self._executor.submit(_encode, self._location, self._device, batch)
        except BrokenProcessPool as error:
            raise self._ended() from error
        self._waiting.append((batch.padded_count, future))
        return partial(self._result, future)

    def close(self) -> None:
        """Wait for the batch under way and end the process; batches not begun are dropped."""
        self._executor.shutdown(cancel_futures=True)

    def _result(self, future: Future[Vector]) -> Vector:
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise self._ended() from error

    def _ended(self) -> EmbedderUnavailable:
        return EmbedderUnavailable(
            f"the process that embeds on {self._device} ended while it worked",
            hint="see whether the system ended it for want of memory, then run the same again",
        )


def _ignore_interrupts() -> None:
    """Leave an interrupt to the parent, which ends its processes in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@cache
def _encoder(location: str, device: str) -> Encoder:
    return Encoder(location, device=device)


def _encode(location: str, device: str, batch: Batch) -> Vector:
    return _encoder(location, device).start(batch)()
