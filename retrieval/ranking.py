"""Ranks the stored chunks that readers see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import Any

import numpy as np

from retrieval.catalog import Catalog
from retrieval.known import Known
from retrieval.points import Point, PointStore, ScoredPoint, Vector, Where
from retrieval.records import DocumentRecord, Hit
from retrieval.scope import point_id, tenant_scope
from retrieval.terms import Terms

_PLACES = 6
_NOWHERE = -2.0
"""Below every cosine."""


@dataclass(frozen=True, slots=True)
class RankedChunk:
    """A chunk in a ranking; `score` and `term_score` are those of `ScoredPoint`."""

    found: Hit
    score: float
    term_score: float | None

    @property
    def id(self) -> str:
        """The id of the chunk."""
        return self.found.chunk.id

    def hit(self, via: str) -> Hit:
        """Return the chunk as a hit of this score, brought by this step."""
        return replace(self.found, score=self.score, via=via)


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
) -> list[RankedChunk]:
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
        bare = not catalog.known.many_unknown
        found = points.query(sought, limit=asked, where=scope, ids=ids, terms=terms, bare=bare)
        known = _read(points, found, catalog, scope, bare=bare)
        scored = _with_cosines(found, sought, known)
        rankings = [scored[:asked]]
        if terms is not None:
            worded = [one for one in scored if one.term_score is not None]
            rankings.append(sorted(worded, key=lambda one: -(one.term_score or 0)))
        hits = {name: one.hit for name, one in known.items()}
        seen = [[one for one in ranked if hits.get(one.id)] for ranked in rankings]
        # Versions that are not visible may take some of the places.
        if all(
            len(visible) >= limit or len(ranked) < asked
            for visible, ranked in zip(seen, rankings, strict=True)
        ):
            wanted = {one.id for visible in seen for one in visible[:limit]}
            return [
                RankedChunk(hit, one.score, one.term_score)
                for one in scored
                if one.id in wanted and one.score > _NOWHERE and (hit := hits[one.id])
            ]
        asked *= 2


def _read(
    points: PointStore,
    found: Sequence[ScoredPoint],
    catalog: Catalog,
    scope: Where,
    *,
    bare: bool,
) -> Mapping[str, Known]:
    """Return the chunks of the points found, and the vectors of those that have no cosine.

    While many points are new, the store sent all that is needed at once; else what is not
    remembered is read by its id. A point that was removed meanwhile is missing.
    """
    known, unknown = catalog.known.recall(one.id for one in found)
    sent: Iterable[ScoredPoint | Point] = (one for one in found if one.id not in known)
    if bare:
        far = [one.id for one in found if isnan(one.score)]
        lacking = [name for name in far if name in known and known[name].vector is None]
        vectors = bool(lacking) or not set(unknown).isdisjoint(far)
        wanted = [*unknown, *lacking]
        sent = points.scroll(where=scope, ids=wanted, vectors=vectors) if wanted else ()
    new = {
        one.id: Known(
            catalog.hit(one.payload, score=0.0, via=""),
            one.vector if isinstance(one, Point) else None,
        )
        for one in sent
    }
    catalog.known.remember(new)
    return known | new


def _with_cosines(
    found: Sequence[ScoredPoint], sought: Vector | Terms, known: Mapping[str, Known]
) -> list[ScoredPoint]:
    """Return the points best first, with the cosines that the store left open.

    Engines and this differ in the eighth decimal of a cosine, so equal is what is equal in six. A
    point without a vector stands last.
    """
    far = (one.id for one in found if isnan(one.score) and one.id in known)
    rows = {name: vector for name in far if (vector := known[name].vector) is not None}
    cosines: dict[str, float] = {}
    if rows and not isinstance(sought, Terms):
        direction = sought / (np.linalg.norm(sought) or 1)
        cosines = dict(zip(rows, (np.stack([*rows.values()]) @ direction).tolist(), strict=True))
    settled = [
        ScoredPoint(
            one.id,
            round(cosines.get(one.id, _NOWHERE) if isnan(one.score) else one.score, _PLACES),
            one.payload,
            one.term_score,
        )
        for one in found
    ]
    return sorted(settled, key=lambda one: (-one.score, one.id))
