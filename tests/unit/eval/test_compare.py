from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.cells import Cell
from eval.compare import (
    break_even,
    cohen_kappa,
    finish_comparison,
    pair_arms,
    summarize_arm,
)
from eval.statistics import mcnemar
from tests.unit.eval.comparisons import (
    ARMS,
    CLOUD,
    LOCAL,
    QUESTIONS,
    cell,
    example_comparison,
    failed_cell,
)

pytest.importorskip("scipy", reason="needs the extra `eval`")

KNOWN = {question.id: question for question in QUESTIONS}


def right(arm: str, *correct: bool) -> list[Cell]:
    cells = [cell(LOCAL, question, random.Random(1)) for question in QUESTIONS]
    return [
        replace(one, arm=arm, score=replace(one.score, correct=good))
        for one, good in zip(cells, correct, strict=True)
    ]


def test_the_same_cells_in_any_order_make_the_same_comparison() -> None:
    example = example_comparison(copies=2)
    shuffled = list(example.cells)
    random.Random(3).shuffle(shuffled)

    assert example == finish_comparison(
        example.run, example.questions, shuffled, hardware_usd_per_month=Decimal(45)
    )


def test_a_question_without_an_answer_counts_as_wrong_and_has_no_time() -> None:
    cells = [cell(CLOUD, question, random.Random(1)) for question in QUESTIONS[:5]]
    cells = [replace(one, score=replace(one.score, correct=True)) for one in cells]
    summary = summarize_arm(CLOUD, [*cells, failed_cell(CLOUD, QUESTIONS[5])], KNOWN, seed=0)

    assert summary.failed == 1
    assert summary.accuracy.mean == pytest.approx(5 / 6)
    assert summary.total_seconds is not None
    assert summary.total_seconds.p95 < 120
    assert summary.cost_usd == sum((one.cost.usd for one in cells), Decimal(0))
    assert summary.cost_per_1000_usd == summary.cost_usd * 1000 / 6


def test_declining_is_told_apart_for_what_can_be_answered_and_what_cannot() -> None:
    cells = [cell(LOCAL, question, random.Random(1)) for question in QUESTIONS]
    declining = [
        replace(one, score=replace(one.score, abstained=one.question in {"none-1", "number-1"}))
        for one in cells
    ]
    summary = summarize_arm(LOCAL, declining, KNOWN, seed=0)

    assert summary.abstention is not None
    assert summary.refusal is not None
    assert (summary.abstention.mean, summary.abstention.questions) == (0.5, 2)
    assert (summary.refusal.mean, summary.refusal.questions) == (0.25, 4)


def test_an_answer_without_text_declines_nothing() -> None:
    cells = [cell(LOCAL, question, random.Random(1)) for question in QUESTIONS]
    silent = [replace(one, answer="[1]", score=replace(one.score, abstained=True)) for one in cells]
    summary = summarize_arm(LOCAL, silent, KNOWN, seed=0)

    assert summary.abstention is not None
    assert summary.refusal is not None
    assert (summary.abstention.mean, summary.refusal.mean) == (0, 0)


def test_one_question_of_two_arms_is_compared() -> None:
    pair = pair_arms(right("a", *[True] * 6)[:1], right("b", *[False] * 6)[:1], seed=0)

    assert (pair.first_only, pair.mcnemar_p) == (1, 1.0)
    assert pair.accuracy.low < 0 < pair.accuracy.high


def test_a_pair_counts_what_one_arm_alone_has_right() -> None:
    first = right("a", True, True, True, False, False, True)
    second = right("b", True, False, True, True, False, True)
    pair = pair_arms(first, second, seed=0)

    assert (pair.both, pair.first_only, pair.second_only, pair.neither) == (3, 1, 1, 1)
    assert pair.accuracy.difference == 0
    assert pair.mcnemar_p == 1.0


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_symmetric_and_sure_where_the_arms_never_differ(one: int, other: int) -> None:
    p = mcnemar(one, other)

    assert 0 < p <= 1
    assert p == pytest.approx(mcnemar(other, one))
    if one == other:
        assert p == pytest.approx(1.0)


def test_mcnemar_is_the_exact_binomial_test() -> None:
    assert mcnemar(0, 5) == pytest.approx(2 / 2**5)
    assert mcnemar(0, 0) == 1.0


@given(st.lists(st.tuples(st.booleans(), st.booleans())))
def test_kappa_is_at_most_1_and_1_where_all_agree(pairs: list[tuple[bool, bool]]) -> None:
    kappa = cohen_kappa(pairs)

    assert kappa is None or kappa <= 1
    if kappa is not None and all(one == other for one, other in pairs):
        assert kappa == pytest.approx(1)


def test_kappa_is_as_published() -> None:
    # Cohen, 1960: 20 and 15 agreed of 50, 5 and 10 not.
    pairs = [(True, True)] * 20 + [(False, False)] * 15 + [(True, False)] * 5 + [(False, True)] * 10

    assert cohen_kappa(pairs) == pytest.approx(0.4)


def test_break_even_is_where_hardware_costs_what_it_saves() -> None:
    assert break_even(Decimal(45), Decimal("0.0021")) == 21429
    assert break_even(Decimal(45), Decimal(0)) is None
    assert break_even(Decimal(0), Decimal("0.1")) == 0


def test_only_pairs_of_a_local_and_a_cloud_arm_break_even() -> None:
    comparison = example_comparison()

    assert {(one.local, one.cloud) for one in comparison.break_even} <= {
        (LOCAL.name, arm.name) for arm in ARMS if arm.place == "cloud"
    }
    for one in comparison.break_even:
        saved = one.saved_usd_per_question * one.questions_per_month
        assert saved >= one.hardware_usd_per_month
