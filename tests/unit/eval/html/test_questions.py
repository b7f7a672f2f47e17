from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chunking.errors import InputError
from eval.comparison import Comparison
from eval.html.questions import Asked, Cut, choose_questions, read_questions, set_question
from eval.html.receipts import Held, Shown
from tests.unit.eval.comparisons import example_comparison

pytest.importorskip("scipy", reason="needs the extra `eval`")

EXAMPLE = example_comparison(copies=3)
Json = dict[str, Any]
CUT = Cut(agreed=Shown(0, 0), disagreed=Shown(5, 50), text=20)


def changed(comparison: Comparison, place: int, **changes: Any) -> Comparison:
    cells = list(comparison.cells)
    cells[place] = replace(cells[place], **changes)
    return replace(comparison, cells=tuple(cells))


def put(asked: Asked, *, cut: Cut = CUT, held: Held | None = None) -> Json:
    """Return a question as the page's script unpacks it."""
    held = held or Held()
    made = set_question(asked, cut=cut, held=held)
    return {**made, "answers": [unpack(row, held) for row in made["answers"]]}


def unpack(row: list[Any] | None, held: Held) -> Json | None:
    if row is None:
        return None
    answer = dict(zip(held.fields["answer"], row, strict=True))
    if answer["receipt"]:
        answer["receipt"] = dict(zip(held.fields["receipt"], answer["receipt"], strict=True))
    return answer


def test_questions_come_with_a_cell_for_every_arm_or_none() -> None:
    asked = read_questions(replace(EXAMPLE, cells=EXAMPLE.cells[1:]))

    assert [len(one.cells) for one in asked] == [3] * 18
    assert asked[0].cells[0] is None
    assert asked[0].cells[1] is not None
    assert put(asked[0])["answers"][0] is None


def test_a_cell_whose_report_is_none_is_refused_by_name() -> None:
    broken = changed(EXAMPLE, 0, report={"window": "wide"})

    with pytest.raises(InputError, match=r"cell local-rag-8k, number-1: report\.\w+"):
        read_questions(broken)


def test_arms_agree_where_all_are_right_or_all_are_wrong() -> None:
    asked = read_questions(EXAMPLE)

    for one in asked:
        correct = [cell[0].score.correct for cell in one.cells if cell]
        assert one.agreed == (correct in ([True] * 3, [False] * 3))
    assert {one.agreed for one in asked} == {True, False}


def test_receipts_of_questions_on_which_arms_agree_are_shortened_first() -> None:
    held = Held()
    for one in read_questions(EXAMPLE):
        made = put(one, held=held)
        listed = [
            len(answer["receipt"]["entries"]) for answer in made["answers"] if answer["receipt"]
        ]
        assert all(count == 0 for count in listed) if one.agreed else any(listed)


def test_questions_on_which_arms_disagree_are_kept_first_and_in_order() -> None:
    asked = read_questions(EXAMPLE)
    disagreed = [one for one in asked if not one.agreed]

    chosen = choose_questions(asked, len(disagreed) + 1)

    assert [one for one in chosen if not one.agreed] == disagreed
    assert len(chosen) == len(disagreed) + 1
    assert chosen == [one for one in asked if one in chosen]
    assert choose_questions(asked, None) == asked


def test_a_long_text_is_cut_and_says_by_how_much() -> None:
    asked = read_questions(changed(EXAMPLE, 0, answer="x" * 30))[0]
    made = put(asked)

    assert (made["answers"][0]["text"], made["answers"][0]["cut"]) == ("x" * 20, 10)
    assert made["cut"] == len("How long is the border of Colombia with Brazil?") - 20


def test_an_answer_says_what_is_to_be_known_of_it() -> None:
    first = EXAMPLE.cells[0]
    judged = "right" if first.verdict and first.verdict.correct else "wrong"
    score = replace(
        first.score,
        correct=False,
        abstained=True,
        stale=True,
        f1=0.5,
        ungrounded=("42",),
        in_context=False,
    )
    asked = read_questions(
        changed(
            EXAMPLE,
            0,
            score=score,
            answered_by="cloud-full",
            doubt="abstained",
            finish_reason="length",
        )
    )[0]
    held = Held()
    made = put(asked, held=held)["answers"][0]
    texts = list(held.places)

    assert made["right"] == 0
    assert [texts[at] for at in made["notes"]] == [
        "This is the answer of cloud-full, asked because of doubt: abstained.",
        "The answer ended at its limit of tokens.",
        "It declines to answer.",
        "It gives the value of another edition.",
        "F1 of the set 0.50.",
        "Not in the prompt: 42.",
        "What the right answer rests on did not all stand in the prompt.",
        f"The judging model calls it {judged}.",
    ]


def test_a_call_that_failed_has_no_verdict_but_its_error() -> None:
    failed = next(place for place, cell in enumerate(EXAMPLE.cells) if cell.error)
    asked = read_questions(EXAMPLE)[failed // 3]
    held = Held()
    made = put(asked, held=held)["answers"][failed % 3]

    assert (made["right"], made["receipt"]) == (None, None)
    assert list(held.places)[made["verdict"]] == "upstream_timeout"


def test_what_is_expected_is_told_in_words() -> None:
    told = [put(one, cut=replace(CUT, text=100)) for one in read_questions(EXAMPLE)[:6]]

    assert [one["expected"] for one in told[2:5]] == [
        "Colombia; Costa Rica",
        "Bolivia",
        "Nothing answers it: saying so is right.",
    ]
    assert told[1]["stale"] == "14.6 deaths/1,000 population (2024 est.)"
