"""Ranks the stored chunks that readers see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retrieval.catalog import Catalog
from retrieval.points import PointStore, ScoredPoint, Vector, Where
from retrieval.records import DocumentRecord, Hit
from retrieval.scope import point_id, tenant_scope
from retrieval.terms import Terms


@dataclass(frozen=True, slots=True)
class Ranked:
    """A chunk in a ranking; `score` and `term_score` are those of `ScoredPoint`."""

    known: Hit
    score: float
    term_score: float | None

    @property
    def id(self) -> str:
        """The id of the chunk."""
        return self.known.chunk.id

    def hit(self, via: str) -> Hit:
        """Return the chunk as a hit of this score, brought by this step."""
        known = self.known
        return Hit(known.chunk, self.score, via, known.gap, known.sketch, known.origin)


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
) -> list[Ranked]:
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
        at_once = catalog.known.mostly_unknown
        scored = points.query(
            sought, limit=asked, where=scope, ids=ids, terms=terms, payloads=at_once
        )
        known = _read(points, sought, scored, catalog, scope)
        rankings = [scored[:asked]]
        if terms is not None:
            worded = [one for one in scored if one.term_score is not None]
            rankings.append(sorted(worded, key=lambda one: -(one.term_score or 0)))
        seen = [[one for one in ranked if known.get(one.id)] for ranked in rankings]
        # Versions that are not visible may take some of the places.
        if all(
            len(visible) >= limit or len(ranked) < asked
            for visible, ranked in zip(seen, rankings, strict=True)
        ):
            wanted = {one.id for visible in seen for one in visible[:limit]}
            return [
                Ranked(hit, one.score, one.term_score)
                for one in scored
                if one.id in wanted and (hit := known[one.id])
            ]
        asked *= 2


def _read(
    points: PointStore,
    sought: Vector | Terms,
    scored: Sequence[ScoredPoint],
    catalog: Catalog,
    scope: Where,
) -> Mapping[str, Hit | None]:
    """Return the chunks of the points found, None for those that no record names.

    The store sends payloads at once while most of them are new, and else those alone that are, by a
    second query. A point that is removed between the two is missing here.
    """
    known, unknown = catalog.known.recall(one.id for one in scored)
    if unknown:
        if not any(one.payload for one in scored):
            scored = points.query(sought, limit=len(unknown), where=scope, ids=unknown)
        new = set(unknown)
        read = {
            one.id: catalog.hit(one.payload, score=one.score, via="")
            for one in scored
            if one.id in new
        }
        catalog.known.remember(read)
        known |= read
    return known
