from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from chunking.document import Chunk, Document
from chunking.errors import InputError
from chunking.split import Splitter
from eval.datasets import Layout
from eval.questions import Evidence, Question
from eval.searching.layouts import load_retrieval_set
from eval.searching.retrieval import Measurement, find_gold, metric_names
from eval.searching.summary import summarize_latency, summarize_metrics, summarize_types
from eval.searching.timing import RememberingEmbedder
from ingest.job import Ingestion, run_ingest
from ingest.texts import document_file
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.points import Vector
from retrieval.providers import fingerprint_of
from retrieval.search import Searcher
from retrieval.writer import IndexWriter
from tests.unit.eval.retrieval_sets import write_beir, write_excerpts

pytest.importorskip("ir_measures", reason="needs the extra `eval`")
pytest.importorskip("scipy", reason="needs the extra `eval`")


def collection(documents: Sequence[Document], *, size: int = 40) -> Searcher:
    embedder = HashEmbedder()
    splitter = Splitter(embedder.count_tokens, size=size)
    index = Index.create(MemoryEngine(), "tiny", fingerprint_of(embedder, splitter))
    files = [document_file(document) for document in documents]
    run_ingest(files, Ingestion(IndexWriter(index), embedder, splitter))
    return Searcher(index, RememberingEmbedder(embedder))


def measurement(
    searcher: Searcher, layout: Layout, *, limits: Sequence[int] = (1, 2), kept: int = 1
) -> Measurement:
    """Return a measurement whose context keeps the first chunks, as many as `kept`."""

    def kept_under(question: str, budget: int) -> list[Chunk]:
        hits = searcher.search(question, limit=kept)
        return [hit.chunk for hit in hits]

    embedder = searcher.embedder
    assert isinstance(embedder, RememberingEmbedder)
    return Measurement(layout, searcher, embedder, kept_under, limits, (100,))


def test_a_beir_set_is_measured_by_documents(tmp_path: Path) -> None:
    dataset = load_retrieval_set(write_beir(tmp_path / "tiny"))
    searcher = collection(dataset.documents or ())

    peru, keys = measurement(searcher, "beir", limits=(1, 4)).measure(dataset.questions)

    assert (keys.metrics["ndcg@1"], keys.metrics["mrr@1"], keys.metrics["recall@1"]) == (1, 1, 1)
    assert keys.documents[0] == "keys"
    assert keys.metrics["gold-in-context@100"] == 1.0
    assert (peru.metrics["recall@1"], peru.metrics["all-gold@1"]) == (0.5, 0)
    assert peru.metrics["all-gold@4"] == 1
    assert peru.metrics["gold-in-context@100"] == 0.0
    assert set(peru.metrics) == set(metric_names(dataset.questions, "beir", (1, 4), (100,)))


def test_a_document_of_many_chunks_does_not_push_others_off_the_ranking() -> None:
    text = "\n\n".join(f"Keys are rotated, paragraph {n} of keys rotated." for n in range(30))
    long = Document("long", text, "Keys", "s")
    other = Document("other", "Doors are painted green.", "Doors", "s")
    searcher = collection([long, other], size=16)
    asked = Question("q", "t", "keys rotated", grades={"other": 1})

    [result] = measurement(searcher, "beir").measure([asked])

    assert result.documents == ("long", "other")
    assert result.metrics["recall@2"] == 1.0


def test_excerpts_are_measured_by_characters(tmp_path: Path) -> None:
    keys = "Keys are rotated every 90 days by those who are on duty."
    text = f"{keys}\n\nDoors are painted green in spring.\n"
    place = text.index("Doors")
    rows = [("doors painted green", "notes", [(place, place + 34)])]
    dataset = load_retrieval_set(write_excerpts(tmp_path / "tiny", {"notes": text}, rows))
    searcher = collection(dataset.documents or (), size=16)

    [result] = measurement(searcher, "excerpts").measure(dataset.questions)

    assert result.metrics["recall@1"] == result.metrics["answer-in-context@100"] == 1.0
    assert result.metrics["precision@1"] == result.metrics["iou@1"]
    assert result.metrics["precision@1"] == result.metrics["precision-omega"]
    assert result.metrics["precision@2"] < result.metrics["precision@1"]
    assert set(result.metrics) == set(metric_names(dataset.questions, "excerpts", (1, 2), (100,)))


NOTES = (
    Document("notes/keys.txt", "Keys are rotated every 90 days.", "Keys", "s"),
    Document("notes/doors.txt", "Doors are painted green in spring.", "Doors", "s"),
)
KEYS = Question("keys", "plain", "keys rotated every days", (Evidence("keys.txt", "90 days"),))
NOBODY = Question("nobody", "unanswerable", "Who wrote the symphony?")


def test_questions_with_evidence_are_measured_by_texts_and_the_others_by_their_score() -> None:
    questions, missing = find_gold([KEYS, NOBODY], collection(NOTES).catalog(), collection="tiny")
    found = measurement(collection(NOTES), "questions").measure(questions)

    assert not missing
    keys, nobody = found
    assert (keys.metrics["recall@1"], keys.metrics["mrr@1"], keys.answerable) == (1, 1, True)
    assert (dict(nobody.metrics), nobody.answerable) == ({}, False)
    means = summarize_metrics(found, seed=0)
    assert means["abstention-auroc"].mean == 1.0
    assert means["abstention-auroc"].questions == 2
    told_by_nothing = [*found, replace(nobody, support=None)]
    assert summarize_metrics(told_by_nothing, seed=0)["abstention-auroc"].questions == 2
    assert set(means) == set(metric_names([KEYS, NOBODY], "questions", (1, 2), (100,)))
    assert set(summarize_types(found, seed=0)) == {"plain", "unanswerable"}
    assert summarize_types(found[:1], seed=0) == {}


def test_latency_holds_the_embedding_of_a_question_once() -> None:
    found = measurement(collection(NOTES), "questions").measure([KEYS])

    assert 0 < found[0].embedding_ms < found[0].search_ms
    latency = summarize_latency(found)
    assert (
        latency["search"].p50
        == latency["search"].p95
        == pytest.approx(found[0].search_ms, abs=0.01)
    )


def test_a_collection_of_other_documents_is_refused() -> None:
    catalog = collection(NOTES[1:]).catalog()

    with pytest.raises(InputError, match="none of the 1 documents"):
        find_gold([KEYS], catalog, collection="tiny")


def test_a_remembered_text_is_embedded_once_and_forgotten_when_told() -> None:
    calls: list[list[str]] = []

    class Counted(HashEmbedder):
        def embed(self, texts: Sequence[str]) -> Vector:
            calls.append(list(texts))
            return HashEmbedder.embed(self, texts)

    embedder = RememberingEmbedder(Counted())
    rows = embedder.embed(["a", "b", "a"])
    again = embedder.embed(["b"])

    assert calls == [["a", "b"]]
    assert (rows[0] == rows[2]).all()
    assert (again[0] == rows[1]).all()
    assert embedder.seconds > 0
    embedder.forget()
    assert embedder.seconds == 0
    embedder.embed(["a"])
    assert calls == [["a", "b"], ["a"]]
