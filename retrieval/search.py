"""Finds the chunks that bear on a question: over the collection, and in the documents it names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from retrieval.catalog import Catalog
from retrieval.diversity import arrange, latest_first
from retrieval.embed import Embedder
from retrieval.gather import NAMED_LIMIT, Parts, Unknown, find_passages, holds, take_apart
from retrieval.headings import Headings
from retrieval.index import Index
from retrieval.lines import has_line, rank_by_lines
from retrieval.mentions import find_mentions
from retrieval.points import Vector, Where
from retrieval.records import Hit
from retrieval.rerank import Reranker, search_reranked
from retrieval.turns import by_turns, take_turns

_INSIDE_LIMIT = 200
"""Chunks ranked inside a named document, enough to hold every section of most documents."""
_MEMBER_HITS = 8
"""Chunks read of each document that a hop leads to."""
_FIRST_TURNS = 3
"""Turns of what a question names and asks for, before sections and the whole collection join."""


SEARCH_LIMIT, SEARCH_LENGTH = 4, 2000
"""Most searches besides the question's, and most characters of each."""


@dataclass(slots=True)
class Searcher:
    """Searches one collection; thread-safe."""

    index: Index
    embedder: Embedder
    reranker: Reranker | None = None
    headings: Headings = field(default_factory=Headings)

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
        searches: Sequence[str] = (),
    ) -> list[Hit]:
        """Return the chunks that bear on a question, best first.

        A document that the question names is searched on its own, for the question and for each of
        its aspects, so that a comparison sees both sides. For a question of several aspects the
        section nearest to each that no line answers is read too, so that a broad question spreads.
        A name that is no document's leads to the document that holds it, and a question that
        compares a set leads to the documents that make it up. These rankings and that of the whole
        collection take turns.

        Args:
            catalog: the state of the collection to look at; the current one if None, and then the
                hits are known to belong together.
            searches: what else to search for, each as if it were the question; they take turns, and
                their `via` begins with "search: ". A planner that takes questions apart says it so.

        Raises:
            InputError: the filter names a key that is not allowed.
            CollectionChanged: the collection changes faster than it can be searched.
            StoreError: the store cannot be reached.
        """
        if catalog is None:
            return self.index.steady(partial(self._search_all, question, searches, limit, where))
        return self._search_all(question, searches, limit, where, catalog)

    def _search_all(
        self,
        question: str,
        searches: Sequence[str],
        limit: int,
        where: Where | None,
        catalog: Catalog,
    ) -> list[Hit]:
        if limit < 1:
            return []
        streams = [self._search(question, limit, where, catalog)]
        for text in searches:
            found = self._search(text, limit, where, catalog)
            streams.append([replace(hit, via=f"search: {text} > {hit.via}") for hit in found])
        merged = take_turns(streams, limit=2 * limit)
        return arrange(question, merged)[:limit] if searches else merged

    def _search(
        self, question: str, limit: int, where: Where | None, catalog: Catalog
    ) -> list[Hit]:
        parts = take_apart(question, catalog.names)
        search = _Search(self, catalog, question, limit, where, parts)
        search.embed([question, *_lookups(parts)])
        return search.hits()


@dataclass(frozen=True, slots=True)
class _Focus:
    """A document that a question is about, and the rankings read inside it.

    Attributes:
        streams: for the question, then for each of its aspects.
        sections: of a question of several aspects, the section nearest to each.
    """

    document: str
    streams: list[list[Hit]]
    sections: list[list[Hit]]


