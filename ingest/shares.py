"""Deals a source out to worker processes and takes embedded slices back; knows no cluster.

A share is a few files with what the collection holds of each. A worker makes slices of it, another
embeds them. What comes back may come in any order, and twice where a worker was lost: `Arrivals`
lets each file pass once, when all of its chunks are there.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from chunking.document import Chunk
from chunking.errors import (
    ConfigurationError,
    EmbeddingModelMismatch,
    TokenizerUnavailable,
)
from chunking.piece_counts import PieceCounts
from chunking.tokens import TokenCounter
from ingest.counting import load_counters
from ingest.formats import FORMATS
from ingest.job import Ingestion
from ingest.prepare import Preparation
from ingest.slices import Event, Pending, Slice, cut_slices, name_of
from ingest.texts import SourceFile
from retrieval.embed import Embedder
from retrieval.fingerprint import IndexFingerprint
from retrieval.points import Vector
from retrieval.providers import fingerprint_of, open_embedder, open_splitter
from retrieval.records import DocumentRecord
from retrieval.settings import IndexSettings

_COUNTED = PieceCounts(0, ())


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """What every worker works by, and what must be there as it is here.

    Attributes:
        settings: without the key of the store, which no worker opens.
        counted_by: identities of the tokenizers that count.
        parsers: name and version of what parses each format.
        most_chunks: of a slice.
    """

    settings: IndexSettings
    fingerprint: IndexFingerprint
    counted_by: tuple[str, ...]
    parsers: tuple[str, ...]
    most_chunks: int

    @classmethod
    def of(
        cls,
        settings: IndexSettings,
        *,
        fingerprint: IndexFingerprint,
        counters: Sequence[TokenCounter],
        most_chunks: int,
    ) -> WorkOrder:
        """Return the order for a run that this process writes."""
        known = {"qdrant_api_key": None, "home": settings.home.absolute()}
        return cls(
            settings.model_copy(update=known),
            fingerprint,
            tuple(counter.identity for counter in counters),
            parsers_here(),
            most_chunks,
        )


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file of a source, with what the collection holds of it.

    Attributes:
        origin: the document that the file's name belongs to, if any.
        stored: ids of the chunks of its document that are stored.
    """

    file: SourceFile
    record: DocumentRecord | None
    origin: DocumentRecord | None
    stored: frozenset[str]

    @classmethod
    def of(cls, file: SourceFile, ingestion: Ingestion) -> ListedFile:
        """Return a file with as much of its record as a comparison needs."""
        writer = ingestion.writer
        record = _compared(writer.records.get(file.name))
        origin = _compared(ingestion.origin(file.name))
        return cls(file, record, origin, writer.stored(file.name))

    def missing(self, document: str, chunks: Sequence[Chunk]) -> Sequence[Chunk]:
        """Return those of the document's chunks that are not stored."""
        del document
        return [chunk for chunk in chunks if chunk.id not in self.stored]


def _compared(record: DocumentRecord | None) -> DocumentRecord | None:
    if record is None:
        return None
    counted = dict.fromkeys(record.counts, _COUNTED)
    return replace(record, chunk_ids=(), spans=(), gaps=(), counts=counted)


@dataclass(frozen=True, slots=True)
class Tools:
    """What a worker process works with, opened once from the settings."""

    embedder: Embedder
    preparation: Preparation


@cache
def open_tools(order: WorkOrder) -> Tools:
    """Return this process' tools, which give the same ids and counts as those of the writer.

    Raises:
        ConfigurationError: they would not, because this machine is set up otherwise.
        EmbeddingModelMismatch: its embedder or splitter is another one.
    """
    if parsers_here() != order.parsers:
        differing = sorted(set(parsers_here()) ^ set(order.parsers))
        raise ConfigurationError(
            f"a worker reads files otherwise than the writer: {', '.join(differing)}",
            hint="install the same packages on every machine of the cluster",
        )
    embedder = open_embedder(order.settings)
    splitter = open_splitter(order.settings, embedder)
    if fingerprint_of(embedder, splitter) != order.fingerprint:
        raise EmbeddingModelMismatch(
            f"a worker has {fingerprint_of(embedder, splitter)}, the writer {order.fingerprint}",
            hint="install the same packages and weights on every machine of the cluster",
        )
    return Tools(embedder, Preparation(splitter, _open_counters(order)))


