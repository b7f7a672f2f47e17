"""Ranks the chunks of one state of a collection, and reads those of them that are wanted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isnan
from typing import Any, Self

import numpy as np

from retrieval.catalog import Catalog
from retrieval.known import Known
from retrieval.points import PointStore, ScoredPoint, Vector, Where
from retrieval.records import DocumentRecord, Hit
from retrieval.scope import point_id, tenant_scope
from retrieval.terms import Terms

_PLACES = 6
"""Digits of a score: engines, and what is computed here, differ in the eighth."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Points that a store found for a question, and what was read of them so far, by their ids.

    Attributes:
        near: the scores of what is nearest to `sought`, best first.
        worded: the term scores of the best by terms beside a vector, best first.
        cosines: of what only terms found, as far as they are known.
        sent: the payloads that came with the scores.
        known: what was read; nothing of a point that was removed meanwhile.
    """

    sought: Vector | Terms
    near: Mapping[str, float] = field(default_factory=dict)
    worded: Mapping[str, float] = field(default_factory=dict)
    cosines: dict[str, float] = field(default_factory=dict)
    sent: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)

    @classmethod
    def of(cls, sought: Vector | Terms, found: Sequence[ScoredPoint]) -> Self:
        """Return the ranking of these; of equal scores the lower id is first."""
        worded = {one.id: one.term_score for one in found if one.term_score is not None}
        return cls(
            sought,
            _best_first({one.id: round(one.score, _PLACES) for one in found if not one.far}),
            _best_first(worded),
            {
                one.id: round(one.score, _PLACES)
                for one in found
                if one.far and not isnan(one.score)
            },
            {one.id: one.payload for one in found if one.payload},
        )

    @property
    def points(self) -> Collection[str]:
        """The ids of all points, the nearest first."""
        return dict.fromkeys((*self.near, *self.worded))

    def hit(self, point: str, via: str) -> Hit | None:
        """Return a point that was read as a hit; None where it is of no chunk to be seen."""
        known = self.known.get(point)
        score = self.near.get(point, self.cosines.get(point))
        if known is None or known.hit is None or score is None:
            return None
        return known.hit.again(score=score, via=via)

    def limited(self, points: Collection[str], limit: int) -> Ranking:
        """Return the ranking of these points alone, so many nearest and so many best by terms."""
        near = [point for point in self.near if point in points]
        worded = [point for point in self.worded if point in points][:limit]
        further = {point: self.near[point] for point in near[limit:]}
        return replace(
            self,
            near={point: self.near[point] for point in near[:limit]},
            worded={point: self.worded[point] for point in worded},
            cosines=self.cosines | further,
        )


@dataclass(frozen=True, slots=True)
class Ranker:
    """Ranks the chunks that one state of a collection names, see `Index.ranker`.

    Attributes:
        scope: the filter of every request; None where no document passes.
    """

    points: PointStore
    catalog: Catalog
    scope: Where | None

    @classmethod
    def of(cls, points: PointStore, catalog: Catalog, where: Where | None) -> Self:
        """Return the ranker of the documents that pass a filter.

        Raises:
            InputError: the filter names a key that is not allowed.
        """
        # Nothing but chunks has vectors and terms, and a condition more takes a third of the time.
        if not where:
            return cls(points, catalog, tenant_scope())
        passing = catalog.passing(where)
        return cls(points, catalog, {**tenant_scope(), **within(passing)} if passing else None)

    def search(
        self,
        sought: Vector | Terms,
        *,
        limit: int,
        chunks: Sequence[str] | None = None,
        via: str,
    ) -> list[Hit]:
        """Return the chunks nearest to a vector, or those that share terms; see `Index.search`."""
        ranking = self._rank_visible(sought, limit, chunks=chunks)
        return [hit for point in ranking.near if (hit := ranking.hit(point, via))]

    def rank(self, vector: Vector, terms: Terms, *, limit: int, sure: bool = False) -> Ranking:
        """Return the nearest points and the best by terms, so many of each.

        Where the last run came to its end, what is stored is visible, and nothing is read yet. In
        the seconds until a catalog shows that another run began, that run may have stored more:
        this may then be among the points, and their order is that of all. With `sure`, and where
        the last run did not end, all is read, and what is not visible takes nothing's place.
        """
        if sure or not self.catalog.swept:
            return self._rank_visible(vector, limit, terms=terms)
        return self._rank(vector, limit, terms=terms)

    def read(self, ranking: Ranking, points: Sequence[str], via: str) -> list[Hit]:
        """Return points of a ranking as hits, without those that are of no chunk to be seen."""
        self._read(ranking, points)
        return [hit for point in points if (hit := ranking.hit(point, via))]

    def _rank(
        self,
        sought: Vector | Terms,
        limit: int,
        *,
        terms: Terms | None = None,
        chunks: Sequence[str] | None = None,
    ) -> Ranking:
        if self.scope is None:
            return Ranking(sought)
        ids = None if chunks is None else [point_id("chunk", chunk) for chunk in chunks]
        bare = not self.catalog.known.many_unknown
        found = self.points.query(
            sought, limit=limit, where=self.scope, ids=ids, terms=terms, bare=bare
        )
        return Ranking.of(sought, found)

    def _rank_visible(
        self,
        sought: Vector | Terms,
        limit: int,
        *,
        terms: Terms | None = None,
        chunks: Sequence[str] | None = None,
    ) -> Ranking:
        asked = limit
        while True:
            ranking = self._rank(sought, asked, terms=terms, chunks=chunks)
            self._read(ranking, [*ranking.points])
            visible = {point for point in ranking.points if ranking.hit(point, "")}
            # Versions that are not visible may take some of the places.
            if all(
                len(ranked) < asked or len(visible.intersection(ranked)) >= limit
                for ranked in (ranking.near, ranking.worded)
            ):
                return ranking.limited(visible, limit)
            asked *= 2

    def _read(self, ranking: Ranking, points: Sequence[str]) -> None:
        """Add to a ranking what is remembered of these points, and of the others what is stored."""
        if self.scope is None:
            return
        wanted = [point for point in points if point not in ranking.known]
        # What a search reads first says how much is known, and not the few that it reads then.
        known, unknown = self.catalog.known.recall(wanted, telling=not ranking.known)
        new = {one: self._known(ranking.sent[one]) for one in unknown if one in ranking.sent}
        scored = ranking.near.keys() | ranking.cosines.keys()
        far = [one for one in wanted if one not in scored]
        lacking = [one for one in far if one in known and known[one].vector is None]
        lacking += [one for one in unknown if one not in new]
        if lacking:
            vectors = not set(lacking).isdisjoint(far)
            for point in self.points.scroll(where=self.scope, ids=lacking, vectors=vectors):
                new[point.id] = self._known(point.payload, point.vector)
        self.catalog.known.remember(new)
        ranking.known.update(known | new)
        ranking.cosines.update(_cosines(ranking, far))

    def _known(self, payload: Mapping[str, Any], vector: Vector | None = None) -> Known:
        return Known(self.catalog.hit(payload, score=0.0, via=""), vector)


def within(records: Sequence[DocumentRecord]) -> dict[str, Sequence[str]]:
    """Return the filter of what belongs to these documents."""
    return {"document": [record.id for record in records]}


def _best_first(scores: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(scores.items(), key=lambda item: (-item[1], item[0])))


def _cosines(ranking: Ranking, points: Sequence[str]) -> Mapping[str, float]:
    """Return the cosines of points whose vectors were read."""
    sought, read = ranking.sought, ranking.known
    rows = {one: row for one in points if one in read and (row := read[one].vector) is not None}
    if not rows or isinstance(sought, Terms):
        return {}
    cosines = np.stack([*rows.values()]) @ (sought / (np.linalg.norm(sought) or 1))
    return dict(zip(rows, [round(cosine, _PLACES) for cosine in cosines.tolist()], strict=True))
