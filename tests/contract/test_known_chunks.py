"""On every engine a reader that remembers chunks ranks as one does that reads all anew."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from chunking.document import Document
from chunking.split import Splitter
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.providers import fingerprint_of
from retrieval.ranking import RankedChunk
from retrieval.records import Hit
from retrieval.terms import Terms, question_terms
from retrieval.writer import IndexWriter
from tests.contract.workbench import Workbench

EMBEDDER = HashEmbedder(dimension=32)
SPLITTER = Splitter(EMBEDDER.count_tokens, size=24, limit=32)
WORDS = "river lake mountain valley harbour bridge forest meadow island glacier".split()
DOCUMENTS, ROUNDS = 80, 60


@pytest.fixture
def written(bench: Workbench) -> Index:
    """A collection of short texts, each with a direction of its own."""
    rng, directions = random.Random(5), np.random.default_rng(5)
    index = Index.create(bench.engine, bench.collection, fingerprint_of(EMBEDDER, SPLITTER))
    with IndexWriter(index, grace_seconds=0) as writer:
        for number in range(DOCUMENTS):
            text = f"{number}: " + " ".join(rng.choices(WORDS, k=6))
            document = Document(f"d{number}", text, f"Title {number}", f"d{number}.txt")
            chunks = SPLITTER.split(document)
            shape = (len(chunks), EMBEDDER.dimension)
            writer.write(document, chunks, directions.standard_normal(shape, dtype=np.float32))
    return index


def searches() -> list[dict[str, Any]]:
    """Return arguments of `Index.rank` of every kind, none twice."""
    rng, directions = random.Random(6), np.random.default_rng(6)
    made: list[dict[str, Any]] = []
    for number in range(ROUNDS):
        vector = directions.standard_normal(EMBEDDER.dimension, dtype=np.float32)
        vector *= rng.choice((1, 3)) / np.linalg.norm(vector)
        terms = question_terms(" ".join(rng.choices(WORDS, k=rng.randint(1, 3))))
        named = rng.sample(range(DOCUMENTS), 30)
        some = {"document": [f"d{place}" for place in named]}
        made.append(
            {
                "sought": terms if number % 6 == 5 else vector,
                "terms": terms if number % 6 < 4 else None,
                "where": some if number % 4 == 1 else None,
                "limit": rng.choice((1, 5, 12, 200)),
            }
        )
    return made


def told(ranked: list[RankedChunk]) -> list[tuple[str, Hit, float | None]]:
    return [(one.id, one.hit("x"), one.term_score and round(one.term_score, 4)) for one in ranked]


def test_a_reader_that_remembers_ranks_as_one_that_reads_all_anew(
    bench: Workbench, written: Index
) -> None:
    reader = Index.open(bench.engine, bench.collection)
    far = 0
    for search in searches() * 2:
        sought, terms, limit = search["sought"], search["terms"], search["limit"]
        fresh = written.rank(**search, catalog=Index.open(bench.engine, bench.collection).catalog())
        found = told(reader.rank(**search, catalog=reader.catalog()))
        scores = {name: hit.score for name, hit, _ in found}
        assert scores == pytest.approx({one.id: one.score for one in fresh}, abs=2e-6)
        assert [hit.chunk for _, hit, _ in found] == [one.found.chunk for one in fresh]
        assert [score for *_, score in found] == [score for *_, score in told(fresh)]
        far += terms is not None and len(found) > limit and not isinstance(sought, Terms)
    assert far > ROUNDS / 6
