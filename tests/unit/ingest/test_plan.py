"""A plan states exactly what the run after it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chunking.document import Document
from chunking.errors import UnreadableDocument
from chunking.split import Splitter
from ingest.job import Ingestion, run_ingest
from ingest.plan import IngestPlan, plan_ingest
from ingest.texts import SourceFile, document_file
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.providers import fingerprint_of
from retrieval.writer import IndexWriter

EMBEDDER = HashEmbedder(dimension=16)
SPLITTER = Splitter(EMBEDDER.count_tokens, size=24, limit=48)


def document(number: int, word: str = "word") -> Document:
    lines = (f"Line {line} of document {number} says {word} and goes on." for line in range(9))
    return Document(f"d{number}", "\n".join(lines), f"Title {number}", f"d{number}.txt")


def unreadable(name: str) -> SourceFile:
    def load() -> bytes:
        raise UnreadableDocument(f"{name}: broken", param=name)

    return SourceFile(name, load, lambda _: document(0), "text/1")


def planned(files: Sequence[SourceFile], index: Index, *, measured: bool = True) -> IngestPlan:
    return plan_ingest(
        files,
        index.records(),
        collection="c",
        splitter=SPLITTER,
        embedder=EMBEDDER,
        measured=measured,
    )


def test_a_plan_is_what_the_run_then_does() -> None:
    index = Index.create(MemoryEngine(), "c", fingerprint_of(EMBEDDER, SPLITTER))
    old = [document_file(document(n)) for n in range(4)]
    run_ingest(old, Ingestion(IndexWriter(index, grace_seconds=0), EMBEDDER, SPLITTER))
    changed = replace(document(1), text=document(1).text + "\nOne line more is here.")
    files = [
        document_file(document(0)),
        document_file(changed),
        document_file(document(7)),
        replace(old[2], parser="document/2"),
        unreadable("bad"),
    ]

    plan = planned(files, index)
    report = run_ingest(files, Ingestion(IndexWriter(index, grace_seconds=0), EMBEDDER, SPLITTER))

    assert (plan.files, plan.new, plan.changed, plan.unchanged) == (5, 1, 1, 2)
    assert plan.removed == ("d3",)
    assert plan.new + plan.changed == report.written
    assert plan.unchanged == report.unchanged
    assert plan.embedded_chunks == report.embedded_chunks
    assert plan.chunks == report.embedded_chunks + report.kept_chunks
    assert plan.quarantined == report.quarantined
    assert plan.seconds is not None
    assert plan.seconds > 0


def test_what_is_up_to_date_takes_no_time_and_no_tokens() -> None:
    index = Index.create(MemoryEngine(), "c", fingerprint_of(EMBEDDER, SPLITTER))
    files = [document_file(document(n)) for n in range(3)]
    run_ingest(files, Ingestion(IndexWriter(index), EMBEDDER, SPLITTER))

    plan = planned(files, index)

    assert (plan.unchanged, plan.embedded_chunks, plan.embedded_tokens) == (3, 0, 0)
    assert (plan.seconds, plan.cost_usd) == (None, 0)


def test_the_tokens_of_a_plan_are_the_embedders_own() -> None:
    index = Index.create(MemoryEngine(), "c", fingerprint_of(EMBEDDER, SPLITTER))
    texts = [chunk.embedded_text for chunk in SPLITTER.split(document(1))]

    plan = planned([document_file(document(1))], index, measured=False)

    assert plan.embedded_tokens == sum(EMBEDDER.count_tokens(texts))
    assert plan.seconds is None
