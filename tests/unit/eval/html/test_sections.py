from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from eval.comparison import Comparison
from eval.html.quality import accuracy_section, differences_section, quality_section
from eval.html.sections import describe_run, make_sections
from eval.html.spending import break_even_section, cost_section, latency_section
from tests.unit.eval.comparisons import example_comparison

pytest.importorskip("scipy", reason="needs the extra `eval`")

EXAMPLE = example_comparison(copies=4)


def sections(comparison: Comparison = EXAMPLE) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in make_sections(comparison)}


def cells(made: dict[str, Any], table: int = 0) -> list[list[str]]:
    return [[cell.replace("\u00a0", " ") for cell in row] for row in made["tables"][table]["rows"]]


def test_every_chart_has_a_table_and_a_label_for_who_cannot_see_it() -> None:
    for name, made in sections().items():
        assert made["tables"], name
        for chart in made["charts"]:
            assert chart["label"], name
    kinds = {chart["kind"] for made in sections().values() for chart in made["charts"]}
    assert kinds == {"intervals", "dots", "bars", "lines"}


def test_every_row_is_as_wide_as_its_table() -> None:
    for made in [*sections().values(), describe_run(EXAMPLE)]:
        for table in made["tables"]:
            assert {len(row) for row in table["rows"]} == {len(table["columns"])}


def test_the_summary_names_a_stand_in_as_one() -> None:
    assert [row[0] for row in cells(sections()["summary"])] == [
        "local-rag-8k",
        "cloud-full (a stand-in)",
        "self-route",
    ]


def test_right_answers_are_told_in_all_and_by_type() -> None:
    made = accuracy_section(EXAMPLE.arms)
    types = sorted({question.type for question in EXAMPLE.questions})

    assert [row[0] for row in cells(made)] == ["all questions", *types]
    assert [group["label"] for group in made["charts"][0]["groups"]] == ["all questions", *types]
    assert [row[0] for row in cells(made, 1)] == ["abstain", "entity", "number", "set"]


def test_a_pair_that_is_not_told_apart_has_nobody_ahead() -> None:
    even = differences_section(EXAMPLE)
    first, *rest = EXAMPLE.pairs
    sure = replace(first, accuracy=replace(first.accuracy, low=0.1, high=0.4), mcnemar_p=0.0001)
    uneven = differences_section(replace(EXAMPLE, pairs=(sure, *rest)))

    assert [row[-1] for row in cells(even)] == ["neither"] * 3
    assert [row[-1] for row in cells(uneven)] == ["cloud-full", "neither", "neither"]


def test_every_answer_is_a_dot_and_a_failed_call_is_none() -> None:
    chart = latency_section(EXAMPLE)["charts"][0]

    assert {row["label"]: len(row["values"]) for row in chart["rows"]} == {
        "local-rag-8k, first piece": 24,
        "local-rag-8k, whole": 24,
        "cloud-full, first piece": 23,
        "cloud-full, whole": 23,
        "self-route, first piece": 24,
        "self-route, whole": 24,
    }


def test_calls_at_the_same_time_are_told_with_the_times() -> None:
    busy = replace(EXAMPLE, run=replace(EXAMPLE.run, parallel=8))

    assert "with up to 8 calls at a time" in latency_section(busy)["reading"]
    assert "at a time" not in latency_section(EXAMPLE)["reading"]
    assert latency_section(EXAMPLE)["notes"][-1].startswith("self-route makes no call of its own")


def test_a_cost_comes_with_its_basis() -> None:
    made = cost_section(EXAMPLE.arms)

    assert made["notes"][0] == "local-rag-8k: no per-token charge; hardware not counted."
    assert cells(made)[0][1] == "$0"
    assert [row[-1] for row in cells(made)] == ["the server", "the plan, in part", "the server"]


def test_lines_of_the_break_even_cross_where_it_says() -> None:
    chart = break_even_section(EXAMPLE)["charts"][0]
    lines = {line["says"]: line["points"] for line in chart["lines"]}

    for even in EXAMPLE.break_even:
        (_, start), *_, (across, end) = lines[even.cloud]
        slope = (end - start) / across
        assert slope * even.questions_per_month >= lines[even.local][0][1] == 45.0
        assert slope * (even.questions_per_month - 1) < 45.0
        assert even.questions_per_month < chart["across"]
    assert [mark["x"] for mark in chart["crossings"]] == sorted(
        even.questions_per_month for even in EXAMPLE.break_even
    )


def test_without_a_break_even_the_page_says_what_it_takes() -> None:
    made = break_even_section(replace(EXAMPLE, break_even=()))

    assert made["reading"].startswith("None is computed: that takes a price of hardware")
    assert (made["charts"], made["tables"]) == ((), ())


def test_measures_that_no_arm_has_are_left_out() -> None:
    bare = [
        replace(arm, set_f1=None, stale=None, escalated=None, judge=None) for arm in EXAMPLE.arms
    ]

    assert [row[0] for row in cells(quality_section(bare))] == [
        "grounded",
        "declines, rightly",
        "declines, wrongly",
    ]
    assert len(quality_section(bare)["tables"]) == 1
    assert len(quality_section(EXAMPLE.arms)["tables"]) == 2


def test_the_run_is_told_so_that_it_can_be_run_again() -> None:
    made = describe_run(EXAMPLE)
    facts = dict(cells(made, 1))

    assert facts["sha256 of the questions"] == "0" * 64
    assert facts["embedder"] == "hash:64"
    assert facts["version of windowfit"] == "0.1.0"
    assert cells(made)[1] == [
        "cloud-full", "qwen2.5-1.5b-32k", "qwen2.5-1.5b", "cloud", "32,768", "full", "the window",
        "by profile",
    ]  # fmt: skip
    assert made["notes"] == [
        "self-route asks local-rag-8k, then cloud-full where an answer is in doubt: error, "
        "insufficient_evidence, abstained, ungrounded."
    ]
