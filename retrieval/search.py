"""Finds the chunks that bear on a question: over the collection, and in the documents it names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from retrieval.aspects import find_aspects
from retrieval.catalog import Catalog
from retrieval.embed import Embedder
from retrieval.hybrid import search_hybrid
from retrieval.index import Index
from retrieval.points import Vector, Where
from retrieval.records import DocumentRecord, Hit

_NAMED_LIMIT = 8
"""Most documents that one question may name for a search of their own."""
_INSIDE_LIMIT = 200
"""Chunks ranked inside a named document, enough to hold every section of most documents."""


@dataclass(slots=True)
class Searcher:
    """Searches one collection; thread-safe."""

    index: Index
    embedder: Embedder
    _headings: dict[str, tuple[tuple[str, ...], Vector]] = field(default_factory=dict)

    def catalog(self) -> Catalog:
        """Return the collection's documents as of now, see `Index.catalog`."""
        return self.index.catalog()

    def search(
        self,
        question: str,
        *,
        limit: int,
        where: Where | None = None,
        catalog: Catalog | None = None,
    ) -> list[Hit]:
        """Return the chunks that bear on a question, best first.

        A document that the question names is searched on its own, for the question and for each of
        its aspects, so that a comparison sees both sides. For a question of several aspects the
        section whose heading is nearest to each is read too, so that a broad question spreads over
        sections. These rankings and that of the whole collection take turns.

        Args:
            catalog: the state of the collection to look at; the current one if None, and then the
                hits are known to belong together.

        Raises:
            InputError: the filter names a key that is not allowed.
            CollectionChanged: the collection changes faster than it can be searched.
            StoreError: the store cannot be reached.
        """
        if catalog is None:
            return self.index.steady(partial(self._search, question, limit, where))
        return self._search(question, limit, where, catalog)

    def _search(
        self, question: str, limit: int, where: Where | None, catalog: Catalog
    ) -> list[Hit]:
        allowed = {record.id for record in catalog.passing(where)}
        named = [name for name in catalog.names.find(question) if name in allowed][:_NAMED_LIMIT]
        aspects = find_aspects(question, catalog.names.pattern) if named else ()
        vectors = self.embedder.embed([question, *aspects])
        inside = [self._inside(catalog, name, question, aspects, vectors) for name in named]
        streams = [stream for group in zip(*inside, strict=True) for stream in group]
        whole = search_hybrid(
            self.index, question, vectors[0], limit=limit, where=where, catalog=catalog
        )
        streams.append(whole)
        return take_turns(streams, limit=limit)

    def _inside(
        self,
        catalog: Catalog,
        document: str,
        question: str,
        aspects: Sequence[str],
        vectors: Vector,
    ) -> list[list[Hit]]:
        """Return the rankings inside one document: the question's, then each aspect's."""
        record = catalog.records[document]
        search = partial(
            search_hybrid,
            self.index,
            limit=_INSIDE_LIMIT,
            where={"document": (document,)},
            catalog=catalog,
        )
        streams = [search(question, vectors[0], via=f"named: {record.title}")]
        for aspect, vector in zip(aspects, vectors[1:], strict=True):
            hits = search(aspect, vector, via=f"aspect: {aspect}")
            streams.append(hits)
            if len(aspects) > 1:
                heading = self._nearest_heading(record, streams[0], vector)
                streams.append(_of_section(hits, heading))
        return streams

    def _nearest_heading(self, record: DocumentRecord, hits: Sequence[Hit], vector: Vector) -> str:
        """Return the outermost heading of a document that is nearest to a vector."""
        if not hits:
            return ""
        if record.version not in self._headings:
            headings = tuple(sorted({heading_of(hit) for hit in hits}))
            rows = self.embedder.embed([f"{record.title} > {heading}" for heading in headings])
            self._headings[record.version] = (headings, rows)
        headings, rows = self._headings[record.version]
        return headings[int(np.argmax(rows @ vector))]


def heading_of(hit: Hit) -> str:
    """Return the outermost heading above a chunk; empty for a document without headings."""
    return hit.chunk.path[0] if hit.chunk.path else ""


def _of_section(hits: Sequence[Hit], heading: str) -> list[Hit]:
    return [replace(hit, via=f"section: {heading}") for hit in hits if heading_of(hit) == heading]


def take_turns(streams: Sequence[Sequence[Hit]], *, limit: int) -> list[Hit]:
    """Merge ranked lists by taking from each in turn; a chunk counts where it comes first."""
    merged: dict[str, Hit] = {}
    for hit in _turns(streams):
        if len(merged) == limit:
            break
        merged.setdefault(hit.chunk.id, hit)
    return list(merged.values())


def _turns(streams: Sequence[Sequence[Hit]]) -> Iterator[Hit]:
    for rank in range(max(map(len, streams), default=0)):
        for stream in streams:
            if rank < len(stream):
                yield stream[rank]
