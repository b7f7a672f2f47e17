"""The documents of a collection at one moment, which decide what chunks there are."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, Self

from chunking.errors import InputError
from chunking.piece_counts import PieceCount
from chunking.sensitivity import Sensitivity, highest
from retrieval.entities import NameTable
from retrieval.known import KnownChunks
from retrieval.points import Where
from retrieval.records import DocumentRecord, Hit, read_hit

FILTER_KEYS = frozenset({"document", "sensitivity", "source", "title"})
"""Keys a request may filter documents by; everything else is refused, never ignored."""

_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Catalog:
    """The records of a collection as they were at one moment, in corpus order.

    A chunk that is stored but named by no record is none: it belongs to a version that is not
    visible yet, or not any more.

    Attributes:
        records: by document id; ids are ordered with the numbers in them taken as numbers.
        names: what a question may call the documents by.
        token: changes with every change of the collection.
        swept: whether the last run came to its end, so that a record names every chunk stored.
        known: those of its chunks that searches found last.
    """

    records: Mapping[str, DocumentRecord]
    names: NameTable
    token: str = ""
    swept: bool = False
    known: KnownChunks = field(default_factory=KnownChunks, repr=False, compare=False)
    _places: dict[str, int] = field(default_factory=dict)
    _copies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    _ordinals: dict[str, dict[str, int]] = field(default_factory=dict)
    _chunk_counts: dict[str, dict[str, PieceCount]] = field(default_factory=dict)
    _means: dict[str, float | None] = field(default_factory=dict)
    _labels: dict[str, Sensitivity] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[DocumentRecord], token: str = "", *, swept: bool = False) -> Self:
        """Return the catalog of these records."""
        ordered = sorted(records, key=lambda record: _natural(record.id))
        places = {record.id: place for place, record in enumerate(ordered)}
        copies = defaultdict[str, list[str]](list)
        for record in ordered:
            if record.digest:
                copies[record.digest].append(record.id)
        names = NameTable.of(ordered)
        return cls(
            {one.id: one for one in ordered},
            names,
            token,
            swept,
            _places=places,
            _copies=dict(copies),
        )

    def place(self, document: str) -> int:
        """Return the place of a document in the corpus, from 0; 0 for one of another corpus."""
        return self._places.get(document, 0)

    def hit(self, payload: Mapping[str, Any], *, score: float, via: str) -> Hit | None:
        """Return a stored chunk as a hit; None where no record names it."""
        ordinal = self.ordinal(payload)
        if ordinal is None:
            return None
        record = self.records[payload["document"]]
        hit = read_hit(payload, record, ordinal, score, via)
        origin = self.origin(record)
        if not origin:
            return hit
        chunk = replace(hit.chunk, sensitivity=self.label(record))
        return replace(hit, chunk=chunk, origin=origin)

    def ordinal(self, payload: Mapping[str, Any]) -> int | None:
        """Return the place of a stored chunk in its document; None where no record names it."""
        record = self.records.get(payload["document"])
        if record is None:
            return None
        if record.id not in self._ordinals:
            self._ordinals[record.id] = {name: n for n, name in enumerate(record.chunk_ids)}
        return self._ordinals[record.id].get(payload["id"])

    def origin(self, record: DocumentRecord) -> str:
        """Return the first document, in corpus order, that was read from these very bytes.

        Empty where no other one was: a document that is in the collection once is no copy.
        """
        same = self._copies.get(record.digest, ())
        return same[0] if len(same) > 1 else ""

    def copies(self, document: str) -> Sequence[str]:
        """Return the documents that were read from the same bytes, this one included."""
        record = self.records.get(document)
        return self._copies.get(record.digest, (document,)) if record is not None else (document,)

    def label(self, record: DocumentRecord) -> Sensitivity:
        """Return the highest label of all documents that were read from these very bytes.

        One text under two labels is the text of the higher one, whichever document it is taken
        from.
        """
        if not self.origin(record):
            return record.sensitivity
        if record.digest not in self._labels:
            same = self._copies[record.digest]
            labels = (self.records[name].sensitivity for name in same)
            self._labels[record.digest] = highest(labels)
        return self._labels[record.digest]

    def highest_label(self, documents: Iterable[str]) -> Sensitivity:
        """Return the highest label of some documents; of those that are not there, none."""
        known = (self.records[name] for name in documents if name in self.records)
        return highest((Sensitivity.PUBLIC, *map(self.label, known)))

    def passing(self, where: Where | None) -> list[DocumentRecord]:
        """Return the documents that pass a filter, in corpus order.

        Raises:
            InputError: the filter names a key that is not allowed.
        """
        check_filter(where)
        named = (where or {}).get("document")
        records = self.records.values() if named is None else self._named(named)
        return [record for record in records if _passes(record, where)]

    def passing_ids(self, where: Where | None) -> Set[str]:
        """Return the ids of the documents that pass a filter; without one, at no cost."""
        return {record.id for record in self.passing(where)} if where else self.records.keys()

    def _named(self, documents: Iterable[str]) -> list[DocumentRecord]:
        known = {name for name in documents if name in self.records}
        return [self.records[name] for name in sorted(known, key=self.place)]

    def chunk_counts(self, identity: str) -> Mapping[str, PieceCount]:
        """Return what every chunk adds to a prompt, if this tokenizer counted it at ingestion."""
        if identity not in self._chunk_counts:
            self._chunk_counts[identity] = {
                chunk: count
                for record in self.records.values()
                if identity in record.counts
                for chunk, count in zip(
                    record.chunk_ids, record.counts[identity].chunks, strict=True
                )
            }
        return self._chunk_counts[identity]

    def mean_chunk_count(self, identity: str) -> float | None:
        """Return the mean of what chunks add alone; None where this tokenizer counted nothing."""
        if identity not in self._means:
            counts = [count.alone for count in self.chunk_counts(identity).values()]
            self._means[identity] = sum(counts) / len(counts) if counts else None
        return self._means[identity]

    @property
    def chunk_count(self) -> int:
        """The number of chunks of all documents."""
        return sum(len(record.chunk_ids) for record in self.records.values())


def check_filter(where: Where | None) -> None:
    """Raise InputError where a filter names a key or a label that there is not, or is no filter."""
    where = where or {}
    unknown = sorted(set(where) - FILTER_KEYS)
    if unknown:
        raise InputError(
            f"cannot filter by {unknown}; allowed keys: {sorted(FILTER_KEYS)}", param="filter"
        )
    # A string is a sequence of strings, too: its letters would be taken for values.
    if single := sorted(key for key, values in where.items() if isinstance(values, str)):
        raise InputError(
            f"the values of {single} are one string each, not lists of strings", param="filter"
        )
    if labels := sorted(set(where.get("sensitivity", ())) - {*Sensitivity}):
        raise InputError(
            f"no labels: {labels}; there are {[*map(str, Sensitivity)]}", param="filter"
        )


def _passes(record: DocumentRecord, where: Where | None) -> bool:
    held = {
        "document": record.id,
        "sensitivity": record.sensitivity.value,
        "source": record.source,
        "title": record.title,
    }
    return all(held[key] in values for key, values in (where or {}).items())


def _natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """Return a key under which "part 9" stands before "part 10"."""
    parts = _DIGITS.split(name)
    # Digits of other scripts count as letters; equal numbers spelled otherwise differ at the end.
    keys = [(0, int(part)) if part.isascii() and part.isdigit() else (1, part) for part in parts]
    return (*keys, (1, name))
