"""Lets calls of one model server through: a few at a time, others in a queue, none to a broken one.

A call that cannot be made is refused at once or after the queue's deadline, typed and with the time
after which another try makes sense. One event loop at a time; no threads.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from serve.breaker import Circuit, CircuitLimits, CircuitState, Ticket
from serve.errors import QueueFull, UpstreamError

_BUSY = frozenset({"rate_limited", "queue_full"})
"""Codes of a server that answers and has too much to do: no failures."""
_WEIGHT = 0.2
"""Of the last call in the mean duration of calls."""
_LONGEST_RETRY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class GateLimits:
    """How many calls of one server run and wait.

    Attributes:
        concurrency: calls at a time.
        queue: calls that may wait for one of them.
        queue_seconds: how long a call waits at most.
        circuit: when the server counts as broken.
    """

    concurrency: int = 8
    queue: int = 64
    queue_seconds: float = 30.0
    circuit: CircuitLimits = field(default_factory=CircuitLimits)


class Gate:
    """The gate before one model server.

    Attributes:
        running: calls that run.
        waiting: calls in the queue.
    """

    def __init__(
        self, name: str, limits: GateLimits, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Open the gate before the server of a profile.

        Args:
            name: the profile's, for messages.
            clock: seconds that never go back.
        """
        self._name = name
        self._limits = limits
        self._clock = clock
        self._circuit = Circuit(limits.circuit)
        self._queue: deque[asyncio.Future[None]] = deque()
        self._mean_seconds: float | None = None
        self.running = 0

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return len(self._queue)

    @property
    def state(self) -> CircuitState:
        """Whether the server is called: "closed" is yes."""
        return self._circuit.state(self._clock())

    @asynccontextmanager
    async def admitted(self) -> AsyncGenerator[None]:
        """Hold a place while a call runs; how the block ends tells how the server does.

        A failure of the server that a later try may mend counts against it. A caller that leaves
        tells nothing.

        Raises:
            QueueFull: too many calls wait, or this one waited too long.
            UpstreamError: the server failed so often that it is left alone for a while.
        """
        self._refuse_broken()
        await self._enter()
        try:
            ticket = self._admit()
            started = self._clock()
            try:
                yield
            except UpstreamError as error:
                self._note(ticket, failed=error.retryable and error.code not in _BUSY)
                raise
            except BaseException:
                self._circuit = self._circuit.forget(ticket)
                raise
            self._note(ticket, failed=False)
            self._note_seconds(self._clock() - started)
        finally:
            self._leave()

    def _admit(self) -> Ticket:
        self._circuit, ticket = self._circuit.admit(self._clock())
        if ticket is None:
            raise self._broken()
        return ticket

    def _refuse_broken(self) -> None:
        """Raise where a call would wait in vain; nothing is admitted yet."""
        if self._circuit.admit(self._clock())[1] is None:
            raise self._broken()

    def _broken(self) -> UpstreamError:
        seconds = self._circuit.retry_after_seconds(self._clock())
        error = UpstreamError(
            f"{self._name}: its server failed {self._limits.circuit.failures} times within "
            f"{self._limits.circuit.window_seconds:g} s and is not called",
            hint=f"see to the server; it is tried again in {seconds} s",
            retry_after_seconds=seconds,
        )
        error.called = False
        return error

    def _note(self, ticket: Ticket, *, failed: bool) -> None:
        if failed:
            self._circuit = self._circuit.fail(ticket, self._clock())
        else:
            self._circuit = self._circuit.succeed(ticket)

    def _note_seconds(self, seconds: float) -> None:
        before = self._mean_seconds
        self._mean_seconds = seconds if before is None else before + _WEIGHT * (seconds - before)

    async def _enter(self) -> None:
        """Take a place, in the order of arrival."""
        if self.running < self._limits.concurrency and not self._queue:
            self.running += 1
            return
        if self.waiting >= self._limits.queue:
            raise self._full(f"{self.waiting} calls wait already")
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            async with asyncio.timeout(self._limits.queue_seconds):
                await turn
        except TimeoutError as error:
            self._give_up(turn)
            raise self._full(f"waited {self._limits.queue_seconds:g} s") from error
        except BaseException:
            self._give_up(turn)
            raise

    def _give_up(self, turn: asyncio.Future[None]) -> None:
        """Leave the queue; a place that was handed over in the same moment goes to the next."""
        if turn in self._queue:
            self._queue.remove(turn)
        elif turn.done() and not turn.cancelled():
            self._leave()

    def _leave(self) -> None:
        """Hand the place to the first that waits, else free it."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.running -= 1

    def _full(self, what: str) -> QueueFull:
        rounds = (self.waiting + 1) / self._limits.concurrency
        seconds = math.ceil((self._mean_seconds or 1.0) * rounds)
        return QueueFull(
            f"{self._name}: {what}, {self.running} of {self._limits.concurrency} calls run",
            retry_after_seconds=min(_LONGEST_RETRY_SECONDS, max(1, seconds)),
        )
