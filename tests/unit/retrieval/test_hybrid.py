"""A hybrid search finds what is meant and what is written."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from chunking.document import Document
from chunking.errors import InputError
from chunking.split import Splitter
from retrieval.embed import HashEmbedder
from retrieval.fuse import fuse_scores
from retrieval.hybrid import search_hybrid
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.providers import fingerprint_of
from retrieval.records import Hit
from retrieval.terms import question_terms
from retrieval.writer import IndexWriter

EMBEDDER = HashEmbedder(dimension=64)
SPLITTER = Splitter(EMBEDDER.count_tokens, size=24, limit=32)
COUNT = 150


def made(texts: Iterable[str]) -> Index:
    index = Index.create(MemoryEngine(), "c", fingerprint_of(EMBEDDER, SPLITTER))
    with IndexWriter(index, grace_seconds=0) as writer:
        for number, text in enumerate(texts):
            document = Document(f"d{number}", text, f"River {number}", f"d{number}.txt")
            chunks = SPLITTER.split(document)
            writer.write(document, chunks, EMBEDDER.embed([c.embedded_text for c in chunks]))
    return index


@pytest.fixture(scope="module")
def index() -> Index:
    return made(f"The river number {number} of many is told about here." for number in range(COUNT))


def search(
    index: Index, question: str, meaning: str, *, limit: int = 5, **where: list[str]
) -> list[Hit]:
    [vector] = EMBEDDER.embed([meaning])
    return search_hybrid(index, question, vector, limit=limit, where=where, via="x")


def test_what_only_the_words_find_comes_with_its_cosine_similarity(index: Index) -> None:
    # The vector says nothing of number 149, and it is not among the nearest hundred.
    hits = search(index, "149", "zebra quagga")
    [vector] = EMBEDDER.embed(["zebra quagga"])
    cosines = {hit.chunk.id: hit.score for hit in index.search(vector, limit=COUNT)}
    assert "d149" in [hit.chunk.document for hit in hits[:2]]
    assert [hit.score for hit in hits] == pytest.approx([cosines[hit.chunk.id] for hit in hits])
    assert {hit.via for hit in hits} == {"x"}


def test_what_fills_the_ranking_by_words_counts_from_its_least() -> None:
    # Half of all share a word, so the best fifty by words are no more telling than others below.
    words = ["delta" if number % 2 else "spring" for number in range(COUNT)]
    index = made([f"The {word} number {n} is told about." for n, word in enumerate(words)])
    question, meaning = "delta 148", "The spring number 77 is told about"
    [vector] = EMBEDDER.embed([meaning])
    near = {hit.chunk.id: hit.score for hit in index.search(vector, limit=50)}
    worded = {hit.chunk.id: hit.score for hit in index.search(question_terms(question), limit=50)}
    floors = 0.0, min(worded.values())
    unlike, expected = (fuse_scores(near, worded, term_floor=floor)[:40] for floor in floors)
    hits = search(index, question, meaning, limit=40)
    assert [hit.chunk.id for hit in hits] == expected != unlike


def test_what_only_the_vector_finds_is_found_too(index: Index) -> None:
    hits = search(index, "zebra", "river number 77 of many")
    [vector] = EMBEDDER.embed(["river number 77 of many"])
    assert hits == index.search(vector, limit=5, via="x")


def test_the_filter_holds_for_both(index: Index) -> None:
    hits = search(index, "river number 149", "river number 77", document=["d1", "d2"])
    assert {hit.chunk.document for hit in hits} == {"d1", "d2"}
    with pytest.raises(InputError, match="tenant"):
        search(index, "river", "river", tenant=["another"])


def test_there_are_never_more_hits_than_the_limit(index: Index) -> None:
    assert len(search(index, "river number 149", "river")) == 5
    assert search(index, "river", "river", limit=0) == []
    assert len({hit.chunk.id for hit in search(index, "river", "river", limit=120)}) == 120


def test_terms_alone_rank_by_how_rare_a_word_is(index: Index) -> None:
    first, *others = index.search(question_terms("the rivers and number 77"), limit=9)
    assert first.chunk.document == "d77"
    assert all(first.score > hit.score for hit in others)
