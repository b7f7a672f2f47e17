from __future__ import annotations

import pytest

from eval.html.parts import (
    bars_chart,
    differences_chart,
    dots_chart,
    means_chart,
    means_table,
    section,
)
from eval.statistics import Mean
from tests.unit.eval.comparisons import example_comparison

pytest.importorskip("scipy", reason="needs the extra `eval`")

ARMS = example_comparison().arms[:2]
HALF = Mean(0.5, 0.25, 0.75, 12)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def test_a_table_of_means_says_n_a_where_an_arm_has_none() -> None:
    made = means_table("Shares", "measure", ARMS, [("grounded", [HALF, None])])

    assert [name for name, _ in made["columns"]] == [
        "measure",
        "questions",
        "local-rag-8k",
        "cloud-full",
    ]
    assert [plain(cell) for cell in made["rows"][0]] == [
        "grounded",
        "12",
        "50 % (25 to 75 %)",
        "n/a",
    ]


def test_arms_that_were_measured_on_unlike_many_questions_are_told_so() -> None:
    made = means_table("Shares", "measure", ARMS, [("grounded", [HALF, Mean(0.5, 0.2, 0.8, 9)])])

    assert made["rows"][0][1] == "9 to 12"


def test_a_chart_of_means_marks_the_arms_that_have_one() -> None:
    made = means_chart("Shares", ARMS, [("grounded", [None, HALF])])

    assert made["groups"][0]["points"] == [
        {
            "arm": 1,
            "value": 50.0,
            "low": 25.0,
            "high": 75.0,
            "says": "cloud-full: 50\u00a0% (25 to 75\u00a0%)",
        }
    ]


def test_a_chart_of_differences_has_0_in_its_middle_and_room_for_the_widest() -> None:
    made = differences_chart("Differences", [("a", -0.1, -0.3, 0.1, ""), ("b", 0.0, 0.0, 0.0, "")])

    assert made["low"] == -made["high"]
    assert 30 < made["high"] < 40
    assert made["zero"]


def test_bars_that_are_all_0_have_an_axis() -> None:
    assert bars_chart("Cost", [("a", 0.0, "$0")])["high"] == 1


@pytest.mark.parametrize(("slowest", "logarithmic"), [(15.0, False), (50.0, True)])
def test_times_that_differ_much_are_drawn_on_a_logarithmic_axis(
    slowest: float, logarithmic: bool
) -> None:
    row = {"arm": 0, "label": "a", "values": [1.0, slowest, 0.0], "marks": ()}
    made = dots_chart("Times", [row])

    assert made["logarithmic"] is logarithmic
    assert made["low"] == (1.0 if logarithmic else 0)
    assert made["high"] >= slowest
    # A time of 0 has no place on a logarithmic axis.
    assert made["rows"][0]["values"] == [1.0, slowest, 1.0]


def test_a_section_may_be_a_sentence_alone() -> None:
    assert section("cost", "Cost", "None.") == {
        "id": "cost",
        "title": "Cost",
        "reading": "None.",
        "tables": (),
        "charts": (),
        "notes": (),
    }
