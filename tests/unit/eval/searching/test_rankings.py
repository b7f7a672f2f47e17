from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Chunk, Document
from eval.questions import Evidence, Question, Span
from eval.searching.rankings import (
    context_metric,
    gold_in_context,
    rank_documents,
    score_evidence,
    score_spans,
)
from retrieval.records import Hit


def hit(document: str, text: str, *, score: float = 0.5, start: int = 0) -> Hit:
    whole = Document(document, " " * start + text, "T", document)
    chunk = Chunk.of(whole, start=start, end=start + len(text), path=(), position=0)
    return Hit(chunk, score)


def test_a_document_stands_where_its_best_chunk_does() -> None:
    assert rank_documents([hit("b", "1"), hit("a", "2"), hit("b", "3")]) == ("b", "a")


def test_evidence_is_found_where_the_first_chunk_holds_it() -> None:
    asked = Question("q", "t", "?", (Evidence("a", "one"), Evidence("b", "two")))
    scores = score_evidence(asked, [hit("b", "one"), hit("a", "one"), hit("b", "x two")], (1, 2, 3))

    assert (scores["recall@1"], scores["recall@2"], scores["recall@3"]) == (0, 0.5, 1)
    assert (scores["all-gold@2"], scores["all-gold@3"]) == (0, 1)
    assert (scores["mrr@1"], scores["mrr@2"], scores["mrr@3"]) == (0, 0.5, 0.5)


@given(texts=st.lists(st.sampled_from(["one", "two", "three"]), max_size=8))
def test_recall_of_evidence_never_falls_with_k(texts: list[str]) -> None:
    asked = Question("q", "t", "?", (Evidence("a", "one"), Evidence("a", "two")))
    limits = range(1, 9)
    scores = score_evidence(asked, [hit("a", text) for text in texts], limits)

    for kind in ("recall", "all-gold", "mrr"):
        values = [scores[f"{kind}@{limit}"] for limit in limits]
        assert values == sorted(values)


def test_spans_are_scored_by_the_first_chunks() -> None:
    asked = Question("q", "t", "?", spans=(Span("a", 5, 15),))
    hits = [hit("a", "x" * 10), hit("a", "x" * 10, start=10)]
    scores = score_spans(asked, hits, (1, 2))

    assert (scores["recall@1"], scores["precision@1"], scores["iou@1"]) == (0.5, 0.5, 5 / 15)
    assert (scores["recall@2"], scores["precision@2"], scores["iou@2"]) == (1.0, 0.5, 0.5)
    assert (scores["all-gold@1"], scores["all-gold@2"]) == (0, 1)


def test_a_context_holds_the_gold_of_each_kind_or_does_not() -> None:
    kept = [hit("a", "one two").chunk]
    by_text = Question("q", "t", "?", (Evidence("a", "two"),), {"b": 1})
    by_span = Question("q", "t", "?", spans=(Span("a", 0, 3),))
    by_document = Question("q", "t", "?", grades={"a": 1, "b": 0})

    assert [context_metric(one) for one in (by_text, by_span, by_document)] == [
        "answer-in-context",
        "answer-in-context",
        "gold-in-context",
    ]
    assert all(gold_in_context(one, kept) for one in (by_text, by_span, by_document))
    assert not any(gold_in_context(one, []) for one in (by_text, by_span, by_document))
    assert not gold_in_context(Question("q", "t", "?", grades={"a": 1, "b": 1}), kept)
