"""Finds the chunks that hold a name word for word."""

from __future__ import annotations

from retrieval.catalog import Catalog
from retrieval.gather import holds
from retrieval.index import Index
from retrieval.points import Vector, Where
from retrieval.records import Hit

_LOOKED_THROUGH = 200
"""Hits of a dense search that are looked through for the name."""


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

    Only the chunks near the vector are looked through: a chunk that is about something else than
    the vector is missed.
    """
    hits = index.search(vector, limit=_LOOKED_THROUGH, where=where, via=via, catalog=catalog)
    return [hit for hit in hits if holds(hit.chunk.text, name)]
