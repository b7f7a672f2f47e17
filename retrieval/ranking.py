"""Ranks the stored chunks that readers see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from retrieval.catalog import Catalog
from retrieval.points import PointStore, ScoredPoint, Vector, Where
from retrieval.records import DocumentRecord
from retrieval.scope import point_id, tenant_scope
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
    terms: Terms | None,
    catalog: Catalog,
) -> list[ScoredPoint]:
    """Return the stored chunks that a catalog knows, best first; see `Index.rank`."""
    # Nothing but chunks has vectors and terms, and a condition more takes a third of the time.
    scope: Mapping[str, Any] = tenant_scope()
    if where:
        passing = catalog.passing(where)
        if not passing:
            return []
        scope = {**scope, **within(passing)}
    ids = None if chunks is None else [point_id("chunk", chunk) for chunk in chunks]
    asked = limit
    while True:
        scored = points.query(sought, limit=asked, where=scope, ids=ids, terms=terms)
        rankings = [scored[:asked]]
        if terms is not None:
            worded = [one for one in scored if one.term_score is not None]
            rankings.append(sorted(worded, key=lambda one: -(one.term_score or 0)))
        known = {one.id for one in scored if catalog.ordinal(one.payload) is not None}
        seen = [[one for one in ranked if one.id in known] for ranked in rankings]
        # Versions that are not visible may take some of the places.
        if all(
            len(visible) >= limit or len(ranked) < asked
            for visible, ranked in zip(seen, rankings, strict=True)
        ):
            wanted = {one.id for visible in seen for one in visible[:limit]}
            return [one for one in scored if one.id in wanted]
        asked *= 2
