"""Ranks the stored chunks that readers see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from retrieval.catalog import Catalog
from retrieval.points import PointStore, ScoredPoint, Vector, Where
from retrieval.records import DocumentRecord
from retrieval.scope import point_id, scope_of
from retrieval.terms import Terms


def within(records: Sequence[DocumentRecord]) -> dict[str, Sequence[str]]:
    """Return the filter of what belongs to these documents."""
    return {"document": [record.id for record in records]}


def rank_visible(
    points: PointStore,
    sought: Vector | Terms,
    *,
    limit: int,
    where: Where | None,
    chunks: Sequence[str] | None,
    catalog: Catalog,
    fields: Sequence[str] | None,
) -> list[ScoredPoint]:
    """Return the stored chunks that a catalog knows, best first; see `Index.rank`."""
    scope: Mapping[str, Any] = scope_of("chunk")
    if where:
        passing = catalog.passing(where)
        if not passing:
            return []
        scope = {**scope, **within(passing)}
    ids = None if chunks is None else [point_id("chunk", chunk) for chunk in chunks]
    asked = limit
    while True:
        scored = points.query(sought, limit=asked, where=scope, ids=ids, fields=fields)
        seen = [one for one in scored if catalog.ordinal(one.payload) is not None]
        if len(seen) >= limit or len(scored) < asked:
            return seen[:limit]
        # Versions that are not visible took some of the places.
        asked *= 2
