from __future__ import annotations

import random

import pytest

from chunking.errors import InputError
from eval.thresholds import LabelledAnswer, fit_thresholds
from serve.escalation import Signals, Thresholds


def answers(count: int = 200, *, noise: float = 0.0, seed: int = 1) -> list[LabelledAnswer]:
    """Return answers of which the grounded ones are right, but for a share that is not."""
    drawn = random.Random(seed)
    made = []
    for number in range(count):
        correct = number % 2 == 0
        misleading = drawn.random() < noise
        low, high = (0.0, 0.4) if correct is misleading else (0.6, 1.0)
        signals = Signals(drawn.uniform(low, high), False, drawn.random())
        made.append(LabelledAnswer(f"q{number:03}", signals, correct))
    return made


def test_a_signal_that_parts_right_from_wrong_is_found() -> None:
    fit = fit_thresholds(answers())
    assert 0.4 <= fit.thresholds.grounding <= 0.6
    assert fit.recall.mean == 1.0
    assert fit.precision is not None
    assert fit.precision.mean == 1.0
    assert fit.kept_accuracy is not None
    assert fit.kept_accuracy.mean == 1.0
    assert fit.accuracy.mean == 0.5
    assert (fit.fitted, fit.measured) == (100, 100)


def test_the_figures_are_those_of_the_half_that_was_not_fitted_on() -> None:
    fit = fit_thresholds(answers(noise=0.2))
    assert 0.6 < fit.recall.mean < 1.0
    assert fit.recall.low < fit.recall.mean < fit.recall.high
    assert 0.6 < fit.auroc.mean < 1.0


def test_a_signal_of_chance_has_an_auroc_of_about_a_half() -> None:
    fit = fit_thresholds(answers(noise=0.5))
    assert fit.auroc.low < 0.5 < fit.auroc.high


def test_the_dearer_a_miss_the_more_is_escalated() -> None:
    cheap, dear = (fit_thresholds(answers(noise=0.3), misses_worth=worth) for worth in (0.2, 20))
    assert cheap.escalated.mean < dear.escalated.mean
    assert cheap.recall.mean < dear.recall.mean


def test_declining_is_escalated_only_where_that_was_wrong() -> None:
    declined = [
        LabelledAnswer(
            f"d{number:03}", Signals(1.0, True, 0.8 if number % 2 else 0.1), not number % 2
        )
        for number in range(60)
    ]
    fit = fit_thresholds(declined)
    assert 0.1 < fit.thresholds.declined_support <= 0.8
    assert fit.recall.mean == 1.0
    assert fit.precision is not None
    assert fit.precision.mean == 1.0


def test_the_same_seed_gives_the_same_fit_whatever_the_order() -> None:
    made = answers(noise=0.2)
    assert fit_thresholds(made) == fit_thresholds(made[::-1])


def test_too_few_wrong_answers_are_refused_with_their_number() -> None:
    right = [one for one in answers() if one.correct]
    with pytest.raises(InputError, match="100 right and 0 wrong answers, at least 10"):
        fit_thresholds(right)


def test_a_threshold_that_the_answers_say_nothing_of_keeps_its_default() -> None:
    alike = [
        LabelledAnswer(f"q{number:03}", Signals(1.0, False, 0.9), number % 2 == 0)
        for number in range(60)
    ]
    fit = fit_thresholds(alike, misses_worth=0.5)

    assert fit.thresholds == Thresholds()
