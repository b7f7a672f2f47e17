from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.escalation import Signals, Thresholds, decide_escalation, rate_confidence

THRESHOLDS = Thresholds(grounding=0.5, support=0.2, declined_support=0.3)
shares = st.floats(0, 1)
signals = st.builds(Signals, shares, st.booleans(), st.none() | shares)


@pytest.mark.parametrize(
    ("signal", "wanted", "reason"),
    [
        (Signals(1.0, False, 0.9), False, "trusted"),
        (Signals(0.4, False, 0.9), True, "ungrounded"),
        (Signals(1.0, False, 0.1), True, "unsupported"),
        (Signals(1.0, False, None), False, "trusted"),
        (Signals(1.0, True, 0.9), True, "declined"),
        (Signals(1.0, True, None), True, "declined"),
        (Signals(1.0, True, 0.1), False, "no_evidence"),
    ],
)
def test_an_answer_is_escalated_where_a_signal_speaks_against_it(
    signal: Signals, wanted: bool, reason: str
) -> None:
    decided = decide_escalation(signal, thresholds=THRESHOLDS)
    assert (decided.wanted, decided.reason) == (wanted, reason)


def test_thresholds_of_nothing_escalate_nothing() -> None:
    never = Thresholds(grounding=0.0, support=0.0, declined_support=1.01)
    assert not decide_escalation(Signals(0.0, False, 0.0), thresholds=never).wanted
    assert not decide_escalation(Signals(0.0, True, 1.0), thresholds=never).wanted


@given(signals, shares)
def test_less_grounding_never_makes_an_answer_trusted(signal: Signals, less: float) -> None:
    lower = Signals(signal.grounding * less, signal.declined, signal.support)
    wanted = decide_escalation(signal, thresholds=THRESHOLDS).wanted
    assert not wanted or decide_escalation(lower, thresholds=THRESHOLDS).wanted
    assert 0.0 <= rate_confidence(lower) <= 1.0
    assert signal.declined or rate_confidence(lower) <= rate_confidence(signal)
