"""No step of a search on any engine brings what is another tenant's, or what a filter excludes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from llama_index.core.schema import QueryBundle

from chunking.document import Document
from chunking.llamaindex import to_chunk
from chunking.sections import markdown_sections
from chunking.split import Splitter
from retrieval import scope
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.llamaindex import WindowfitRetriever
from retrieval.points import Point, PointStore, ScoredPoint, Vector, Where
from retrieval.providers import fingerprint_of
from retrieval.records import Hit
from retrieval.rerank import WordReranker
from retrieval.search import Searcher
from retrieval.terms import Terms
from retrieval.writer import IndexWriter
from serve.plan import Ask, Mode, make_plan
from tests.contract.workbench import Workbench
from tests.serving import mistral
from tests.serving import profile as quoting

EMBEDDER = HashEmbedder(dimension=128)
SPLITTER = Splitter(EMBEDDER.count_tokens, size=24, limit=40)
OTHER = "zeppelin"
"""Stands in every chunk of the other tenant, and in none of ours."""
FACTS = {
    "Kettle": "It needs Spout, Handle and Lid. Its wheel has 31 KB.",
    "Spout": "It needs nothing. Its wheel has 12 KB.",
    "Handle": "It needs Lid. Its wheel has 55 KB. Its author is Ada Byron.",
    "Lid": "It needs nothing. Its wheel has 8 KB.",
}
QUESTIONS = {
    "question": "Which wheel is large?",
    "named": "What does Kettle need?",
    "aspect": "Give the wheel, the needs, the author and the tidings of Handle",
    "bridge": "What is needed by the package that Ada Byron wrote?",
    "hop": "Of the packages that Kettle needs, which one has the largest wheel?",
}


class Watched:
    """A point store that keeps the filter of every read."""

    def __init__(self, points: PointStore) -> None:
        self._points = points
        self.reads: list[Where] = []

    def upsert(self, points: Sequence[Point], *, only_if: Where | None = None) -> None:
        self._points.upsert(points, only_if=only_if)

    def delete(self, ids: Sequence[str]) -> None:
        self._points.delete(ids)

    def query(
        self,
        sought: Vector | Terms,
        *,
        limit: int,
        where: Where,
        ids: Sequence[str] | None = None,
        terms: Terms | None = None,
        bare: bool = False,
    ) -> list[ScoredPoint]:
        self.reads.append(where)
        return self._points.query(sought, limit=limit, where=where, ids=ids, terms=terms, bare=bare)

    def scroll(
        self,
        *,
        where: Where,
        ids: Sequence[str] | None = None,
        fields: Sequence[str] | None = None,
        vectors: bool = False,
    ) -> Iterator[Point]:
        self.reads.append(where)
        return self._points.scroll(where=where, ids=ids, fields=fields, vectors=vectors)

    def count(self, *, where: Where) -> int:
        self.reads.append(where)
        return self._points.count(where=where)


def fill(bench: Workbench, *, mark: str = "") -> Index:
    """Put the same documents into the collection, in the name of the tenant in force."""
    index = Index.create(bench.engine, bench.collection, fingerprint_of(EMBEDDER, SPLITTER))
    with IndexWriter(index, grace_seconds=0) as writer:
        for title, facts in FACTS.items():
            lines = "\n".join(f"{fact.strip('. ')} {mark}." for fact in facts.split(". "))
            text = f"# Facts of {title}\n{lines}\n# Same\nThe same words for both tenants {mark}.\n"
            for number in range(4):
                text += f"# Tidings\nAt noon town {number} heard of {number + 20} ships {mark}.\n"
            document = Document(title, text, title, title, sections=markdown_sections(text))
            chunks = SPLITTER.split(document)
            writer.write(document, chunks, EMBEDDER.embed([one.embedded_text for one in chunks]))
    return index


@pytest.fixture(params=["", OTHER], ids=["the same texts", "other texts"])
def searcher(
    request: pytest.FixtureRequest, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> Searcher:
    """Search as one tenant of a collection that holds the same documents of another."""
    fill(bench)
    with monkeypatch.context() as other:
        other.setattr(scope, "TENANT", "other")
        assert fill(bench, mark=request.param).chunk_count() > 0
    index = Index.open(bench.engine, bench.collection)
    index.points = Watched(index.points)
    return Searcher(index, EMBEDDER, WordReranker())


def assert_own(searcher: Searcher, hits: Sequence[Hit]) -> None:
    """Check that every hit is stored as this tenant's own, and every read asked for that."""
    own = {hit.chunk.id for hit in searcher.index.read()}
    assert {hit.chunk.id for hit in hits} <= own
    assert len({hit.chunk.id for hit in hits}) == len(hits)
    assert not any(OTHER in hit.chunk.text for hit in hits)
    assert isinstance(searcher.index.points, Watched)
    assert all(read["tenant"] == (scope.TENANT,) for read in searcher.index.points.reads)


def test_every_step_of_a_search_keeps_to_its_tenant(searcher: Searcher) -> None:
    steps: set[str] = set()
    for question in QUESTIONS.values():
        hits = searcher.search(question, limit=40)
        assert hits
        assert_own(searcher, hits)
        steps |= {hit.via.partition(":")[0].partition(" ")[0] for hit in hits}
    assert steps == set(QUESTIONS)


@pytest.mark.parametrize("where", [{"title": ["Handle", "Lid"]}, {"document": ["Handle", "Lid"]}])
def test_every_step_of_a_search_keeps_to_the_filter(searcher: Searcher, where: Where) -> None:
    for question in QUESTIONS.values():
        hits = searcher.search(question, limit=40, where=where)
        assert hits
        assert_own(searcher, hits)
        assert {hit.chunk.title for hit in hits} <= {"Handle", "Lid"}


def test_the_retriever_of_llama_index_keeps_to_tenant_and_filter(searcher: Searcher) -> None:
    where = {"source": ["Kettle", "Handle"]}
    for question in QUESTIONS.values():
        nodes = WindowfitRetriever(searcher, limit=40, where=where).retrieve(QueryBundle(question))
        chunks = [to_chunk(node.node) for node in nodes]
        assert {chunk.title for chunk in chunks} <= {"Kettle", "Handle"}
        assert_own(searcher, [Hit(chunk, 0.0) for chunk in chunks])


@pytest.mark.parametrize("mode", ["retrieve", "full", "exhaustive", "auto"])
def test_every_mode_of_a_plan_keeps_to_tenant_and_filter(searcher: Searcher, mode: Mode) -> None:
    for question in QUESTIONS.values():
        ask = Ask(question, searcher.index.name, "scripted", mode, where={"title": ("Handle",)})
        plan = make_plan(ask, profile=quoting(), counter=mistral(), searcher=searcher)
        assert {entry.document for entry in plan.report.entries} == {"Handle"}
        assert plan.report.coverage.corpus_documents == len(FACTS)
        assert not any(OTHER in message.content for message in plan.context.messages)
    assert_own(searcher, [])
