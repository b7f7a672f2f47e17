"""Sums up what was measured of a retrieval data set, with 95 % intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eval.datasets import Layout
from eval.searching.retrieval import ABSTENTION, QuestionResult
from eval.statistics import Mean, percentile, summarize, summarize_auroc

Means = Mapping[str, Mean]
_DIGITS = 2


@dataclass(frozen=True, slots=True)
class Latency:
    """Half, and 95 of 100, of the questions took at most this long."""

    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class RetrievalSummary:
    """What a retrieval data set says of one configuration.

    Attributes:
        embedder, splitter: what made the collection's vectors.
        missing_documents: documents with gold that the collection lacks.
        metrics: by name, over the answerable questions; `abstention-auroc` over all.
        by_type: the same by type of question, where there are several.
        latency_ms: "search", from the question to ranked hits, and "embedding", a part of it.
    """

    dataset: str
    layout: Layout
    collection: str
    embedder: str
    splitter: str
    documents: int
    chunks: int
    questions: int
    answerable: int
    missing_documents: int
    metrics: Means
    by_type: Mapping[str, Means]
    latency_ms: Mapping[str, Latency]


def summarize_metrics(results: Sequence[QuestionResult], *, seed: int) -> dict[str, Mean]:
    """Return the mean of every metric, and how well the score tells answerable questions."""
    values: dict[str, list[float]] = {}
    for result in results:
        for name, value in result.metrics.items():
            values.setdefault(name, []).append(value)
    means = {name: summarize(sample, seed=seed) for name, sample in values.items()}
    told = [(r.support, r.answerable) for r in results if r.support is not None]
    positive = [support for support, answerable in told if answerable]
    negative = [support for support, answerable in told if not answerable]
    if positive and negative:
        means[ABSTENTION] = summarize_auroc(positive, negative)
    return means


def summarize_types(results: Sequence[QuestionResult], *, seed: int) -> dict[str, dict[str, Mean]]:
    """Return the means by type of question; nothing where all are of one type."""
    types = sorted({result.type for result in results})
    if len(types) == 1:
        return {}
    return {
        one: summarize_metrics([result for result in results if result.type == one], seed=seed)
        for one in types
    }


def summarize_latency(results: Sequence[QuestionResult]) -> dict[str, Latency]:
    """Return the percentiles of what questions took, in milliseconds."""
    spent = {
        "search": [result.search_ms for result in results],
        "embedding": [result.embedding_ms for result in results],
    }
    return {
        name: Latency(
            round(percentile(values, 0.5), _DIGITS), round(percentile(values, 0.95), _DIGITS)
        )
        for name, values in spent.items()
    }
