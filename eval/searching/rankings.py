"""Pure measures of one question's ranked chunks against its gold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from chunking.document import Chunk
from eval.metrics import answer_in_context, holds
from eval.questions import Question, Span
from eval.searching.coverage import covered, measure_coverage
from retrieval.records import Hit

Scores = Mapping[str, float]
"""Metrics by name, as in "recall@10"."""


def rank_documents(hits: Iterable[Hit]) -> tuple[str, ...]:
    """Return the documents of hits in the order of their best-ranked chunks."""
    return tuple(dict.fromkeys(hit.chunk.document for hit in hits))


def score_evidence(question: Question, hits: Sequence[Hit], limits: Sequence[int]) -> Scores:
    """Return how early the chunks hold the question's evidence, text by text.

    `recall@k` is the share of the texts that stand in the first k chunks, `all-gold@k` whether all
    do, `mrr@k` one divided by the rank of the first chunk that holds any.
    """
    firsts = [
        next((rank for rank, hit in enumerate(hits, 1) if holds(hit.chunk, evidence)), None)
        for evidence in question.evidence
    ]
    found = [rank for rank in firsts if rank is not None]
    scores: dict[str, float] = {}
    for limit in limits:
        within = [rank for rank in found if rank <= limit]
        scores[f"recall@{limit}"] = len(within) / len(firsts)
        scores[f"all-gold@{limit}"] = float(len(within) == len(firsts))
        scores[f"mrr@{limit}"] = 1 / min(within) if within else 0.0
    return scores


def score_spans(question: Question, hits: Sequence[Hit], limits: Sequence[int]) -> Scores:
    """Return how well the first k chunks cover the question's excerpts.

    See `eval.searching.coverage`.
    """
    scores: dict[str, float] = {}
    for limit in limits:
        taken = [span_of(hit.chunk) for hit in hits[:limit]]
        coverage = measure_coverage(question.spans, taken)
        scores[f"recall@{limit}"] = coverage.recall
        scores[f"precision@{limit}"] = coverage.precision
        scores[f"iou@{limit}"] = coverage.iou
        scores[f"all-gold@{limit}"] = float(covered(question.spans, taken))
    return scores


def context_metric(question: Question) -> str:
    """Return which of two things is asked of a context: its answer, or only its documents."""
    return "answer-in-context" if question.evidence or question.spans else "gold-in-context"


def gold_in_context(question: Question, kept: Sequence[Chunk]) -> bool:
    """Return whether what a prompt keeps holds all gold of a question that has some.

    Texts word for word, excerpts to the last character; of documents known only as a whole, a
    chunk of each that is relevant.
    """
    if question.evidence:
        return answer_in_context(question, kept)
    if question.spans:
        return covered(question.spans, [span_of(chunk) for chunk in kept])
    return question.relevant <= {chunk.document for chunk in kept}


def span_of(chunk: Chunk) -> Span:
    """Return where a chunk stands."""
    return Span(chunk.document, chunk.start, chunk.end)
