from __future__ import annotations

import csv
import io
from dataclasses import replace
from decimal import Decimal

import pytest
from rich.console import Console

from eval.comparison_tables import describe_gate, print_comparison, print_estimates, write_csv
from eval.gates import GateResult
from eval.run import Estimate
from tests.unit.eval.comparisons import example_comparison

pytest.importorskip("scipy", reason="needs the extra `eval`")


def printed(comparison: object) -> str:
    stream = io.StringIO()
    print_comparison(comparison, Console(file=stream, width=200))  # type: ignore[arg-type]
    return stream.getvalue()


def test_the_tables_name_every_arm_type_and_pair_with_intervals() -> None:
    comparison = example_comparison()
    shown = printed(comparison)

    for arm in comparison.arms:
        assert arm.arm in shown
        assert f"{arm.accuracy.mean:.3f} ({arm.accuracy.low:.3f}-{arm.accuracy.high:.3f})" in shown
    for question in comparison.questions:
        assert question.type in shown
    assert "McNemar p" in shown
    assert "stand in for a long-window cloud model" in shown
    assert "questions a month" in shown
    assert "kappa" in shown
    assert "not complete" in shown


def test_a_share_says_of_how_many_questions_where_these_are_not_all() -> None:
    comparison = example_comparison()
    arm = comparison.arms[0]
    assert arm.set_f1 is not None
    assert arm.set_f1.questions < arm.questions
    one = arm.set_f1

    shown = f"{one.mean:.3f} ({one.low:.3f}-{one.high:.3f}) of {one.questions}"
    assert shown in printed(comparison)


def test_a_measure_that_no_arm_has_has_no_row() -> None:
    comparison = example_comparison()
    bare = tuple(replace(arm, escalated=None, judge=None) for arm in comparison.arms)
    shown = printed(replace(comparison, arms=bare))

    assert "escalated" not in shown
    assert "kappa" not in shown


def test_names_with_brackets_are_no_markup() -> None:
    comparison = example_comparison()
    odd = tuple(replace(question, type="[red]odd") for question in comparison.questions)

    assert "[red]odd" in printed(replace(comparison, questions=odd))


def test_the_csv_has_a_line_for_every_cell_and_no_formula() -> None:
    comparison = example_comparison()
    first = replace(comparison.cells[0], question="=1+1")
    questions = (replace(comparison.questions[0], id="=1+1"), *comparison.questions[1:])
    odd = replace(comparison, questions=questions, cells=(first, *comparison.cells[3:]))
    rows = list(csv.DictReader(io.StringIO(write_csv(odd))))

    assert len(rows) == len(odd.cells)
    assert rows[0]["question"] == "'=1+1"
    assert rows[0]["arm"] == first.arm
    assert Decimal(rows[1]["usd"]) == odd.cells[1].cost.usd


def test_an_estimate_says_that_nothing_was_called() -> None:
    stream = io.StringIO()
    one = Estimate("a", 10, 4, 5, 5000, 2560, Decimal("0.00125"), 1)
    print_estimates((one, one), Console(file=stream, width=200))

    assert "10 calls, 0.00250 USD at most; planned, nothing was called" in stream.getvalue()


def test_a_gate_is_told_with_both_sides() -> None:
    assert describe_gate(GateResult("a.failed < 1", False, None, 1.0)) == (
        "gate failed: a.failed < 1 (- and 1)"
    )
