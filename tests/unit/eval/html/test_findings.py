from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from eval.comparison import ArmFacts, ArmSummary, BreakEven, Comparison, Pairing, Percentiles
from eval.html.findings import find, undecided, winner
from eval.metrics import wilson_interval
from eval.statistics import Difference, Mean, mcnemar
from tests.unit.eval.comparisons import example_comparison

pytest.importorskip("scipy", reason="needs the extra `eval`")

EXAMPLE = example_comparison(copies=10)
ONE = ArmFacts("local-rag", "p", "m", "local", 8192, "retrieve")
OTHER = ArmFacts("cloud-full", "q", "n", "cloud", 32768, "full")


def compared(
    right: Sequence[int],
    *,
    of: int = 60,
    low: float = -0.16,
    high: float = 0.03,
    p: float = 0.2,
    facts: Sequence[ArmFacts] = (ONE, OTHER),
) -> Comparison:
    """Return a finished comparison of arms with so many right answers; all pairs differ alike."""
    arms = tuple(
        replace(
            EXAMPLE.arms[0],
            arm=fact.name,
            questions=of,
            failed=0,
            accuracy=Mean(count / of, *wilson_interval(count, of), of),
        )
        for fact, count in zip(facts, right, strict=True)
    )
    pairs = tuple(
        pair(one, other, Difference(0.0, 0.0, 0.0, low, high, p, of))
        for place, one in enumerate(arms)
        for other in arms[place + 1 :]
    )
    run = replace(EXAMPLE.run, arms=tuple(facts), complete=True, judge=None)
    return replace(EXAMPLE, run=run, arms=arms, pairs=pairs, break_even=())


def pair(one: ArmSummary, other: ArmSummary, found: Difference) -> Pairing:
    first, second = one.accuracy.mean, other.accuracy.mean
    told = replace(found, first=first, second=second, difference=second - first)
    return Pairing(one.arm, other.arm, told, 30, 5, 9, 16, found.p)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u2212", "-")


def test_an_interval_with_0_inside_names_no_winner() -> None:
    found = find(compared([45, 41], facts=(OTHER, ONE)))

    assert plain(found.headline) == (
        "cloud-full answered 45 of 60 right, 75 % (63 to 84 %); "
        "local-rag 41, 68 % (56 to 79 %). "
        "The difference, -7 points (-16 to +3), is not distinguishable from none."
    )
    assert "ahead" not in found.headline


def test_a_winner_is_named_where_interval_and_test_agree() -> None:
    better = find(compared([30, 45], low=0.1, high=0.4, p=0.001))
    worse = find(compared([45, 30], low=-0.4, high=-0.1, p=0.001))

    assert plain(better.headline).endswith(
        " cloud-full is ahead of local-rag by +25 points (+10 to +40)."
    )
    assert plain(worse.headline).endswith(
        " local-rag is ahead of cloud-full by +25 points (+10 to +40)."
    )


def test_an_interval_that_the_test_does_not_bear_out_names_no_winner_and_says_so() -> None:
    found = find(compared([40, 45], low=0.01, high=0.2, p=0.08))

    assert "not distinguishable from none" in found.headline
    assert any("excludes 0, but McNemar's test (p = 0.08)" in told for told in found.cautions)


def test_several_pairs_ask_for_more_evidence_from_each() -> None:
    third = replace(ONE, name="self-route", kind="self-route")
    found = find(compared([40, 45, 50], low=0.01, high=0.2, p=0.03, facts=(ONE, OTHER, third)))

    assert found.headline.endswith(" No two of them are distinguishable.")
    assert any("divided by 3" in told for told in found.cautions)


def test_several_winners_are_told_together() -> None:
    third = replace(ONE, name="self-route", kind="self-route")
    comparison = compared([20, 45, 46], low=0.2, high=0.5, p=1e-6, facts=(ONE, OTHER, third))
    none = replace(comparison.pairs[2], mcnemar_p=1.0)
    found = find(replace(comparison, pairs=(*comparison.pairs[:2], none)))
    all_three = find(comparison)

    assert found.headline.endswith(
        " cloud-full and self-route are each ahead of local-rag; "
        "no other difference is distinguishable from none."
    )
    assert all_three.headline.endswith(
        " cloud-full is ahead of local-rag; self-route is ahead of local-rag and cloud-full."
    )


