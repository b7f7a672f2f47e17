from __future__ import annotations

from pathlib import Path

from chunking.document import Document
from chunking.split import Splitter
from eval.context import score_contexts
from eval.questions import Evidence, Question
from ingest.job import Ingestion, run_ingest
from ingest.texts import document_file
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.providers import fingerprint_of
from retrieval.writer import IndexWriter
from serve.profiles import load_profiles
from serve.runtime import Runtime

FACT = "Keys are rotated every 90 days."


def runtime() -> Runtime:
    embedder = HashEmbedder()
    splitter = Splitter(embedder.count_tokens, size=40)
    engine = MemoryEngine()
    fingerprint = fingerprint_of(embedder, splitter)
    index = Index.create(engine, "notes", fingerprint)
    note = Document(id="notes/keys.txt", title="Keys", source="keys.txt", text=FACT)
    run_ingest([document_file(note)], Ingestion(IndexWriter(index), embedder, splitter))
    return Runtime(engine, embedder, fingerprint, load_profiles(), Path("absent"))


def test_the_score_counts_what_was_found_and_names_what_was_missed() -> None:
    there = Question("there", "t", "How often are keys rotated?", (Evidence("keys.txt", FACT),))
    absent = Question("absent", "t", "Who rotates the keys?", (Evidence("keys.txt", "Nobody"),))

    score = score_contexts(
        [there, absent],
        plan=runtime().plan,
        collection="notes",
        model="quote",
        max_context_tokens=200,
    )

    assert (score.questions, score.found, score.share) == (2, 1, 0.5)
    assert score.missed == ("absent",)
    assert score.low < 0.5 < score.high


def test_a_context_without_room_holds_no_answer() -> None:
    there = Question("there", "t", "How often are keys rotated?", (Evidence("keys.txt", FACT),))

    score = score_contexts(
        [there], plan=runtime().plan, collection="notes", model="quote", max_context_tokens=1
    )

    assert score.found == 0
