"""Finds the chunks that hold a name word for word."""

from __future__ import annotations

from retrieval.catalog import Catalog
from retrieval.gather import holds
from retrieval.index import Index
from retrieval.points import Vector, Where
from retrieval.records import Hit
from retrieval.terms import question_terms

_LOOKED_THROUGH = 200
"""Chunks with the words of a name that are looked through for the name itself."""


def find_mentions(
    index: Index,
    name: str,
    vector: Vector,
    *,
    where: Where | None = None,
    catalog: Catalog,
    via: str = "question",
) -> list[Hit]:
    """Return the chunks with a name in their text word for word, those nearest to a vector first.

    Only the chunks in which the words of the name weigh most are looked through.
    """
    worded = index.search(
        question_terms(name), limit=_LOOKED_THROUGH, where=where, via=via, catalog=catalog
    )
    holding = [hit.chunk for hit in worded if holds(hit.chunk.text, name)]
    if not holding:
        return []
    return index.search(
        vector,
        limit=len(holding),
        chunks=[chunk.id for chunk in holding],
        via=via,
        catalog=catalog,
    )
