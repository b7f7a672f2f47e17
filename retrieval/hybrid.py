"""Searches a collection by meaning and by words at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import ParamSpec, TypeVar

from retrieval.catalog import Catalog
from retrieval.diversity import part_repetitions
from retrieval.fuse import fuse_scores
from retrieval.index import Index
from retrieval.points import ScoredPoint, Vector, Where
from retrieval.records import Hit
from retrieval.terms import question_terms

P = ParamSpec("P")
T = TypeVar("T")
Ranking = Callable[[], list[ScoredPoint]]
"""A ranking under way: called, it waits for the stored chunks and returns them, best first."""

_DEPTH = 50
"""Fewest chunks taken of each ranking: what is low in one may be high in the other. With 100,
measures on three data sets differ by at most 0.01, and a search takes longer."""
_DEEPENING = 4
"""How much deeper both are taken, twice at most, where most of what they hold are repetitions."""
_KNOWN_BY = ("id", "document")


class _Beside:
    """Asks the store while the model embeds, or while another answer is read."""

    def __init__(self) -> None:
        self._begin()
        # A process that was forked from this one has none of its threads.
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=64, thread_name_prefix="windowfit-search")

    def ask(self, rank: Callable[P, T], *given: P.args, **named: P.kwargs) -> Callable[[], T]:
        """Begin, and return what waits for the answer."""
        return self._threads.submit(rank, *given, **named).result


_BESIDE = _Beside()


def begin_ranking_words(
    index: Index, question: str, *, limit: int, where: Where | None, catalog: Catalog
) -> Ranking:
    """Begin to rank by the terms of a question, which need no vector; for `search_hybrid`."""
    return _BESIDE.ask(_rank_words, index, question, max(limit, _DEPTH), where, catalog)


def search_hybrid(
    index: Index,
    question: str,
    vector: Vector,
    *,
    limit: int,
    where: Where | None = None,
    via: str = "question",
    catalog: Catalog | None = None,
    worded: Ranking | None = None,
) -> list[Hit]:
    """Return the chunks that bear on a question by its vector and by its terms, best first.

    Those that repeat a better one stand behind all others. The score of every hit is its cosine
    similarity, so scores need not fall from hit to hit.

    Args:
        vector: a unit row of `Embedder.embed`, of the question.
        limit, where, via, catalog: see `Index.search`.
        worded: what `begin_ranking_words` returned for the same question, filter and catalog, and
            no smaller a limit.

    Raises:
        InputError: the filter names a key that is not allowed.
    """
    if limit < 1:
        return []
    catalog = catalog or index.catalog()
    depth = max(limit, _DEPTH)
    deepest = depth * _DEEPENING**2
    by_terms = (worded() if worded else _rank_words(index, question, depth, where, catalog))[:depth]
    while True:
        cosines = _BESIDE.ask(_cosines, index, vector, by_terms, catalog)
        near = index.rank(vector, limit=depth, where=where, catalog=catalog)
        ranked = _fused(near, by_terms, cosines(), depth)
        distinct, repeated = _first(ranked, limit, via, catalog)
        # Copies of one text may take all places of both rankings; other texts stand below them.
        if 2 * len(distinct) >= limit or len(near) < depth or depth == deepest:
            return [*distinct, *repeated][:limit]
        depth *= _DEEPENING
        by_terms = _rank_words(index, question, depth, where, catalog)


def _rank_words(
    index: Index, question: str, depth: int, where: Where | None, catalog: Catalog
) -> list[ScoredPoint]:
    return index.rank(question_terms(question), limit=depth, where=where, catalog=catalog)


def _cosines(
    index: Index, vector: Vector, by_terms: Sequence[ScoredPoint], catalog: Catalog
) -> Mapping[str, float]:
    """Return the cosine similarity of stored chunks with a vector, by the id of the chunk."""
    if not by_terms:
        return {}
    chunks = [one.payload["id"] for one in by_terms]
    found = index.rank(vector, limit=len(chunks), chunks=chunks, catalog=catalog, fields=_KNOWN_BY)
    return {one.payload["id"]: one.score for one in found}


def _fused(
    near: Sequence[ScoredPoint],
    by_terms: Sequence[ScoredPoint],
    cosines: Mapping[str, float],
    depth: int,
) -> list[ScoredPoint]:
    """Return the chunks of both rankings in one, each with its cosine similarity."""
    nearest = {one.payload["id"]: one.score for one in near}
    cosines = {**cosines, **nearest}
    payloads = {one.payload["id"]: one for one in (*by_terms, *near)}
    ranked = fuse_scores(
        nearest,
        {one.payload["id"]: one.score for one in by_terms},
        term_floor=by_terms[-1].score if len(by_terms) == depth else 0.0,
    )
    # One that was removed meanwhile has none: who reads under this catalog is told by its check.
    return [replace(payloads[name], score=cosines[name]) for name in ranked if name in cosines]


def _first(
    ranked: Sequence[ScoredPoint], limit: int, via: str, catalog: Catalog
) -> tuple[list[Hit], list[Hit]]:
    """Return the first as hits, as many as hold `limit` texts if there are, and repetitions."""
    for size in (2 * limit, len(ranked)):
        found = (catalog.hit(one.payload, score=one.score, via=via) for one in ranked[:size])
        distinct, repeated = part_repetitions([hit for hit in found if hit is not None])
        if len(distinct) >= limit or size >= len(ranked):
            break
    return distinct, repeated
