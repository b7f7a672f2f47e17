"""Measures how well a collection is searched: rankings, contexts under budgets, and latency."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from chunking.document import Chunk
from chunking.errors import InputError
from eval.datasets import Layout, gold_documents, resolve_gold
from eval.questions import Question, Span
from eval.searching.coverage import precision_omega
from eval.searching.documents import score_documents
from eval.searching.rankings import (
    context_metric,
    gold_in_context,
    rank_documents,
    score_evidence,
    score_spans,
)
from eval.searching.timing import RememberingEmbedder
from retrieval.catalog import Catalog
from retrieval.records import Hit
from retrieval.search import Searcher
from retrieval.support import measure_support

DEFAULT_LIMITS: Mapping[Layout, tuple[int, ...]] = {
    "beir": (2, 5, 10, 100),
    "excerpts": (5, 10),
    "questions": (5, 10, 20, 50),
}
"""The k of every layout's metrics: documents, chunks and chunks."""
DEFAULT_BUDGETS = (1024, 2048, 4096, 8192)
_CHUNKS_PER_DOCUMENT = 2
"""Chunks first asked for each document that a ranking is to name, doubled while it names fewer."""
_DOCUMENTS_KEPT = 10
"""Documents that a result names, to look at what was found instead."""
_WARM_UP = "warm up"
OMEGA = "precision-omega"
ABSTENTION = "abstention-auroc"
_KINDS: Mapping[Layout, tuple[str, ...]] = {
    "beir": ("ndcg", "recall", "precision", "mrr", "all-gold"),
    "excerpts": ("recall", "precision", "iou", "all-gold"),
    "questions": ("recall", "all-gold", "mrr"),
}
"""The metrics of rankings, each of them for every limit."""

KeptUnder = Callable[[str, int], Sequence[Chunk]]
"""What a prompt keeps for a question's text under a budget of retrieved tokens."""
Watch = Callable[[Sequence[Question]], Iterable[Question]]


@dataclass(frozen=True, slots=True)
class QuestionResult:
    """What was measured of one question.

    Attributes:
        answerable: whether the set says where the answer stands; without gold there is no metric.
        metrics: by name, as in "recall@10".
        support: see `retrieval.support`.
        search_ms, embedding_ms: from the question to ranked hits, and embedding alone.
        documents: the first documents of the ranking.
    """

    id: str
    type: str
    answerable: bool
    metrics: Mapping[str, float]
    support: float | None
    search_ms: float
    embedding_ms: float
    documents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measurement:
    """Searches questions and plans them under every budget, and scores both against their gold.

    Attributes:
        embedder: that of the searcher; it tells what embedding took.
        limits: the k of metrics of rankings.
        budgets: tokens of retrieved text.
    """

    layout: Layout
    searcher: Searcher
    embedder: RememberingEmbedder
    kept_under: KeptUnder
    limits: Sequence[int]
    budgets: Sequence[int]

    def measure(
        self, questions: Sequence[Question], *, watch: Watch = iter
    ) -> tuple[QuestionResult, ...]:
        """Return what was measured of every question, in their order.

        Args:
            questions: with gold named as the collection names it, see `resolve_gold`.
            watch: yields the questions that it is given, to show how far the measurement is.
        """
        self.searcher.search(_WARM_UP, limit=1)
        excerpts = self.layout == "excerpts"
        spans = _all_spans(self.searcher.catalog()) if excerpts else ()
        results = [self._measure_one(question, spans) for question in watch(questions)]
        if self.layout != "beir":
            return tuple(_shortened(result) for result in results)
        rankings = {result.id: result.documents for result in results}
        graded = score_documents(questions, rankings, self.limits)
        return tuple(
            _shortened(replace(one, metrics={**graded.get(one.id, {}), **one.metrics}))
            for one in results
        )

    def _measure_one(self, question: Question, spans: Sequence[Span]) -> QuestionResult:
        """Return what was measured of a question, with all documents of its ranking."""
        self.embedder.forget()
        depth = max(self.limits) * _CHUNKS_PER_DOCUMENT
        started = time.perf_counter()
        hits = self.searcher.search(question.question, limit=depth)
        seconds, embedding = time.perf_counter() - started, self.embedder.seconds
        metrics = _score_chunks(question, hits, self.limits, spans)
        for budget in self.budgets if question.answerable else ():
            kept = self.kept_under(question.question, budget)
            metrics[f"{context_metric(question)}@{budget}"] = float(gold_in_context(question, kept))
        if self.layout == "beir":
            hits = self._deepened(question.question, hits, depth)
        support = measure_support(question.question, self.searcher.catalog().names, hits)
        return QuestionResult(
            question.id,
            question.type,
            question.answerable,
            metrics,
            None if support is None else round(support, 6),
            round(seconds * 1000, 3),
            round(embedding * 1000, 3),
            rank_documents(hits)[: max(self.limits)],
        )

    def _deepened(self, question: str, hits: list[Hit], depth: int) -> list[Hit]:
        """Return hits of as many documents as the largest limit, or of all there are."""
        while len(hits) == depth and len(rank_documents(hits)) < max(self.limits):
            depth *= 2
            hits = self.searcher.search(question, limit=depth)
        return hits


def find_gold(
    questions: Sequence[Question], catalog: Catalog, *, collection: str
) -> tuple[tuple[Question, ...], frozenset[str]]:
    """Return the questions with gold as the collection names it, and the documents it lacks.

    Raises:
        InputError: the collection holds none of the documents that the gold is in.
    """
    gold = gold_documents(questions)
    resolved, missing = resolve_gold(questions, catalog.records)
    if gold and gold == missing:
        raise InputError(
            f"collection {collection!r} holds none of the {len(gold)} documents that the "
            "questions are about",
            hint="name the collection that holds them with --collection",
            param="collection",
        )
    return resolved, missing


def metric_names(
    questions: Sequence[Question], layout: Layout, limits: Sequence[int], budgets: Sequence[int]
) -> tuple[str, ...]:
    """Return the names of all metrics that measuring these questions gives."""
    answerable = [question for question in questions if question.answerable]
    contexts = dict.fromkeys(context_metric(question) for question in answerable)
    names = [f"{kind}@{limit}" for kind in _KINDS[layout] for limit in limits] if answerable else []
    names += [OMEGA] if layout == "excerpts" else []
    names += [f"{kind}@{budget}" for kind in contexts for budget in budgets]
    return (*names, *([ABSTENTION] if 0 < len(answerable) < len(questions) else []))


def _score_chunks(
    question: Question, hits: Sequence[Hit], limits: Sequence[int], spans: Sequence[Span]
) -> dict[str, float]:
    if question.spans:
        omega = precision_omega(question.spans, spans)
        return {**score_spans(question, hits, limits), OMEGA: omega}
    if question.evidence and not question.grades:
        return dict(score_evidence(question, hits, limits))
    return {}


def _all_spans(catalog: Catalog) -> tuple[Span, ...]:
    return tuple(
        Span(record.id, start, end)
        for record in catalog.records.values()
        for start, end in record.spans
    )


def _shortened(result: QuestionResult) -> QuestionResult:
    return replace(result, documents=result.documents[:_DOCUMENTS_KEPT])
