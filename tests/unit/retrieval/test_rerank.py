"""The first hits of a search in a reranker's order, and which reranker is used."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from chunking.document import Chunk, Document
from chunking.split import Splitter
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.providers import fingerprint_of
from retrieval.records import Hit
from retrieval.rerank import QUESTION_LIMIT, RERANKED, Rerankers, WordReranker, rerank
from retrieval.search import Searcher
from retrieval.writer import IndexWriter

EMBEDDER = HashEmbedder(dimension=128)


class Backwards:
    """Scores the last text best, and keeps how many it was given."""

    name = "backwards"

    def __init__(self) -> None:
        self.counts: list[int] = []

    def score(self, question: str, texts: Sequence[str]) -> list[float]:
        del question
        self.counts.append(len(texts))
        return [float(place) for place in range(len(texts))]


def hit(number: int, text: str = "text", via: str = "question") -> Hit:
    chunk = Chunk(f"c{number}", "d", "Title", (), 0, len(text), text, number)
    return Hit(chunk, 1 - number / 100, via)


def names(hits: Sequence[Hit]) -> list[str]:
    return [one.chunk.id for one in hits]


def test_the_first_hits_are_ordered_anew_and_say_so_and_the_rest_stay() -> None:
    hits = [hit(number) for number in range(RERANKED + 2)]
    found = rerank(Backwards(), "question", hits)
    assert names(found) == names([*hits[:RERANKED][::-1], *hits[RERANKED:]])
    vias = [one.via for one in found]
    assert vias == ["question > reranked"] * RERANKED + ["question"] * 2


def test_scores_stay_cosine_similarities() -> None:
    hits = [hit(1), hit(2)]
    assert [one.score for one in rerank(Backwards(), "q", hits)] == [0.98, 0.99]


def test_equal_scores_keep_their_order() -> None:
    hits = [hit(number, text="nothing of it") for number in range(5)]
    assert names(rerank(WordReranker(), "capital", hits)) == names(hits)


def test_the_reranker_reads_headings_too() -> None:
    plain, headed = hit(1, "Lima"), hit(2, "Lima")
    chunk = Chunk("c2", "d", "Peru", ("Capital",), 0, 4, "Lima", 2)
    found = rerank(WordReranker(), "capital of Peru", [plain, Hit(chunk, headed.score)])
    assert names(found) == ["c2", "c1"]


@pytest.mark.parametrize(("length", "asked"), [(QUESTION_LIMIT, 1), (QUESTION_LIMIT + 1, 0)])
def test_a_question_that_leaves_no_room_for_a_text_is_not_reranked(length: int, asked: int) -> None:
    backwards = Backwards()
    hits = [hit(1), hit(2)]
    found = rerank(backwards, "q" * length, hits)
    assert len(backwards.counts) == asked
    assert (found == hits) is not bool(asked)


def test_without_hits_no_model_is_asked() -> None:
    backwards = Backwards()
    assert rerank(backwards, "question", []) == []
    assert backwards.counts == []


@pytest.fixture
def index() -> Index:
    splitter = Splitter(EMBEDDER.count_tokens, size=24, limit=32)
    index = Index.create(MemoryEngine(), "small", fingerprint_of(EMBEDDER, splitter))
    with IndexWriter(index, grace_seconds=0) as writer:
        for number in range(RERANKED + 20):
            text = f"Copper is mined in province {number} of the country."
            document = Document(f"d{number}", text, f"d{number}", f"d{number}.md")
            chunks = splitter.split(document)
            writer.write(document, chunks, EMBEDDER.embed([one.embedded_text for one in chunks]))
    return index


def test_a_search_reranks_deeper_than_it_returns(index: Index) -> None:
    plain = Searcher(index, EMBEDDER).search("Where is copper mined?", limit=RERANKED)
    backwards = Backwards()
    found = Searcher(index, EMBEDDER, backwards).search("Where is copper mined?", limit=3)
    assert backwards.counts == [RERANKED]
    assert names(found) == names(plain[::-1][:3])
    assert {one.via for one in found} == {"question > reranked"}


def test_a_search_of_many_hits_reranks_no_more_than_the_limit(index: Index) -> None:
    backwards = Backwards()
    found = Searcher(index, EMBEDDER, backwards).search("Where is copper mined?", limit=50)
    assert backwards.counts == [RERANKED]
    assert len(found) == 50
    assert [one.via for one in found].count("question > reranked") == RERANKED


def test_without_a_reranker_nothing_claims_one(index: Index) -> None:
    found = Searcher(index, EMBEDDER).search("Where is copper mined?", limit=5)
    assert {one.via for one in found} == {"question"}


def test_a_profile_overrules_the_settings_in_both_directions() -> None:
    words = WordReranker()
    rerankers = Rerankers("words", {"words": words})
    assert rerankers.choose(None) is words
    assert rerankers.choose("none") is None
    assert Rerankers("none", {"words": words}).choose("words") is words
    assert Rerankers().choose(None) is None
