from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from serve.breaker import Circuit, CircuitLimits, Ticket

LIMITS = CircuitLimits(failures=3, window_seconds=10, open_seconds=5, trials=1)


def failed(circuit: Circuit, *times: float) -> Circuit:
    for time in times:
        circuit, ticket = circuit.admit(time)
        assert ticket is not None
        circuit = circuit.fail(ticket, time)
    return circuit


def test_it_opens_after_enough_failures_in_the_window_and_admits_nothing() -> None:
    assert failed(Circuit(LIMITS), 0, 1).state(1) == "closed"
    circuit = failed(Circuit(LIMITS), 0, 1, 2)
    assert circuit.state(2) == "open"
    assert circuit.admit(3)[1] is None
    assert circuit.retry_after_seconds(3.5) == 4


def test_failures_that_are_older_than_the_window_do_not_count() -> None:
    assert failed(Circuit(LIMITS), 0, 6, 12).state(12) == "closed"


def test_a_server_that_answers_as_often_as_it_fails_stays_in_use() -> None:
    circuit = Circuit(LIMITS)
    for time in range(20):
        circuit = failed(circuit, time / 10)
        circuit, ticket = circuit.admit(time / 10)
        assert ticket is not None
        circuit = circuit.succeed(ticket)
    assert circuit.state(2) == "closed"


def test_after_a_while_one_trial_at_a_time_is_made() -> None:
    circuit, trial = failed(Circuit(LIMITS), 0, 0, 0).admit(5)
    assert trial is not None
    assert circuit.admit(5)[1] is None
    assert circuit.succeed(trial).state(5) == "closed"
    assert circuit.fail(trial, 6).state(6) == "open"
    assert circuit.fail(trial, 6).state(11) == "half_open"


def test_a_trial_that_was_left_makes_room_for_another() -> None:
    circuit, trial = failed(Circuit(LIMITS), 0, 0, 0).admit(5)
    assert trial is not None
    assert circuit.forget(trial).admit(5)[1] is not None


@pytest.mark.parametrize("end", ["succeed", "fail", "forget"])
def test_what_was_admitted_before_the_last_change_says_nothing(end: str) -> None:
    circuit, late = Circuit(LIMITS).admit(0)
    assert late is not None
    opened = failed(circuit, 0, 0, 0)
    ended = {
        "succeed": lambda: opened.succeed(late),
        "fail": lambda: opened.fail(late, 4),
        "forget": lambda: opened.forget(late),
    }
    assert ended[end]() == opened


class CircuitMachine(RuleBasedStateMachine):
    """Calls begin and end in any order while time passes; a plain model counts along."""

    def __init__(self) -> None:
        super().__init__()
        self.circuit = Circuit(LIMITS)
        self.now = 0.0
        self.tickets: list[Ticket] = []

    @rule(seconds=st.sampled_from([0.0, 0.5, 3.0, 5.0, 11.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def begin(self) -> None:
        before = self.circuit.state(self.now)
        self.circuit, ticket = self.circuit.admit(self.now)
        if before == "closed":
            assert ticket is not None
        if before == "open":
            assert ticket is None
        if ticket is not None:
            self.tickets.append(ticket)

    @precondition(lambda self: self.tickets)
    @rule(place=st.integers(0, 10), end=st.sampled_from(["succeed", "fail", "forget"]))
    def finish(self, place: int, end: str) -> None:
        ticket = self.tickets.pop(place % len(self.tickets))
        before = self.circuit
        if end == "fail":
            self.circuit = before.fail(ticket, self.now)
        else:
            self.circuit = getattr(before, end)(ticket)
        if before.state(self.now) == "open":
            assert self.circuit == before
        if self.circuit.opened is not None and before.opened is None:
            assert end == "fail"
            assert len(before.failed) >= LIMITS.failures - 1

    @invariant()
    def trials_are_bounded_and_belong_to_calls_that_run(self) -> None:
        current = [ticket for ticket in self.tickets if ticket.turn == self.circuit.turn]
        if self.circuit.opened is None:
            assert self.circuit.trials == 0
            assert len(self.circuit.failed) < LIMITS.failures
        else:
            assert self.circuit.trials == len(current) <= LIMITS.trials

    @invariant()
    def it_never_stays_open_for_ever(self) -> None:
        later = self.now + LIMITS.open_seconds
        assert self.circuit.state(later) != "open"


CircuitMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestCircuit = CircuitMachine.TestCase
