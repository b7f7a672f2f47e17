"""Pure statistics of measurements: intervals, paired differences, and how well a score separates.

Every draw is seeded, so that the same measurements give the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np

from eval.metrics import Z_95, paired_interval, wilson_interval
from eval.packages import SCIPY_STATS, load_package

RESAMPLES = 10_000
_BATCH = 500
"""Resamples drawn at a time: a few megabytes for a thousand questions."""
_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of a metric over questions, with its 95 % interval."""

    mean: float
    low: float
    high: float
    questions: int


@dataclass(frozen=True, slots=True)
class Difference:
    """How a metric differs between two configurations on the same questions.

    Attributes:
        first, second: the means of both.
        difference: second minus first, with its 95 % interval.
        p: two-sided, by a permutation test: how often chance alone differs as much; 1 for one
            pair, which says nothing.
        questions: the number of pairs.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    questions: int


def summarize(values: Sequence[float], *, seed: int = 0) -> Mean:
    """Return the mean with its 95 % interval: Wilson's for a share, else a bootstrap's percentiles.

    Wilson's stays honest where all questions or none are hits.
    """
    sample = np.asarray(values, dtype=float)
    mean = float(sample.mean())
    if np.isin(sample, (0.0, 1.0)).all():
        low, high = wilson_interval(int(sample.sum()), len(sample))
    else:
        low, high = _bootstrap(sample, seed)
    return Mean(mean, low, high, len(sample))


def compare(first: Sequence[float], second: Sequence[float], *, seed: int = 0) -> Difference:
    """Return how two measurements of the same questions, in the same order, differ.

    Of right and wrong, 1 and 0, the interval is Tango's for pairs and p that of McNemar's exact
    test. Otherwise the interval is the paired bootstrap's, by resampling questions, and p that of
    the permutation test that changes the signs of differences: exact where there are few, else by
    10,000 draws.
    """
    one, other = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    differences = other - one
    if np.isin([one, other], (0.0, 1.0)).all():
        first_only, second_only = int((differences < 0).sum()), int((differences > 0).sum())
        low, high = paired_interval(first_only, second_only, len(differences))
        p = mcnemar(first_only, second_only)
    else:
        low, high = _bootstrap(differences, seed)
        p = _permuted(differences, seed)
    return Difference(
        first=float(one.mean()),
        second=float(other.mean()),
        difference=float(differences.mean()),
        low=low,
        high=high,
        p=p,
        questions=len(differences),
    )


def mcnemar(first_only: int, second_only: int) -> float:
    """Return the two-sided p of McNemar's exact test: how often a fair coin falls as unevenly.

    1 where the two never differ.
    """
    differing = first_only + second_only
    if differing == 0:
        return 1.0
    return float(load_package(SCIPY_STATS).binomtest(first_only, differing).pvalue)


def compare_all(
    first: Mapping[str, Mapping[str, float]],
    second: Mapping[str, Mapping[str, float]],
    *,
    seed: int = 0,
) -> dict[str, Difference]:
    """Return the difference of every metric that both have, over the questions that both have.

    Args:
        first, second: metrics by name, by question.
    """
    names = dict.fromkeys(name for scores in first.values() for name in scores)
    compared = {}
    for name in names:
        pairs = [
            (scores[name], second[question][name])
            for question, scores in first.items()
            if name in scores and name in second.get(question, {})
        ]
        if pairs:
            compared[name] = compare(*zip(*pairs, strict=True), seed=seed)
    return compared


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Return how often a positive scores above a negative, a tie counting half; both are given.

    The area under the ROC curve is this share (Hanley and McNeil, 1982).
    """
    above = load_package(SCIPY_STATS).mannwhitneyu(positive, negative).statistic
    return float(above) / (len(positive) * len(negative))


def summarize_auroc(positive: Sequence[float], negative: Sequence[float]) -> Mean:
    """Return the AUROC with its 95 % interval, by the standard error of Hanley and McNeil, 1982."""
    area, ones, others = auroc(positive, negative), len(positive), len(negative)
    above_two = area / (2 - area)
    below_two = 2 * area**2 / (1 + area)
    variance = area * (1 - area)
    variance += (ones - 1) * (above_two - area**2) + (others - 1) * (below_two - area**2)
    half = Z_95 * np.sqrt(variance / (ones * others))
    return Mean(area, max(0.0, area - half), min(1.0, area + half), ones + others)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the values, which are at least one, do not exceed."""
    return float(np.quantile(np.asarray(values, dtype=float), share))


def _permuted(differences: np.ndarray[tuple[int], np.dtype[np.float64]], seed: int) -> float:
    if len(differences) == 1:
        return 1.0
    tested = load_package(SCIPY_STATS).permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=_BATCH,
        rng=np.random.default_rng(seed),
    )
    return float(tested.pvalue)


def _bootstrap(
    sample: np.ndarray[tuple[int], np.dtype[np.float64]], seed: int
) -> tuple[float, float]:
    """Return the percentile interval of the mean; a sample of one value has no width."""
    mean = float(sample.mean())
    if len(sample) == 1 or (sample == sample[0]).all():
        return mean, mean
    drawn = (
        load_package(SCIPY_STATS)
        .bootstrap(
            (sample,),
            np.mean,
            n_resamples=RESAMPLES,
            batch=_BATCH,
            confidence_level=_LEVEL,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
        .confidence_interval
    )
    low, high = float(drawn.low), float(drawn.high)
    return (mean, mean) if isnan(low) or isnan(high) else (low, high)
