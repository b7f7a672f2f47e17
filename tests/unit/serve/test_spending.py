from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from serve.ledger import CallRow
from serve.spending import By, departures, sum_up
from tests.rows import MORNING, row

AMOUNTS = st.decimals(0, 10**9, places=12).map(lambda amount: amount / 7 * 7)
ROWS = st.lists(
    st.builds(
        row,
        st.uuids().map(str),
        at=st.integers(0, 72).map(lambda hours: MORNING + timedelta(hours=hours)),
        model=st.sampled_from(["a", "b", None]),
        place=st.sampled_from(["local", "cloud", None]),
        sent=st.booleans(),
        outcome=st.sampled_from(["answered", "failed", "abandoned", "open"]),
        price_usd=AMOUNTS,
        hardware_usd=AMOUNTS,
        prompt_tokens=st.integers(0, 10**6),
        first_token_seconds=st.none() | st.floats(0, 100),
    ),
    max_size=30,
)


def exact(amount: Decimal) -> Fraction:
    return Fraction(amount)


@given(ROWS, st.lists(st.sampled_from(By), unique=True))
def test_the_groups_and_the_total_are_the_sum_of_the_answers_to_the_last_digit(
    rows: list[CallRow], by: list[By]
) -> None:
    groups, total = sum_up(rows, by=by)

    answers = [one for one in rows if one.outcome == "answered"]
    expected = sum((exact(one.price_usd) + exact(one.hardware_usd) for one in answers), Fraction(0))
    assert exact(total.usd) == expected == sum(exact(group.usd) for group in groups)
    assert exact(total.hardware_usd) == sum(exact(one.hardware_usd) for one in answers)
    everything = sum(exact(one.price_usd) + exact(one.hardware_usd) for one in rows)
    assert exact(total.usd) + exact(total.unanswered_usd) == everything
    assert total.calls == len(rows) == sum(group.calls for group in groups)
    assert total.prompt_tokens == sum(one.prompt_tokens for one in rows)
    assert total.calls == total.answered + total.failed + total.abandoned + total.open


def test_groups_come_in_order_and_a_missing_value_is_called_none() -> None:
    rows = [
        row("1", model="b"),
        row("2", model=None, at=MORNING + timedelta(days=1)),
        row("3", model="a", at=MORNING + timedelta(days=1)),
    ]

    groups, _ = sum_up(rows, by=[By.DAY, By.MODEL])

    assert [group.key for group in groups] == [
        ("2026-11-21", "b"),
        ("2026-11-22", "a"),
        ("2026-11-22", "none"),
    ]


def test_times_are_those_of_answers_alone() -> None:
    rows = [
        row("1", first_token_seconds=0.1, total_seconds=1.0),
        row("2", first_token_seconds=0.3, total_seconds=3.0),
        row("3", first_token_seconds=9.0, total_seconds=90.0, outcome="abandoned"),
    ]

    _, total = sum_up(rows, by=[])

    assert total.first_token_seconds_p50 == 0.2
    assert (total.total_seconds_p50, total.total_seconds_p95) == (2.0, 2.9)


def test_without_answers_there_are_no_times() -> None:
    _, total = sum_up([row("1", outcome="failed")], by=[])

    assert total.first_token_seconds_p50 is total.total_seconds_p95 is None
    assert total.output_tokens_per_second_p50 is None


def test_quotations_are_no_speed_of_a_model() -> None:
    _, total = sum_up([row("1", llm_calls=0, output_tokens_per_second=9000.0)], by=[])

    assert total.output_tokens_per_second_p50 is None


def test_what_was_handed_to_a_cloud_model_has_left_however_it_ended() -> None:
    rows = [
        row("answered"),
        row("failed", outcome="failed"),
        row("killed", outcome="open"),
        row("refused", outcome="failed", sent=False),
        row("local", place="local"),
        row("unknown", place=None, sent=False),
    ]

    assert [one.call for one in departures(rows)] == ["answered", "failed", "killed"]
