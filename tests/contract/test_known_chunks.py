"""On every engine a reader that remembers chunks ranks as one does that reads all anew."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from retrieval.index import Index
from retrieval.records import Hit
from retrieval.terms import question_terms
from tests.contract.short_texts import EMBEDDER, WORDS, write_short_texts
from tests.contract.workbench import Workbench

DOCUMENTS, ROUNDS = 80, 60


@pytest.fixture
def written(bench: Workbench) -> None:
    """A collection of short texts, each with a direction of its own."""
    write_short_texts(bench.engine, bench.collection, documents=DOCUMENTS)


def searches() -> list[dict[str, Any]]:
    """Return searches of every kind, none twice."""
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


def ranked(reader: Index, search: dict[str, Any]) -> tuple[list[Hit], list[float]]:
    """Return all that a search finds, and the term scores of the best by terms."""
    sought, terms, limit = search["sought"], search["terms"], search["limit"]
    with reader.ranker(where=search["where"]) as ranker:
        if terms is None:
            return ranker.search(sought, limit=limit, via="x"), []
        ranking = ranker.rank(sought, terms, limit=limit)
        hits = ranker.read(ranking, [*ranking.points], "x")
        assert len(hits) == len(ranking.points)
        return hits, [round(score, 4) for score in ranking.worded.values()]


def test_a_reader_that_remembers_ranks_as_one_that_reads_all_anew(
    bench: Workbench, written: None
) -> None:
    del written
    reader = Index.open(bench.engine, bench.collection)
    far = 0
    for search in searches() * 2:
        hits, worded = ranked(reader, search)
        expected, also = ranked(Index.open(bench.engine, bench.collection), search)
        scores = [hit.score for hit in expected]
        assert [hit.score for hit in hits] == pytest.approx(scores, abs=2e-6)
        assert [hit.chunk for hit in hits] == [hit.chunk for hit in expected]
        assert worded == also
        far += len(hits) > search["limit"]
    assert far > ROUNDS / 6