def parsers_here() -> tuple[str, ...]:
    """Return name and version of what parses each format in this process."""
    return tuple(form.parser for form in FORMATS)


def _open_counters(order: WorkOrder) -> tuple[TokenCounter, ...]:
    # Only one that the writer has is missed.
    found = {counter.identity: counter for counter in load_counters(order.settings)}
    lacking = [identity for identity in order.counted_by if identity not in found]
    if lacking:
        raise TokenizerUnavailable(
            f"a worker has no tokenizer {lacking[0]!r}, by which the writer counts",
            hint="install the same packages and tokenizers on every machine of the cluster",
        )
    return tuple(found[identity] for identity in order.counted_by)


def deal(files: Iterable[ListedFile], *, most_files: int, most_bytes: int) -> Iterator[bytes]:
    """Yield the files as shares, in order; a share is as large as its first file at least."""
    share: list[bytes] = []
    size = 0
    for file in files:
        one = pickle.dumps(file)
        if share and (len(share) == most_files or size + len(one) > most_bytes):
            yield pickle.dumps(share)
            share, size = [], 0
        share.append(one)
        size += len(one)
    if share:
        yield pickle.dumps(share)


def prepare_share(share: bytes, order: WorkOrder) -> Iterator[bytes]:
    """Read, compare, split and count the files of a share; yield slices, pickled."""
    preparation = open_tools(order).preparation
    listed: list[bytes] = pickle.loads(share)  # noqa: S301 - made by `deal`, in this job

    def events() -> Iterator[Event]:
        for each in listed:
            one: ListedFile = pickle.loads(each)  # noqa: S301 - made by `deal`, in this job
            yield preparation.prepare(one.file, one.record, one.missing, origin=one.origin)

    slices = cut_slices(events(), most_chunks=order.most_chunks, most_events=len(listed))
    yield from map(pickle.dumps, slices)


def embed_slice(one: bytes, order: WorkOrder) -> bytes:
    """Embed the chunks of a slice; return it with its vectors, pickled."""
    cut: Slice = pickle.loads(one)  # noqa: S301 - made by `prepare_share`, in this job
    texts = [chunk.embedded_text for chunk in cut.chunks]
    return pickle.dumps((cut, open_tools(order).embedder.embed(texts)))


def read_embedded(one: bytes) -> tuple[Slice, Vector]:
    """Return what `embed_slice` made."""
    embedded: tuple[Slice, Vector] = pickle.loads(one)  # noqa: S301 - made in this job
    return embedded


class Arrivals:
    """Lets each file pass once, with the last of its chunks, in whatever order slices arrive.

    A document passes only with exactly those chunks that are missing of it. Where a worker was lost
    while a file changed, parts of both its states may come: the document then stays open.

    Attributes:
        open: names of the files that have not passed.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.open = set(names)
        self._chunks: dict[str, set[str]] = {}
        self._waiting: dict[str, Pending] = {}

    def take(self, arrived: Slice, vectors: Vector) -> tuple[Slice, Vector]:
        """Return a slice with what is to be stored of it, and the files that pass with it."""
        rows = [row for row, one in enumerate(arrived.chunks) if one.document in self.open]
        chunks = tuple(arrived.chunks[row] for row in rows)
        for chunk in chunks:
            self._chunks.setdefault(chunk.document, set()).add(chunk.id)
        events = [event for event in arrived.events if name_of(event) in self.open]
        self._waiting.update((name_of(one), one) for one in events if isinstance(one, Pending))
        done: list[Event] = [event for event in events if not isinstance(event, Pending)]
        touched = dict.fromkeys((*(one.document for one in chunks), *map(name_of, events)))
        done += [self._waiting[name] for name in touched if self._complete(name)]
        for event in done:
            self._close(name_of(event))
        return Slice(chunks, tuple(done)), vectors[rows]

    def _complete(self, name: str) -> bool:
        pending = self._waiting.get(name)
        if pending is None:
            return False
        return self._chunks.get(name, set()) == {chunk.id for chunk in pending.missing}

    def _close(self, name: str) -> None:
        self.open.discard(name)
        self._chunks.pop(name, None)
        self._waiting.pop(name, None)