@dataclass(frozen=True, slots=True)
class _Search:
    """One search, carried out over one state of the collection."""

    searcher: Searcher
    catalog: Catalog
    question: str
    limit: int
    where: Where | None
    parts: Parts
    vectors: dict[str, Vector] = field(default_factory=dict)

    def embed(self, texts: Sequence[str]) -> None:
        """Embed in one call what was not yet."""
        wanted = [text for text in dict.fromkeys(texts) if text not in self.vectors]
        if wanted:
            self.vectors.update(zip(wanted, self.searcher.embedder.embed(wanted), strict=True))

    def hits(self) -> list[Hit]:
        """Return the merged hits, see `Searcher.search`."""
        allowed = self.catalog.passing_ids(self.where)
        named = [name for name in self.parts.named if name in allowed][:NAMED_LIMIT]
        around = search_reranked(
            self.searcher.index,
            self.question,
            self.vectors[self.question],
            limit=self.limit,
            where=self.where,
            catalog=self.catalog,
            reranker=self.searcher.reranker,
        )
        focuses = [
            self._focus(name, self.parts.aspects, f"named: {self._title(name)}") for name in named
        ]
        for unknown in self.parts.unknown:
            focuses += self._bridge(unknown, focuses)
        bridged = len(focuses) > len(named)
        if not focuses:  # nothing to merge, and repetitions are last already
            return latest_first(self.question, around)
        streams = by_turns([focus.streams for focus in focuses])
        if self.parts.relation and len(focuses) == 1:
            streams = [*self._hop(focuses[0], around, allowed), *streams]
        # What was asked for comes first; what surrounds it may have what room is left.
        # Where a name leads to is a guess: what is best of all keeps its place beside it.
        lead = [around, *streams] if bridged else streams
        first = take_turns([stream[:_FIRST_TURNS] for stream in lead], limit=self.limit)
        rest = [*streams, *by_turns([focus.sections for focus in focuses]), around]
        merged = take_turns(
            [[*first, *take_turns(rest, limit=2 * self.limit)]], limit=2 * self.limit
        )
        return arrange(self.question, merged)[: self.limit]

    def _title(self, document: str) -> str:
        return self.catalog.records[document].title

    def _rank(
        self, text: str, *, where: Where | None, via: str = "question", limit: int | None = None
    ) -> list[Hit]:
        return self.searcher.index.search(
            self.vectors[text],
            limit=self.limit if limit is None else limit,
            where=where,
            via=via,
            catalog=self.catalog,
        )

    def _focus(self, document: str, aspects: Sequence[str], via: str) -> _Focus:
        """Return the rankings inside one document: the question's, then each aspect's.

        A single aspect is what the question is about anyway, so it is not searched for again.
        """
        where = {"document": (document,)}
        broad = len(aspects) > 1
        limit = max(self.limit, _INSIDE_LIMIT) if broad else self.limit
        asked = self._rank(self.question, where=where, via=via)
        streams, sections = [asked], []
        for aspect in aspects:
            step = f"aspect: {aspect}"
            hits = self._rank(aspect, where=where, via=step, limit=limit) if broad else asked
            lines = [replace(hit, via=step) for hit in rank_by_lines(hits, aspect)]
            streams.append(take_turns([lines, hits], limit=limit) if broad else lines)
            if broad and not has_line(hits, aspect):
                sections.append(
                    self.searcher.headings.nearest(
                        self.searcher.embedder,
                        self.catalog.records[document],
                        hits,
                        self.vectors[aspect],
                    )
                )
        return _Focus(document, streams, sections)

    def _bridge(self, unknown: Unknown, focuses: Sequence[_Focus]) -> list[_Focus]:
        """Return the document that holds a name which those in focus do not explain."""
        name = unknown.name
        if any(holds(h.chunk.text, name) for focus in focuses for s in focus.streams for h in s):
            return []
        via = f"bridge: {name}"
        self.embed([unknown.clause, *self.parts.aspects])
        mentions = find_mentions(
            self.searcher.index,
            name,
            self.vectors[unknown.clause],
            where=self.where,
            catalog=self.catalog,
            via=via,
        )
        if not mentions:
            return []
        document = mentions[0].chunk.document
        if document in {focus.document for focus in focuses}:
            return []
        focus = self._focus(document, self._aspects_beside(unknown), via)
        return [replace(focus, streams=[mentions[:1], *focus.streams])]

    def _aspects_beside(self, unknown: Unknown) -> Sequence[str]:
        """Return the aspects that are not about the name itself."""
        aspects = [aspect for aspect in self.parts.aspects if aspect not in unknown.name]
        return [aspect for aspect in aspects if aspect not in unknown.clause] or aspects

    def _hop(
        self, focus: _Focus, around: Sequence[Hit], allowed: Collection[str]
    ) -> Iterator[list[Hit]]:
        """Yield what ties others to the document in focus, then the ranking inside each of them."""
        if not focus.streams[0]:
            return
        relation = self._rank(
            self.parts.relation, where={"document": (focus.document,)}, via=focus.streams[0][0].via
        )
        relation = take_turns(
            [rank_by_lines(relation, self.parts.relation), relation], limit=self.limit
        )
        inside = take_turns([relation, focus.streams[0]], limit=self.limit)
        passages = find_passages(
            focus.document, inside, around, self.catalog.names, allowed=allowed
        )
        if not passages:
            return
        rows = self.searcher.embedder.embed([passage.text for passage in passages])
        passage = passages[int(np.argmax(rows @ self.vectors[self.parts.relation]))]
        yield [hit for hit in inside if passage.text and passage.text in hit.chunk.text][:1]
        title = self._title(focus.document)
        ranked = self._rank_each(passage.members)
        for member in passage.members:
            via = f"hop: {title} > {self._title(member)}"
            hits = take_turns(
                [rank_by_lines(ranked[member], self.parts.measure), ranked[member]],
                limit=_MEMBER_HITS,
            )
            yield [replace(hit, via=via) for hit in hits]

    def _rank_each(self, documents: Sequence[str]) -> Mapping[str, list[Hit]]:
        """Return the hits for what is compared inside each of some documents, in one query."""
        ranked = defaultdict[str, list[Hit]](list)
        if documents:
            limit = _MEMBER_HITS * len(documents)
            for hit in self._rank(self.parts.measure, where={"document": documents}, limit=limit):
                ranked[hit.chunk.document].append(hit)
        for document in documents:
            if document not in ranked:
                ranked[document] = self._rank(
                    self.parts.measure, where={"document": (document,)}, limit=_MEMBER_HITS
                )
        return ranked


def _lookups(parts: Parts) -> list[str]:
    """Return what is embedded besides the question from the beginning.

    A name that is no document's is looked up only where no document is named that may explain it:
    "What is the GDP of Chad?" costs no more than a plain question.
    """
    phrases = [*parts.aspects] if len(parts.aspects) > 1 else []
    phrases += filter(None, (parts.relation, parts.measure))
    if parts.named:
        return phrases
    return [text for unknown in parts.unknown for text in (unknown.clause, *phrases)]
