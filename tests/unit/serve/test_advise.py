from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.errors import InputError
from serve.advise import CloudOffer, Machine, Need, Situation, Volume, advise, break_even

D = Decimal
WHOLE = st.integers(1, 10**9).map(Decimal)
PRICES = st.decimals("0.01", 100, places=2)
SITUATIONS = st.builds(
    Situation,
    st.builds(Volume, WHOLE, WHOLE),
    st.builds(CloudOffer, PRICES, PRICES),
    st.builds(
        Machine,
        st.integers(1, 10**5).map(Decimal),
        st.integers(1, 60).map(Decimal),
        tokens_per_second=st.none() | st.integers(1, 1000).map(Decimal),
    ),
)


def situation(**changes: Any) -> Situation:
    given = Situation(
        Volume(D("20e6"), D("5e6")),
        CloudOffer(D(5), D(15)),
        Machine(D(1800), D(36), watts=D(350), kwh_usd=D("0.30"), tokens_per_second=D(40)),
    )
    return replace(given, **changes)


def test_the_cheaper_one_is_recommended_with_its_sums() -> None:
    advice = advise(situation())

    assert advice.situation.cloud_usd == D(175)  # 20 * 5 + 5 * 15
    assert advice.situation.local_usd == D("126.7025")  # 1800 / 36 + 0.35 * 730.5 * 0.30
    assert (advice.choice, advice.reason) == ("local", "it costs less")
    assert advice.break_even_tokens == D("25e6") * D("126.7025") / 175
    assert advice.pay_back_months == 1800 / (175 - D("76.7025"))


def test_a_volume_beyond_one_machine_takes_several() -> None:
    advice = advise(situation(volume=Volume(D(0), D("200e6"))))

    # 200M / 40 are 1,389 hours, and a month has 730.5.
    assert advice.situation.machines == 2
    assert advice.situation.local_usd == 2 * D("126.7025")


def test_the_time_to_read_prompts_counts_where_it_is_known() -> None:
    machine = replace(situation().machine, prompt_tokens_per_second=D(10))

    assert situation(machine=machine).machines == 1  # 2M seconds of 2.6M, and 35 hours
    assert situation(machine=replace(machine, prompt_tokens_per_second=D(4))).machines == 2


def test_a_machine_too_slow_for_it_never_breaks_even() -> None:
    slow = replace(situation().machine, tokens_per_second=D("0.1"))

    assert break_even(situation(machine=slow)) is None


def test_a_free_cloud_is_never_beaten() -> None:
    advice = advise(situation(cloud=CloudOffer(D(0), D(0))))

    assert (advice.choice, advice.break_even_tokens, advice.pay_back_months) == (
        "cloud",
        None,
        None,
    )


def test_a_machine_whose_power_alone_costs_more_never_pays_back() -> None:
    assert advise(situation(volume=Volume(D("8e6"), D("1e6")))).pay_back_months is None


@pytest.mark.parametrize(
    ("local_only", "local", "cloud", "choice"),
    [
        (False, 62, 86, "cloud"),
        (False, 83, 60, "local"),
        (False, 62, 60, "neither"),
        (True, 83, 86, "local"),
        (True, 62, 86, "neither"),
    ],
)
def test_privacy_comes_before_accuracy_and_accuracy_before_cost(
    local_only: bool, local: int, cloud: int, choice: str
) -> None:
    asked = situation(
        cloud=CloudOffer(D(5), D(15), accuracy=D(cloud)),
        machine=replace(situation().machine, accuracy=D(local)),
        need=Need(local_only=local_only, accuracy=D(70)),
    )

    assert advise(asked).choice == choice


def test_texts_that_may_not_leave_stay_whatever_it_costs() -> None:
    dear = situation(machine=Machine(D(10**6), D(1)), need=Need(local_only=True))

    assert advise(dear).choice == "local"
    assert {case.choice for case in advise(dear).cases} == {"local"}


def test_an_accuracy_that_is_needed_and_not_known_is_refused() -> None:
    with pytest.raises(InputError, match="70 % is needed"):
        advise(situation(need=Need(accuracy=D(70))))


def test_no_tokens_are_refused() -> None:
    with pytest.raises(InputError, match="no tokens"):
        advise(situation(volume=Volume(D(0), D(0))))


def test_a_close_choice_is_not_firm_and_the_case_is_named() -> None:
    advice = advise(situation())

    changed = [case for case in advice.cases if case.choice != advice.choice]
    assert not advice.firm
    assert [(case.price_factor, case.volume_factor) for case in changed] == [(D("0.8"), D("0.8"))]
    assert advise(situation(), price_change=D("0.1"), volume_change=D("0.1")).firm


@given(SITUATIONS)
def test_at_its_break_even_a_machine_costs_what_the_cloud_does(asked: Situation) -> None:
    tokens = break_even(asked)

    if tokens is not None:
        volume = asked.volume.times(tokens / asked.volume.tokens)
        cloud = asked.cloud.monthly_usd(volume)
        assert abs(cloud - asked.machine.monthly_usd) < D("1e-12")


@given(SITUATIONS)
def test_what_costs_less_is_chosen_and_the_middle_case_is_the_one_that_was_asked(
    asked: Situation,
) -> None:
    advice = advise(asked)

    assert (advice.choice == "local") == (asked.local_usd < asked.cloud_usd)
    middle = advice.cases[4]
    assert (middle.cloud_usd, middle.local_usd) == (asked.cloud_usd, asked.local_usd)
    assert middle.choice == advice.choice


@given(SITUATIONS)
def test_what_pays_back_within_the_life_of_the_machine_costs_less(asked: Situation) -> None:
    months = advise(asked).pay_back_months

    pays = months is not None and months < asked.machine.months
    if months is None or abs(months - asked.machine.months) > D("1e-12"):
        assert pays == (asked.local_usd < asked.cloud_usd)
