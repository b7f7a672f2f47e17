"""Stops calling a model server that fails, and tries it again after a while; pure.

    closed ── enough failures in a window ──▶ open ── after a while ──▶ half open
       ▲                                       ▲                          │
       └──────────── a trial succeeds ─────────┴───── a trial fails ──────┘

The clock is the caller's: every transition is given the time. A call is admitted with a ticket and
reports its end with it; what was admitted before the last change of state says nothing any more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

CircuitState = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True)
class CircuitLimits:
    """When a circuit opens, and for how long.

    Attributes:
        failures: failures within the window, less the successes after them, that open it.
        window_seconds: how long a failure counts.
        open_seconds: how long nothing is called, until trials are made.
        trials: calls at a time that try whether the server answers again.
    """

    failures: int = 5
    window_seconds: float = 30.0
    open_seconds: float = 15.0
    trials: int = 1


@dataclass(frozen=True, slots=True)
class Ticket:
    """What an admitted call reports its end with: the circuit's turn when it was admitted."""

    turn: int


@dataclass(frozen=True, slots=True)
class Circuit:
    """A circuit breaker's state; every method returns the next one and changes nothing.

    Always true of it: it is open or half open if and only if `opened` is a time; in half open at
    most `limits.trials` calls run.

    Attributes:
        failed: times of the failures that count, in order.
        opened: when it opened; None where it is closed.
        trials: trials that run.
        turn: grows with every opening and closing.
    """

    limits: CircuitLimits = field(default_factory=CircuitLimits)
    failed: tuple[float, ...] = ()
    opened: float | None = None
    trials: int = 0
    turn: int = 0

    def state(self, now: float) -> CircuitState:
        """Return whether calls are admitted: all, none, or trials."""
        if self.opened is None:
            return "closed"
        return "open" if now < self.opened + self.limits.open_seconds else "half_open"

    def admit(self, now: float) -> tuple[Circuit, Ticket | None]:
        """Return the next state and a ticket for one call; None where it must not be made."""
        state = self.state(now)
        if state == "closed":
            return self, Ticket(self.turn)
        if state == "open" or self.trials >= self.limits.trials:
            return self, None
        return replace(self, trials=self.trials + 1), Ticket(self.turn)

    def succeed(self, ticket: Ticket) -> Circuit:
        """Return the state after a success: a trial's closes, another makes up for one failure.

        So a server that fails less often than it answers stays in use.
        """
        if ticket.turn != self.turn:
            return self
        if self.opened is not None:
            return Circuit(self.limits, turn=self.turn + 1)
        return replace(self, failed=self.failed[1:])

    def fail(self, ticket: Ticket, now: float) -> Circuit:
        """Return the state after a failure: a trial's opens again, enough others open."""
        if ticket.turn != self.turn:
            return self
        recent = tuple(time for time in self.failed if time > now - self.limits.window_seconds)
        failed = (*recent, now)
        if self.opened is None and len(failed) < self.limits.failures:
            return replace(self, failed=failed)
        return Circuit(self.limits, opened=now, turn=self.turn + 1)

    def forget(self, ticket: Ticket) -> Circuit:
        """Return the state after a call whose end tells nothing of the server: it was left."""
        if ticket.turn != self.turn or self.opened is None:
            return self
        return replace(self, trials=self.trials - 1)

    def retry_after_seconds(self, now: float) -> int:
        """Return whole seconds until a trial is made, at least 1."""
        left = 0.0 if self.opened is None else self.opened + self.limits.open_seconds - now
        return max(1, math.ceil(left))
