"""Gathers what might enter a prompt: hits of a search, or whole documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor

from chunking.document import Chunk, Document, content_id
from chunking.errors import CollectionChanged
from chunking.tokens import TokenCounter
from retrieval.catalog import Catalog
from retrieval.points import Where
from retrieval.records import DocumentRecord, Hit
from retrieval.search import Searcher
from serve.context.report import Candidate, Entry

_CANDIDATE_SURPLUS = 2
"""Candidates are about twice as many as can fit: some are duplicates, and some are longer."""
_CANDIDATE_RANGE = (40, 10_000)
_TOKENS_PER_CHUNK = 200
"""What a chunk of an uncounted collection is taken to have."""
_CHARACTERS_PER_TOKEN = 4
_FEWEST_CHARACTERS_PER_TOKEN = 3
"""For texts not counted at ingestion: estimates high, so that `auto` does not cut what it chose."""
_RANKED_FOR_FULL = 400
"""Hits that rank whole documents; documents without one follow in corpus order."""
_FULL_SURPLUS = 2
"""Uncounted documents are read up to about this many times the room; more could not be kept."""
_FULL_ENTRIES = 10_000
"""Most documents with an entry of their own; the report's list of the unread holds every one."""


@dataclass(frozen=True, slots=True)
class Gathering:
    """Where candidates come from and how they are counted.

    Attributes:
        catalog: the state of the collection that a plan looks at from beginning to end.
        room: tokens that retrieved text may take.
        where: the request's filter.
        searches: what is searched for besides the question.
    """

    searcher: Searcher
    catalog: Catalog
    counter: TokenCounter
    question: str
    room: int
    where: Where | None
    searches: Sequence[str] = ()

    def hits(self) -> list[Candidate]:
        """Return the chunks that a search finds, about twice as many as can fit."""
        fewest, most = _CANDIDATE_RANGE
        fitting = self.room / self._mean_tokens()
        limit = min(most, max(fewest, ceil(_CANDIDATE_SURPLUS * fitting)))
        found = self._search(limit)
        return [self._candidate(hit) for hit in found]

    def _mean_tokens(self) -> float:
        """Return the tokens of a usual chunk of the collection."""
        mean = self.catalog.mean_chunk_count(self.counter.base.identity)
        return max(1.0, (mean or _TOKENS_PER_CHUNK) * float(self.counter.factor))

    def everything(self) -> list[Candidate]:
        """Return all chunks that pass the filter, in corpus order."""
        found = self.searcher.index.read(self.where, catalog=self.catalog)
        return [self._candidate(hit) for hit in found]

    def _search(self, limit: int) -> list[Hit]:
        return self.searcher.search(
            self.question,
            limit=limit,
            where=self.where,
            catalog=self.catalog,
            searches=self.searches,
        )

    def _candidate(self, hit: Hit) -> Candidate:
        count = self.catalog.chunk_counts(self.counter.base.identity).get(hit.chunk.id)
        return Candidate(
            hit.chunk,
            hit.score,
            hit.via,
            place=self.catalog.place(hit.chunk.document),
            gap=hit.gap,
            sketch=hit.sketch,
            origin=hit.origin,
            units=None if count is None else count.alone,
            continued=None if count is None else count.continued,
        )

    def documents(self) -> list[Candidate]:
        """Return whole documents, those with the best chunks first, then the rest in corpus order.

        Those that were counted at ingestion come without their text, see `load`.
        """
        records = self.catalog.records
        best = self._best_scores()
        others = [record.id for record in self.catalog.passing(self.where)]
        ranked = list(dict.fromkeys([*best, *others]))
        identity = self.counter.base.identity
        counted = self.counter.additive and all(identity in records[name].counts for name in ranked)
        if not counted:
            return self._read(ranked, best)
        return [
            Candidate(
                self._unread(records[name]),
                best.get(name, 0.0),
                "whole document",
                place=self.catalog.place(name),
                units=records[name].counts[identity].whole,
            )
            for name in ranked[:_FULL_ENTRIES]
        ]

    def load(self, chunks: Sequence[Chunk]) -> tuple[Chunk, ...]:
        """Return whole documents with their text, where they have none yet.

        Raises:
            CollectionChanged: a document is not the one of the catalog any more.
        """
        wanted = [chunk.document for chunk in chunks if not chunk.text and chunk.end]
        found = {document.id: document for document in self.searcher.index.documents(wanted)}
        for chunk in chunks:
            name = chunk.document
            if name in wanted and not _is_version(found.get(name), chunk):
                self.searcher.index.forget()
                raise CollectionChanged(
                    f"{name} was changed or removed while the request was planned"
                )
        return tuple(
            replace(chunk, text=found[chunk.document].text) if chunk.document in found else chunk
            for chunk in chunks
        )

    def _best_scores(self) -> dict[str, float]:
        best: dict[str, float] = {}
        for hit in self._search(_RANKED_FOR_FULL):
            best.setdefault(hit.chunk.document, hit.score)
        return best

    def _read(self, ranked: Sequence[str], best: Mapping[str, float]) -> list[Candidate]:
        """Return documents with their text, until there are more than could be kept."""
        records = self.catalog.records
        most = self.room * _CHARACTERS_PER_TOKEN * _FULL_SURPLUS
        wanted: list[str] = []
        characters = 0
        for name in ranked:
            if wanted and characters > most:
                break
            wanted.append(name)
            characters += records[name].characters
        unread = [self._unread(records[name]) for name in wanted]
        return [
            Candidate(
                chunk,
                best.get(chunk.document, 0.0),
                "whole document",
                place=self.catalog.place(chunk.document),
            )
            for chunk in self.load(unread)
        ]

    def _unread(self, record: DocumentRecord) -> Chunk:
        """Return a document as one chunk that does not hold its text yet."""
        return Chunk(
            id=_whole_id(record.id, record.version),
            document=record.id,
            title=record.title,
            path=(),
            start=0,
            end=record.characters,
            text="",
            position=0,
            sensitivity=self.catalog.label(record),
        )


