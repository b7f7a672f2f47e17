"""Fits the thresholds of escalation on labelled answers, and tells what they do on others; pure."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

from chunking.errors import InputError
from eval.statistics import Mean, summarize, summarize_auroc
from serve.escalation import Signals, Thresholds, decide_escalation, rate_confidence

FEWEST_OF_EACH = 10
"""Right and wrong answers needed, each; with fewer a threshold is fitted to chance."""
_STEPS = 20
_NEVER = 1.01
"""A threshold of `declined_support` that nothing reaches."""


@dataclass(frozen=True, slots=True)
class LabelledAnswer:
    """An answer of a local model with its signals, and whether it is right."""

    id: str
    signals: Signals
    correct: bool


@dataclass(frozen=True, slots=True)
class ThresholdFit:
    """Thresholds fitted on one half of the answers, and measured on the other.

    Attributes:
        misses_worth: needless escalations that weigh as much as one wrong answer kept.
        fitted, measured: answers of both halves.
        escalated: share of the answers that are escalated.
        precision: share of the escalated that are wrong; None where none is escalated.
        recall: share of the wrong that are escalated.
        kept_accuracy: share of the kept that are right; None where none is kept.
        accuracy: share of all that are right, with nothing escalated.
        auroc: how often the confidence of a right answer is above that of a wrong one.
    """

    thresholds: Thresholds
    misses_worth: float
    fitted: int
    measured: int
    escalated: Mean
    precision: Mean | None
    recall: Mean
    kept_accuracy: Mean | None
    accuracy: Mean
    auroc: Mean


def fit_thresholds(
    answers: Sequence[LabelledAnswer], *, misses_worth: float = 3.0, seed: int = 0
) -> ThresholdFit:
    """Return the thresholds with the least loss on one half, measured on the other half.

    The loss is the number of needless escalations plus `misses_worth` for every wrong answer kept.
    The halves are drawn with as many wrong answers in each; the same seed draws the same ones. Of
    several thresholds with the same loss, those nearest to the defaults are taken: what the answers
    say nothing of stays as it is.

    Raises:
        InputError: there are fewer than `FEWEST_OF_EACH` right or wrong answers.
    """
    right = [answer for answer in answers if answer.correct]
    wrong = [answer for answer in answers if not answer.correct]
    if min(len(right), len(wrong)) < FEWEST_OF_EACH:
        raise InputError(
            f"{len(right)} right and {len(wrong)} wrong answers, at least {FEWEST_OF_EACH} of each "
            "are needed",
            hint="label more answers of the model whose thresholds are fitted",
        )
    (right_one, right_other), (wrong_one, wrong_other) = _halves(right, seed), _halves(wrong, seed)
    one, other = [*right_one, *wrong_one], [*right_other, *wrong_other]
    return _measure(other, _best(one, misses_worth), misses_worth, fitted=len(one), seed=seed)


def _halves(
    answers: Sequence[LabelledAnswer], seed: int
) -> tuple[list[LabelledAnswer], list[LabelledAnswer]]:
    drawn = sorted(answers, key=lambda answer: answer.id)
    random.Random(seed).shuffle(drawn)  # noqa: S311 - a sample, no secret
    middle = len(drawn) // 2
    return drawn[:middle], drawn[middle:]


def _best(answers: Sequence[LabelledAnswer], misses_worth: float) -> Thresholds:
    """Return the best of a grid. Answers that decline hang on one threshold, others on two."""
    declined = [answer for answer in answers if answer.signals.declined]
    others = [answer for answer in answers if not answer.signals.declined]
    usual = Thresholds()

    supports = _steps(answer.signals.support for answer in answers)
    grounding, support = min(
        product(
            sorted({usual.grounding, *_steps(one.signals.grounding for one in others)}),
            sorted({usual.support, *supports}),
        ),
        key=lambda pair: (
            _loss(others, Thresholds(*pair), misses_worth),
            abs(pair[0] - usual.grounding) + abs(pair[1] - usual.support),
        ),
    )
    return min(
        (
            Thresholds(grounding, support, step)
            for step in sorted({usual.declined_support, _NEVER, *supports})
        ),
        key=lambda one: (
            _loss(declined, one, misses_worth),
            abs(one.declined_support - usual.declined_support),
        ),
    )


def _loss(answers: Iterable[LabelledAnswer], thresholds: Thresholds, misses_worth: float) -> float:
    needless = missed = 0
    for answer in answers:
        wanted = decide_escalation(answer.signals, thresholds=thresholds).wanted
        needless += wanted and answer.correct
        missed += not wanted and not answer.correct
    return needless + misses_worth * missed


def _steps(values: Iterable[float | None]) -> list[float]:
    """Return 0 and places between neighbouring values, at most about `_STEPS`, ascending.

    A threshold half-way between two values that were seen holds for others best.
    """
    seen = sorted({0.0, *(value for value in values if value is not None)})
    between = [(low + high) / 2 for low, high in pairwise(seen)]
    every = max(1, len(between) // _STEPS)
    return [0.0, *sorted({*between[::every], *between[-1:]})]


def _measure(
    answers: Sequence[LabelledAnswer],
    thresholds: Thresholds,
    misses_worth: float,
    *,
    fitted: int,
    seed: int,
) -> ThresholdFit:
    wanted = [decide_escalation(one.signals, thresholds=thresholds).wanted for one in answers]
    pairs = list(zip(answers, wanted, strict=True))

    def share(values: Sequence[bool]) -> Mean:
        return summarize([float(value) for value in values], seed=seed)

    escalated_wrong = [not one.correct for one, escalated in pairs if escalated]
    kept_right = [one.correct for one, escalated in pairs if not escalated]
    confidence = {
        correct: [rate_confidence(one.signals) for one in answers if one.correct is correct]
        for correct in (True, False)
    }
    return ThresholdFit(
        thresholds=thresholds,
        misses_worth=misses_worth,
        fitted=fitted,
        measured=len(answers),
        escalated=share(wanted),
        precision=share(escalated_wrong) if escalated_wrong else None,
        recall=share([escalated for one, escalated in pairs if not one.correct]),
        kept_accuracy=share(kept_right) if kept_right else None,
        accuracy=share([one.correct for one in answers]),
        auroc=summarize_auroc(confidence[True], confidence[False]),
    )
