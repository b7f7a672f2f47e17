from __future__ import annotations

import random

import pytest

from eval.window.cases import POSITIONS
from eval.window.summary import ScoredCase, summarize_window

pytest.importorskip("scipy", reason="needs the extra `eval`")


def cases(
    size: int, right: int, *, questions: int = 100, held: int = 100, tokens: int = 900
) -> list[ScoredCase]:
    """Return so many cases of a size of which the first are right and hold their evidence."""
    return [
        ScoredCase(f"q{n:03}", "t", size, None, n < right, n < held, tokens)
        for n in range(questions)
    ]


def test_a_size_that_is_clearly_lower_ends_the_useful_window() -> None:
    scored = [*cases(1024, 70), *cases(2048, 80), *cases(4096, 80), *cases(8192, 60)]
    found = summarize_window(scored, model="small")
    assert found.useful == 4096
    assert found.lower is not None
    assert found.lower.best_before == 2048
    assert found.sentence.startswith(
        "quality holds to 4,096 tokens; at 8,192 it is lower by 20.0 points (95 % interval "
    )
    assert found.sentence.endswith(", 100 questions)")


def test_a_difference_that_chance_explains_is_none() -> None:
    drawn = random.Random(0)
    scored = [
        ScoredCase(f"q{n}", "t", size, None, drawn.random() < 0.7, True, 900)
        for size in (1024, 2048)
        for n in range(40)
    ]
    found = summarize_window(scored, model="small")
    assert found.useful == 2048
    assert found.lower is None
    assert "the most that was measured: against 1,024" in found.sentence


def test_a_loss_that_too_few_questions_show_is_neither_told_as_one_nor_as_none() -> None:
    scored = [*cases(1024, 8, questions=10), *cases(2048, 10, questions=10)]
    found = summarize_window([*scored, *cases(4096, 5, questions=10)], model="small")
    assert found.lower is None
    assert found.doubtful is not None
    assert found.doubtful.size == 4096
    assert "holds" not in found.sentence
    assert found.sentence.startswith("at 4,096 tokens quality may be lower than at 2,048, by 50.0 ")
    assert found.sentence.endswith("(p 0.06) does not bear it out: ask more questions")


def test_three_questions_alone_end_no_useful_window() -> None:
    scored = [*cases(1024, 3, questions=3), *cases(2048, 0, questions=3)]
    found = summarize_window(scored, model="small")
    assert (found.useful, found.lower) == (2048, None)
    difference = found.sizes[1].difference
    assert difference is not None
    assert difference.low < difference.high


def test_one_question_alone_is_summed_up() -> None:
    scored = [*cases(1024, 1, questions=1), *cases(2048, 1, questions=1)]
    assert summarize_window(scored, model="small").useful == 2048


def test_a_size_is_held_against_the_best_before_it_and_not_the_last() -> None:
    scored = [*cases(1024, 80), *cases(2048, 78), *cases(4096, 70)]
    found = summarize_window(scored, model="small")
    assert [one.best_before for one in found.sizes] == [None, 1024, 1024]
    assert found.sizes[2].difference is not None
    assert found.sizes[2].difference.difference == pytest.approx(-0.1)


def test_what_was_found_and_what_was_made_of_it_are_told_apart() -> None:
    none = [ScoredCase("u", "unanswerable", 1024, None, True, None, 900)]
    (one,) = summarize_window([*cases(1024, 30, held=40), *none], model="small").sizes
    assert one.accuracy.mean == pytest.approx(31 / 101)
    assert one.in_context is not None
    assert one.in_context.mean == 0.4
    assert one.given_evidence is not None
    assert one.given_evidence.mean == 0.75


def test_one_size_alone_tells_no_useful_window() -> None:
    found = summarize_window(cases(1024, 50), model="small")
    assert found.sentence.startswith("only 1,024 tokens were measured")


def test_places_are_compared_with_the_first_on_the_same_questions() -> None:
    right = {"first": 90, "middle": 50, "last": 88}
    placed = [
        ScoredCase(f"q{n:03}", "t", 4096, position, n < right[position], True, 900)
        for position in POSITIONS
        for n in range(100)
    ]
    found = summarize_window([*cases(4096, 90), *placed], model="small")
    assert found.placed_at == 4096
    assert found.positions["middle"].mean == 0.5
    assert found.moved["middle"].high < 0
    assert found.moved["last"].difference == pytest.approx(-0.02)


def test_answers_that_come_in_another_order_tell_the_same() -> None:
    scored = [*cases(1024, 70), *cases(2048, 61)]
    shuffled = scored.copy()
    random.Random(1).shuffle(shuffled)
    assert summarize_window(scored, model="m") == summarize_window(shuffled, model="m")
