"""What a search found once is not read again, and never outlives the state that it is of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from chunking.document import Chunk, Document
from chunking.split import Splitter
from retrieval import index as index_module
from retrieval.embed import HashEmbedder
from retrieval.hybrid import search_hybrid
from retrieval.index import Index
from retrieval.known import Known, KnownChunks
from retrieval.memory import MemoryEngine, MemoryPointStore
from retrieval.points import Point, ScoredPoint, Vector, Where
from retrieval.providers import fingerprint_of
from retrieval.records import Hit
from retrieval.scope import point_id
from retrieval.terms import Terms, question_terms
from retrieval.writer import IndexWriter

EMBEDDER = HashEmbedder(dimension=16)
SPLITTER = Splitter(EMBEDDER.count_tokens, size=24, limit=32)
COUNT = 60
NOTHING = Known(None)
QUESTIONS = [f"What does river number {n} of the country do?" for n in range(12)]


@dataclass
class CountingStore(MemoryPointStore):
    """Counts the requests of searches, and the payloads that they bring."""

    requests: int = 0
    sent: int = 0
    vanishing: list[str] = field(default_factory=list)

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
        found = super().query(sought, limit=limit, where=where, ids=ids, terms=terms, bare=bare)
        self.requests += 1
        self.sent += 0 if bare else len(found)
        self.delete(self.vanishing)
        return found

    def scroll(
        self,
        *,
        where: Where,
        ids: Sequence[str] | None = None,
        fields: Sequence[str] | None = None,
        vectors: bool = False,
    ) -> Iterator[Point]:
        found = list(super().scroll(where=where, ids=ids, fields=fields, vectors=vectors))
        if ids is not None:
            assert "tenant" in where
            self.requests += 1
            self.sent += len(found)
        return iter(found)

    def take(self) -> tuple[int, int]:
        counts = self.requests, self.sent
        self.requests = self.sent = 0
        return counts


@pytest.fixture
def store() -> CountingStore:
    return CountingStore(EMBEDDER.dimension)


@pytest.fixture
def index(store: CountingStore, monkeypatch: pytest.MonkeyPatch) -> Index:
    monkeypatch.setattr(index_module, "LEASE_SECONDS", -1.0)
    index = Index.create(MemoryEngine({"c": store}), "c", fingerprint_of(EMBEDDER, SPLITTER))
    write(index, *(document(n) for n in range(COUNT)))
    return index


def document(number: int, *, more: str = "") -> Document:
    text = f"The river number {number} of the country is told about here{more}."
    return Document(f"d{number}", text, f"River {number}", f"d{number}.txt", digest=text)


def write(index: Index, *documents: Document) -> None:
    with IndexWriter(index, grace_seconds=0) as writer:
        for one in documents:
            chunks = SPLITTER.split(one)
            writer.write(one, chunks, EMBEDDER.embed([chunk.embedded_text for chunk in chunks]))


def search(index: Index, question: str) -> list[Hit]:
    [vector] = EMBEDDER.embed([question])
    return search_hybrid(index, question, vector, limit=8)


def remember_most(index: Index) -> None:
    """Find most chunks twice: how much is known shows after the first time."""
    [vector] = EMBEDDER.embed([QUESTIONS[0]])
    for _ in range(2):
        index.search(vector, limit=COUNT - 5)


def unknown_points(index: Index, store: CountingStore) -> list[str]:
    """Return the points of chunks that no search has found yet; there are some, and not many."""
    chunks = [one.id for one in store.points.values() if one.payload["kind"] == "chunk"]
    _, unknown = index.catalog().known.recall(chunks)
    assert 0 < len(unknown) < COUNT / 4
    return unknown


def hit(text: str) -> Hit:
    whole = Document("d", text, "D", "d.txt")
    return Hit(Chunk.of(whole, start=0, end=len(text), path=(), position=0), 0.5)


def test_the_order_is_that_of_a_reader_that_remembers_nothing(
    index: Index, store: CountingStore
) -> None:
    for question in QUESTIONS * 2:
        fresh = Index.open(MemoryEngine({"c": store}), "c")
        hits, expected = search(index, question), search(fresh, question)
        assert [hit.chunk for hit in hits] == [hit.chunk for hit in expected]
        scores = [hit.score for hit in expected]
        assert [hit.score for hit in hits] == pytest.approx(scores, abs=1e-6)


def test_what_was_found_once_is_not_sent_again(index: Index, store: CountingStore) -> None:
    search(index, QUESTIONS[0])
    requests, sent = store.take()
    assert requests == 1
    assert sent >= 50
    for _ in range(2):  # how much is known shows after the first, what is far is read by the next
        search(index, QUESTIONS[0])
    store.take()
    search(index, QUESTIONS[0])
    assert store.take() == (1, 0)


def test_of_a_ranking_only_the_first_are_read(index: Index, store: CountingStore) -> None:
    known = index.catalog().known
    known.remember({"x": NOTHING})
    known.recall("x")
    assert len(search(index, QUESTIONS[0])) == 8
    assert store.take() == (2, 8)


@pytest.mark.parametrize("begun", [False, True], ids=["just begun", "seen to have begun"])
def test_what_a_run_has_stored_takes_nothing_in_a_search(index: Index, begun: bool) -> None:
    expected = {question: search(index, question) for question in QUESTIONS}
    catalog = index.catalog()
    assert catalog.swept
    writer = IndexWriter(index, grace_seconds=0)
    for question in QUESTIONS[:4]:
        again = f"{question} " * 2
        copies = [Document(f"{n}", again, question, "") for n in range(50)]
        staged = [chunk for copy in copies for chunk in SPLITTER.split(copy)]
        writer.stage(staged, np.tile(EMBEDDER.embed([question]), (len(staged), 1)))
    if begun:
        catalog = index.catalog()
        assert not catalog.swept
    for question, hits in expected.items():
        [vector] = EMBEDDER.embed([question])
        assert search_hybrid(index, question, vector, limit=8, catalog=catalog) == hits
    writer.close()
    with IndexWriter(index, grace_seconds=0):
        pass
    assert index.catalog().swept


def test_what_a_run_has_stored_takes_no_place_between_what_is_visible(index: Index) -> None:
    [vector] = EMBEDDER.embed([QUESTIONS[0]])
    terms = question_terms("river number 7 number 8 number 9")
    swept = index.catalog()
    writer = IndexWriter(index, grace_seconds=0)
    staged = [chunk for n in range(1000, 1300) for chunk in SPLITTER.split(document(n))]
    writer.stage(staged, EMBEDDER.embed([chunk.embedded_text for chunk in staged]))
    unseen = {point_id("chunk", chunk.id) for chunk in staged}
    for catalog, sure in ((swept, True), (index.catalog(), False)):
        with index.ranker(catalog=catalog) as ranker:
            ranking = ranker.rank(vector, terms, limit=10, sure=sure)
            assert len(ranking.near) == len(ranking.worded) == 10
            assert unseen.isdisjoint(ranking.points)
            assert not ranking.near.keys() >= ranking.worded.keys()
            assert len(ranker.read(ranking, [*ranking.points], "x")) == len(ranking.points)
    with index.ranker(catalog=swept) as ranker:
        assert not unseen.isdisjoint(ranker.rank(vector, terms, limit=10).points)
    writer.close()


def test_a_hit_of_another_search_differs_in_score_and_step_alone(index: Index) -> None:
    [first, *_] = search(index, QUESTIONS[0])
    whole = replace(first, gap=" ", sketch=("a",), origin="d")
    assert whole.again(score=whole.score, via=whole.via) == whole
    assert whole.again(score=0.1, via="x") == replace(whole, score=0.1, via="x")


def test_of_what_is_mostly_known_the_store_sends_the_rest(
    index: Index, store: CountingStore
) -> None:
    remember_most(index)
    unknown = len(unknown_points(index, store))
    store.take()
    [vector] = EMBEDDER.embed(["zebra"])
    assert len(index.search(vector, limit=100)) == COUNT
    assert store.take() == (2, unknown)


def test_the_first_read_of_a_search_says_how_much_is_known(
    index: Index, store: CountingStore
) -> None:
    remember_most(index)
    unknown = set(unknown_points(index, store))
    catalog = index.catalog()
    [vector] = EMBEDDER.embed(["zebra"])
    with index.ranker(catalog=catalog) as ranker:
        ranking = ranker.rank(vector, question_terms("zebra"), limit=COUNT)
        ranker.read(ranking, [point for point in ranking.points if point not in unknown], "x")
        assert not catalog.known.many_unknown
        assert len(ranker.read(ranking, sorted(unknown), "x")) == len(unknown)
    assert not catalog.known.many_unknown


def test_a_chunk_that_is_removed_while_it_is_read_is_no_hit(
    index: Index, store: CountingStore
) -> None:
    remember_most(index)
    store.vanishing = unknown_points(index, store)[:1]
    [vector] = EMBEDDER.embed(["zebra"])
    assert len(index.search(vector, limit=100)) == COUNT - 1


def test_a_version_that_is_swept_meanwhile_costs_no_chunk_its_place(
    index: Index, store: CountingStore
) -> None:
    catalog = index.catalog()
    visible = {point_id("chunk", one.chunk.id): Known(one) for one in index.read()}
    catalog.known.remember(visible)
    catalog.known.recall(visible)
    staged = [chunk for n in range(100, 115) for chunk in SPLITTER.split(document(n))]
    [vector] = EMBEDDER.embed(["zebra"])
    writer = IndexWriter(index, grace_seconds=0)
    writer.stage(staged, np.tile(vector, (len(staged), 1)))
    store.vanishing = [point_id("chunk", staged[0].id)]
    assert len(index.search(vector, limit=50, catalog=catalog)) == 50
    writer.close()


def test_what_is_replaced_or_removed_is_not_remembered(index: Index) -> None:
    question = QUESTIONS[3]
    for _ in range(3):
        search(index, question)
    write(index, document(3, more=" anew"))
    found = {hit.chunk.document: hit.chunk.text for hit in search(index, question)}
    assert "anew" in found["d3"]
    with IndexWriter(index, grace_seconds=0) as writer:
        writer.remove(["d3"])
    assert "d3" not in {hit.chunk.document for hit in search(index, question)}


def test_what_was_found_longest_ago_is_forgotten() -> None:
    known = KnownChunks(limit=3 * 1400)
    known.remember({"a": Known(hit("x" * 50)), "b": Known(hit("x" * 50)), "c": NOTHING})
    known.recall("a")
    known.remember({"d": NOTHING})
    found, unknown = known.recall("abcd")
    assert (sorted(found), unknown) == (["a", "c", "d"], ["b"])


def test_what_is_remembered_again_counts_once_and_a_vector_counts() -> None:
    vector = np.zeros(1000, dtype=np.float32)
    one, more = Known(hit("x" * 50)), Known(hit("x" * 50), vector)
    assert more.size == one.size + 4000
    assert Known(hit("\u0436" * 50)).size >= one.size + 50  # two bytes a letter
    known = KnownChunks(limit=3 * more.size)
    for _ in range(9):
        known.remember({"a": more, "b": one, "c": one})
    assert known.recall("abc")[1] == []


def test_a_chunk_without_a_record_is_remembered_as_such() -> None:
    known = KnownChunks()
    known.remember({"a": NOTHING})
    assert known.recall("ab") == ({"a": NOTHING}, ["b"])


def test_payloads_are_asked_for_at_once_while_many_points_are_new() -> None:
    known = KnownChunks()
    told = [known.many_unknown]
    for points in ("abcdefghi", "abcdefghij", "", "abcdefghijk"):
        known.recall(points)
        told.append(known.many_unknown)
        known.recall("xyz", telling=False)
        known.remember(dict.fromkeys("abcdefghi", NOTHING))
    assert told == [True, True, False, False, True]