@given(
    st.integers(0, 40),
    st.integers(0, 40),
    st.floats(-1, 1),
    st.floats(-1, 1),
    st.integers(1, 6),
)
def test_no_arm_wins_without_an_interval_that_excludes_0(
    first_only: int, second_only: int, one: float, other: float, pairs: int
) -> None:
    low, high = sorted((one, other))
    total = first_only + second_only + 10
    assume(total)
    gap = (second_only - first_only) / total
    p = mcnemar(first_only, second_only)
    found = Difference(0.5, 0.5 + gap, gap, low, high, p, total)
    pairing = Pairing("a", "b", found, 5, first_only, second_only, 5, p)

    name = winner(pairing, pairs)

    if low <= 0 <= high or p >= 0.05:
        assert name is None
    assert name in (None, "b" if low > 0 else "a")
    assert undecided(pairing, pairs) == (name is None and not low <= 0 <= high)


def test_one_right_answer_more_of_one_question_is_no_win() -> None:
    found = find(compared([0, 1], of=1, low=1.0, high=1.0, p=mcnemar(0, 1)))

    assert "ahead" not in found.headline
    assert any(told.startswith("1 questions are few") for told in found.cautions)


def test_a_stand_in_is_named_where_its_figures_stand() -> None:
    double = replace(OTHER, stand_in="small weights stand in for a large model")
    found = find(compared([41, 45], facts=(ONE, double)))

    assert "cloud-full (a stand-in) 45" in found.headline
    assert any("small weights stand in for a large model" in told for told in found.cautions)
    assert not any("stand-in" in told for told in find(compared([41, 45])).cautions)


def test_an_oracle_is_said_to_need_no_search() -> None:
    given = replace(OTHER, oracle=True)
    route = replace(OTHER, name="route", oracle=True, route=("local-rag", "cloud-full"))

    found = find(compared([41, 45, 45], facts=(ONE, given, route)))

    assert [told for told in found.cautions if "oracle" in told] == [
        "cloud-full is an oracle: it is given the documents that a question is about, as the "
        "question's file names them, and does not have to find them.",
        "route goes over an oracle: questions that it sends on are given the documents that they "
        "are about, which no service knows.",
    ]
    assert not any("oracle" in told for told in find(compared([41, 45])).cautions)


def test_a_price_of_nothing_says_what_it_leaves_out() -> None:
    comparison = compared([41, 45])
    paid = replace(
        comparison.arms[1],
        cost_usd=Decimal("0.6"),
        cost_per_1000_usd=Decimal(10),
        cost_basis=("x",),
    )
    found = find(replace(comparison, arms=(comparison.arms[0], paid)))

    assert found.points[0] == (
        "1,000 such questions cost $0 with local-rag (no per-token charge; hardware not counted); "
        "$10 with cloud-full. This is computed from the tokens of this run."
    )


def test_time_and_break_even_are_told_with_how_they_are_known() -> None:
    comparison = compared([41, 45])
    timed = tuple(
        replace(arm, total_seconds=Percentiles(p50, p95))
        for arm, p50, p95 in zip(comparison.arms, (1.2, 4.5), (3.0, 9.0), strict=True)
    )
    even = BreakEven("local-rag", "cloud-full", Decimal(45), Decimal("0.002"), 22_500)
    found = find(replace(comparison, arms=timed, break_even=(even,)))

    assert [plain(told) for told in found.points[1::2]] == [
        "Half of the answers took at most 1.2 s with local-rag and 4.5 s with cloud-full; "
        "95 of 100 at most 3.0 s and 9.0 s; measured.",
        "With hardware at $45 a month, local-rag costs less from 22,500 questions a month on than "
        "cloud-full; computed.",
    ]


def test_times_of_a_route_are_called_computed() -> None:
    told = find(EXAMPLE).points[1]

    assert told.endswith("; measured; of self-route, computed as its arms' times in turn.")


def test_what_is_missing_is_said() -> None:
    comparison = compared([41, 45])
    failed = replace(comparison.arms[1], failed=3, total_seconds=None)
    run = replace(comparison.run, complete=False, parallel=4, judge="judge-7b")
    told = find(replace(comparison, run=run, arms=(comparison.arms[0], failed))).cautions

    for part in ("not complete", "no answer to 3 of 60", "Up to 4 calls", "judge-7b, judged too"):
        assert any(part in one for one in told), part


def test_one_arm_is_told_without_a_difference() -> None:
    found = find(compared([41], facts=(ONE,)))

    assert plain(found.headline) == "local-rag answered 41 of 60 right, 68 % (56 to 79 %)."
