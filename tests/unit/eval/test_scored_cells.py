from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from eval.cells import AskedQuestion, Score, Seconds, Spent, Tokens
from eval.kept_cells import Given
from eval.questions import Question
from eval.scored_cells import Scorer

FAILED = Given(
    profile="",
    answer="",
    tokens=Tokens(0, 0, 0, "planned"),
    cost=Spent(Decimal(0), "none"),
    seconds=Seconds(None, 1.0),
    report={},
    citations=(),
    made_at=datetime(2026, 11, 22, tzinfo=UTC),
    error="upstream_timeout",
)
MEMBERS = AskedQuestion("q", "t", "Which?", "set", ("Peru", "Chile"), stale=("Peru",))


def score(question: AskedQuestion) -> Score:
    gold = {question.id: Question(question.id, question.type, question.question, ())}
    scorer = Scorer(gold, find_names=lambda _: (), find_documents=lambda _: ())
    return scorer.score(question, FAILED)


def test_a_failed_call_counts_in_every_measure_of_its_question() -> None:
    failed = score(MEMBERS)

    assert (failed.correct, failed.reason, failed.abstained) == (False, "upstream_timeout", False)
    assert (failed.f1, failed.stale) == (0.0, False)
    assert failed.in_context is None


def test_a_failed_call_has_no_measure_that_its_question_has_not() -> None:
    failed = score(replace(MEMBERS, answer_type="string", expected="Peru", stale=None))

    assert (failed.f1, failed.stale) == (None, None)
