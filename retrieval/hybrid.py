"""Searches a collection by meaning and by words at once."""

from __future__ import annotations

from collections.abc import Sequence

from retrieval.catalog import Catalog
from retrieval.diversity import part_repetitions
from retrieval.fuse import fuse_scores
from retrieval.index import Index
from retrieval.points import Vector, Where
from retrieval.ranking import Ranker, Ranking
from retrieval.records import Hit
from retrieval.terms import question_terms

_DEPTH = 50
"""Fewest chunks taken of each ranking: what is low in one may be high in the other. With 100,
measures on three data sets differ by at most 0.01, and a search takes longer; with 40, SciFact's
nDCG@10 is 0.006 lower."""
_SPARE_SHARE = 4
"""One in so many hits more than wanted is read where some of the first are repetitions."""
_DEEPENING = 4
"""How much deeper both are taken, twice at most, where most of what they hold are repetitions."""


def search_hybrid(
    index: Index,
    question: str,
    vector: Vector,
    *,
    limit: int,
    where: Where | None = None,
    via: str = "question",
    catalog: Catalog | None = None,
) -> list[Hit]:
    """Return the chunks that bear on a question by its vector and by its terms, best first.

    Those that repeat a better one stand behind all others. The score of every hit is its cosine
    similarity, so scores need not fall from hit to hit; of the nearest ones it is that of their
    quantized vectors where these settle a search, see `QdrantEngine`.

    Args:
        vector: a unit row of `Embedder.embed`, of the question.
        limit, where, via, catalog: see `Index.search`.

    Raises:
        InputError: the filter names a key that is not allowed.
        CollectionChanged: the collection was moved meanwhile.
    """
    if limit < 1:
        return []
    terms = question_terms(question)
    depth = max(limit, _DEPTH)
    deepest, sure = depth * _DEEPENING**2, False
    with index.ranker(where=where, catalog=catalog) as ranker:
        while True:
            ranking = ranker.rank(vector, terms, limit=depth, sure=sure)
            fused = _fused(ranking, depth)
            read, distinct, repeated = _first(ranker, ranking, fused, limit, via)
            if len(distinct) + len(repeated) < read and not sure:
                sure = True  # a chunk to be seen may stand behind what is none
                continue
            # Copies of one text may take all places of both rankings; other texts stand below them.
            if 2 * len(distinct) >= limit or len(ranking.points) < depth or depth == deepest:
                return [*distinct, *repeated][:limit]
            depth *= _DEEPENING


def _fused(ranking: Ranking, depth: int) -> list[str]:
    """Return the nearest points and the best by terms, each so many, in one ranking."""
    least = min(ranking.worded.values(), default=0.0)
    floor = least if len(ranking.worded) == depth else 0.0
    return fuse_scores(ranking.near, ranking.worded, term_floor=floor)


def _first(
    ranker: Ranker, ranking: Ranking, fused: Sequence[str], limit: int, via: str
) -> tuple[int, list[Hit], list[Hit]]:
    """Return how many points were read, their hits, and those hits that repeat a better one.

    So many are read as hold `limit` texts, if there are.
    """
    for size in (limit, limit + max(1, limit // _SPARE_SHARE), 2 * limit, len(fused)):
        first = fused[:size]
        distinct, repeated = part_repetitions(ranker.read(ranking, first, via))
        if len(distinct) >= limit or size >= len(fused):
            break
    return len(first), distinct, repeated
