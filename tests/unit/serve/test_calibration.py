"""An estimate's factor rises to what servers were seen to read, and never falls."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.counters import EstimatedCounter
from serve.calibration import (
    FACTOR_LIMIT,
    MARGIN,
    Calibration,
    Observation,
    calibrated_factor,
)
from tests.pair_counter import PairCounter

GIVEN = Fraction("1.25")
OBSERVATIONS = st.builds(Observation, st.integers(0, 5000), st.integers(0, 30_000))


def test_what_a_smaller_ratio_teaches_changes_nothing() -> None:
    assert calibrated_factor(GIVEN, [Observation(1000, 1200)]) == GIVEN


def test_a_larger_ratio_raises_the_factor_two_percent_above_it() -> None:
    assert calibrated_factor(GIVEN, [Observation(1000, 1500)]) == Fraction("1.53")


def test_a_ratio_is_rounded_up_to_hundredths() -> None:
    assert calibrated_factor(GIVEN, [Observation(1000, 1501)]) == Fraction("1.54")


@given(given_factor=st.fractions(1, 3), seen=st.lists(OBSERVATIONS, max_size=20))
def test_the_factor_covers_every_observation_and_is_never_lowered(
    given_factor: Fraction, seen: list[Observation]
) -> None:
    factor = calibrated_factor(given_factor, seen)
    assert factor >= given_factor
    assert all(each.ratio is None or factor >= MARGIN * each.ratio for each in seen)


@given(seen=st.lists(OBSERVATIONS, max_size=20))
def test_the_order_of_the_observations_changes_nothing(seen: list[Observation]) -> None:
    one, other = Calibration(), Calibration()
    for first, last in zip(seen, reversed(seen), strict=True):
        one.observe("m", GIVEN, first)
        other.observe("m", GIVEN, last)
    assert one.factor("m", GIVEN) == other.factor("m", GIVEN) == calibrated_factor(GIVEN, seen)


@pytest.mark.parametrize(
    "seen",
    [Observation(0, 100), Observation(31, 100), Observation(1000, 0), Observation(1000, 4001)],
    ids=["nothing counted", "a short prompt", "no usage", "more than any tokenizer makes"],
)
def test_what_says_nothing_of_the_tokenizer_is_no_lesson(seen: Observation) -> None:
    assert seen.ratio is None
    assert calibrated_factor(GIVEN, [seen]) == GIVEN


def test_memory_is_one_number_a_profile_however_much_is_observed() -> None:
    calibration = Calibration()
    for served in range(1000, 3000):
        calibration.observe("m", GIVEN, Observation(1000, served))
    assert calibration.known() == {"m": Fraction("3.06")}
    assert calibration.factor("m", GIVEN) <= FACTOR_LIMIT * MARGIN


def test_profiles_learn_apart_and_a_larger_given_factor_wins() -> None:
    calibration = Calibration()
    assert calibration.observe("m", GIVEN, Observation(1000, 1500))
    assert not calibration.observe("m", GIVEN, Observation(1000, 1500))
    assert calibration.factor("other", GIVEN) == GIVEN
    assert calibration.factor("m", Fraction(2)) == 2


def test_an_estimate_counts_with_the_calibrated_factor() -> None:
    base = PairCounter()
    text = "word " * 1000
    served = 1777
    factor = calibrated_factor(GIVEN, [Observation(base.count(text), served)])
    raised = EstimatedCounter(base, factor=float(factor))
    assert raised.factor == factor
    assert raised.count(text) >= served
    assert not raised.exact