def corpus_tokens(
    catalog: Catalog, counter: TokenCounter, where: Where | None = None
) -> int | None:
    """Return the tokens of the documents that pass a filter, as counted at ingestion.

    None if any of them lacks the count.
    """
    identity = counter.base.identity
    records = catalog.passing(where)
    counts = [record.counts[identity].whole for record in records if identity in record.counts]
    return ceil(sum(counts) * counter.factor) if len(counts) == len(records) else None


def guessed_tokens(catalog: Catalog, where: Where | None = None) -> int:
    """Return about how many tokens these documents have, rather too many than too few."""
    return (
        sum(record.characters for record in catalog.passing(where)) // _FEWEST_CHARACTERS_PER_TOKEN
    )


def share_read(kept: Sequence[Entry], records: Mapping[str, DocumentRecord]) -> float:
    """Return how many of the corpus' characters were read, in percent, rounded down.

    White space and headings between chunks count as read where all of a document's chunks were.
    """
    spans: Counter[str] = Counter()
    chunks: Counter[str] = Counter()
    for entry in kept:
        spans[entry.document] += entry.end - entry.start
        chunks[entry.document] += entry.fate != "trimmed"
    total = sum(record.characters for record in records.values())
    read = sum(
        record.characters if 0 < len(record.chunk_ids) <= chunks[name] else spans[name]
        for name, record in records.items()
    )
    return floor(1_000_000 * read / total) / 10_000 if total else 100.0


def _is_version(document: Document | None, chunk: Chunk) -> bool:
    """Return whether a document is the one that an unread chunk stands for."""
    if document is None or document.sensitivity > chunk.sensitivity:
        return False  # a label that was raised since is none that the plan was made by
    return chunk.id == _whole_id(document.id, document.version)


def _whole_id(document: str, version: str) -> str:
    return content_id("whole", document, version)
