from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.figures import (
    count_right,
    join_words,
    spell_mean,
    spell_p,
    spell_points,
    spell_seconds,
    spell_share,
    spell_usd,
)
from eval.statistics import Mean


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u2212", "-")


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.683, "68 %"),
        (0.9966, "99.7 %"),
        (0.0023, "0.2 %"),
        (1e-17, "0 %"),
        (1e-7, "<0.001 %"),
        (0.9999999, ">99.999 %"),
    ],
)
def test_a_share_is_spelled_in_percent(share: float, told: str) -> None:
    assert plain(spell_share(share)) == told


@given(st.integers(0, 100_000), st.integers(1, 100_000))
def test_none_and_all_are_only_said_where_they_are_true(part: int, whole: int) -> None:
    share = min(part, whole) / whole
    told = plain(spell_share(share))

    assert (told == "0 %") == (share == 0)
    assert (told == "100 %") == (share == 1)


def test_a_mean_comes_with_its_interval_and_its_count() -> None:
    mean = Mean(41 / 60, 0.5577, 0.7867, 60)

    assert plain(spell_mean(mean)) == "68 % (56 to 79 %)"
    assert count_right(mean) == 41
    assert spell_mean(Mean(0.0, 0.0, 1.0, 0)) == "n/a"


@pytest.mark.parametrize(
    ("difference", "told"),
    [(0.0, "0"), (-0.07, "-7"), (0.031, "+3"), (0.004, "+0.4"), (-0.0004, "-0.04"), (1.0, "+100")],
)
def test_a_difference_says_its_sign_and_is_0_only_where_there_is_none(
    difference: float, told: str
) -> None:
    assert plain(spell_points(difference)) == told


@given(st.floats(-1, 1).filter(lambda value: abs(value) >= 1e-6))
def test_the_sign_of_a_difference_survives_rounding(difference: float) -> None:
    assert spell_points(difference)[0] == ("+" if difference > 0 else "\u2212")


@pytest.mark.parametrize(
    ("amount", "told"),
    [
        ("0", "$0"),
        ("45", "$45"),
        ("2.0913", "$2.09"),
        ("0.9951", "$1.00"),
        ("0.021", "$0.021"),
        ("0.000213", "$0.00021"),
        ("1234.56", "$1,235"),
        ("-3.5", "-$3.50"),
    ],
)
def test_money_keeps_two_digits_that_say_something(amount: str, told: str) -> None:
    assert plain(spell_usd(Decimal(amount))) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.0524, "52 ms"), (0.834, "0.83 s"), (1.24, "1.2 s"), (99.94, "99.9 s"), (1234.5, "1,234 s")],
)
def test_a_time_has_a_unit_that_suits_it(seconds: float, told: str) -> None:
    assert plain(spell_seconds(seconds)) == told


def test_p_is_never_said_to_be_0() -> None:
    assert (spell_p(0.2134), spell_p(0.0), spell_p(1.0)) == ("p = 0.21", "p < 0.001", "p = 1")


def test_words_are_joined_as_in_a_sentence() -> None:
    assert [join_words(list("abc"[:n])) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
