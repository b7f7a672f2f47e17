"""Searches a collection by meaning and by words at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from retrieval.catalog import Catalog
from retrieval.fuse import fuse_scores
from retrieval.index import Index
from retrieval.points import Vector, Where
from retrieval.records import Hit
from retrieval.terms import question_terms

_DEPTH = 100
"""Fewest chunks taken of each ranking: what is low in one may be high in the other."""


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

    The score of every hit is its cosine similarity, so scores need not fall from hit to hit.

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
    near = index.search(vector, limit=depth, where=where, via=via, catalog=catalog)
    worded = index.search(
        question_terms(question), limit=depth, where=where, via=via, catalog=catalog
    )
    hits = {hit.chunk.id: hit for hit in (*worded, *near)}
    ranked = fuse_scores(
        {hit.chunk.id: hit.score for hit in near},
        {hit.chunk.id: hit.score for hit in worded},
        term_floor=worded[-1].score if len(worded) == depth else 0.0,
    )
    return _with_cosines([hits[name] for name in ranked[:limit]], near, index, vector, catalog)


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
