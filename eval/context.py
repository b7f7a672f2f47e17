"""Measures whether the answer stands in the context that would be sent; no model is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eval.metrics import answer_in_context, wilson_interval
from eval.questions import Question
from serve.plan import Ask, Plan


@dataclass(frozen=True, slots=True)
class ContextScore:
    """How many contexts held all evidence of their question, with a 95 % interval of the share."""

    questions: int
    found: int
    share: float
    low: float
    high: float
    missed: tuple[str, ...]


def score_contexts(
    questions: Sequence[Question],
    *,
    plan: Callable[[Ask], Plan],
    collection: str,
    model: str,
    max_context_tokens: int | None,
) -> ContextScore:
    """Plan every question under a token budget and look for its evidence in what is kept.

    Args:
        plan: `Runtime.plan`, or another planner to compare with it.
        max_context_tokens: cap on retrieved tokens; None leaves it to the model's window.
    """
    missed = []
    for question in questions:
        ask = Ask(question.question, collection, model, max_context_tokens=max_context_tokens)
        if not answer_in_context(question, plan(ask).context.chunks):
            missed.append(question.id)
    found = len(questions) - len(missed)
    low, high = wilson_interval(found, len(questions))
    share = found / len(questions) if questions else 0.0
    return ContextScore(len(questions), found, share, low, high, tuple(missed))
