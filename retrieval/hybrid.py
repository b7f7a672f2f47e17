"""Searches a collection by meaning and by words at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from retrieval.catalog import Catalog
from retrieval.diversity import part_repetitions
from retrieval.fuse import fuse_scores
from retrieval.index import Index
from retrieval.points import Vector, Where
from retrieval.records import Hit
from retrieval.terms import question_terms

_DEPTH = 100
"""Fewest chunks taken of each ranking: what is low in one may be high in the other."""
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
    similarity, so scores need not fall from hit to hit.

    Args:
        vector: a unit row of `Embedder.embed`, of the question.
        limit, where, via, catalog: see `Index.search`.

    Raises:
        InputError: the filter names a key that is not allowed.
    """
    if limit < 1:
        return []
    catalog = catalog or index.catalog()
    depth = max(limit, _DEPTH)
    deepest = depth * _DEEPENING**2
    terms = question_terms(question)
    while True:
        near = index.search(vector, limit=depth, where=where, via=via, catalog=catalog)
        worded = index.search(terms, limit=depth, where=where, via=via, catalog=catalog)
        distinct, repeated = part_repetitions(_fuse(near, worded, depth))
        # Copies of one text may take all places of both rankings; other texts stand below them.
        if 2 * len(distinct) >= limit or len(near) < depth or depth == deepest:
            break
        depth *= _DEEPENING
    return _with_cosines([*distinct, *repeated][:limit], near, index, vector, catalog)


def _fuse(near: Sequence[Hit], worded: Sequence[Hit], depth: int) -> list[Hit]:
    """Return the nearest and the best by terms, `depth` of each at most, in one ranking."""
    hits = {hit.chunk.id: hit for hit in (*worded, *near)}
    ranked = fuse_scores(
        {hit.chunk.id: hit.score for hit in near},
        {hit.chunk.id: hit.score for hit in worded},
        term_floor=worded[-1].score if len(worded) == depth else 0.0,
    )
    return [hits[name] for name in ranked]


def _with_cosines(
    ranked: Sequence[Hit], near: Sequence[Hit], index: Index, vector: Vector, catalog: Catalog
) -> list[Hit]:
    """Return hits with their cosine similarity, asking for those that only words have found."""
    cosines = {hit.chunk.id: hit.score for hit in near}
    unknown = [hit.chunk for hit in ranked if hit.chunk.id not in cosines]
    if unknown:
        found = index.search(
            vector,
            limit=len(unknown),
            where={"document": sorted({chunk.document for chunk in unknown})},
            chunks=[chunk.id for chunk in unknown],
            catalog=catalog,
        )
        cosines |= {hit.chunk.id: hit.score for hit in found}
    # One that was removed meanwhile has none: who reads under this catalog is told by its check.
    return [replace(hit, score=cosines[hit.chunk.id]) for hit in ranked if hit.chunk.id in cosines]
