"""Ranks the stored chunks that readers see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np

from retrieval.catalog import Catalog
from retrieval.known import Known
from retrieval.points import Point, PointStore, ScoredPoint, Vector, Where
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
        bare = not catalog.known.mostly_unknown
        scored = points.query(sought, limit=asked, where=scope, ids=ids, terms=terms, bare=bare)
        scored, hits = _settled(points, sought, scored, catalog, scope, bare=bare)
        rankings = [scored[:asked]]
        if terms is not None:
            worded = [one for one in scored if one.term_score is not None]
            rankings.append(sorted(worded, key=lambda one: -(one.term_score or 0)))
        seen = [[one for one in ranked if hits[one.id]] for ranked in rankings]
        # Versions that are not visible may take some of the places.
        if all(
            len(visible) >= limit or len(ranked) < asked
            for visible, ranked in zip(seen, rankings, strict=True)
        ):
            wanted = {one.id for visible in seen for one in visible[:limit]}
            return [
                Ranked(hit, one.score, one.term_score)
                for one in scored
                if one.id in wanted and (hit := hits[one.id])
            ]
        asked *= 2


def _settled(
    points: PointStore,
    sought: Vector | Terms,
    scored: Sequence[ScoredPoint],
    catalog: Catalog,
    scope: Where,
    *,
    bare: bool,
) -> tuple[list[ScoredPoint], Mapping[str, Hit | None]]:
    """Return the points found with every cosine, and their chunks, None where no record names one.

    While most points are new, the store sends all that is needed at once; else what is not
    remembered is read by its id. A point that is removed between the two is left out.
    """
    known, unknown = catalog.known.recall(one.id for one in scored)
    sent: Iterable[ScoredPoint | Point] = scored
    if bare:
        far = [one.id for one in scored if isnan(one.score)]
        lacking = [name for name in far if name in known and known[name].vector is None]
        vectors = bool(lacking) or not set(unknown).isdisjoint(far)
        wanted = [*unknown, *lacking]
        sent = points.scroll(where=scope, ids=wanted, vectors=vectors) if wanted else ()
    new = {one.id: _known(one, catalog) for one in sent if bare or one.id not in known}
    catalog.known.remember(new)
    known |= new
    if bare and far and not isinstance(sought, Terms):
        scored = [*scored[: -len(far)], *_with_cosines(scored[-len(far) :], sought, known)]
    hits = {name: one.hit for name, one in known.items()}
    there = [one for one in scored if one.id in hits]
    return sorted(there, key=lambda one: (-one.score, one.id)), hits


def _known(sent: ScoredPoint | Point, catalog: Catalog) -> Known:
    hit = catalog.hit(sent.payload, score=0.0, via="")
    return Known(hit, sent.vector if isinstance(sent, Point) else None)


def _with_cosines(
    far: Sequence[ScoredPoint], sought: Vector, known: Mapping[str, Known]
) -> list[ScoredPoint]:
    """Return those of the points that have a vector, with their cosines."""
    held = [(one, known[one.id].vector) for one in far if one.id in known]
    rows = [(one, vector) for one, vector in held if vector is not None]
    if not rows:
        return []
    direction = sought / (np.linalg.norm(sought) or 1)
    cosines = np.stack([vector for _, vector in rows]) @ direction
    return [
        ScoredPoint(one.id, cosine, {}, one.term_score)
        for (one, _), cosine in zip(rows, cosines.tolist(), strict=True)
    ]
