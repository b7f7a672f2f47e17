"""Runs an ingestion: reads, splits, embeds and writes documents, in proportion to what changed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

from chunking.document import Document
from chunking.sensitivity import Sensitivity
from chunking.split import Splitter
from chunking.tokens import TokenCounter
from ingest.changes import Quarantined, Relabelled, named_once
from ingest.prepare import Preparation
from ingest.slices import Event, Pending, Slice, cut_slices, name_of
from ingest.tally import IngestReport, Progress, Tally
from ingest.texts import SourceFile
from retrieval.embed import Embedder
from retrieval.points import Vector
from retrieval.records import DocumentRecord
from retrieval.writer import IndexWriter

BATCH_CHUNKS = 256
"""Chunks under way: half of them are embedded, enough to sort by length, while the other half is
stored; few enough to lose little to a kill."""
BATCH_DOCUMENTS = 64
"""Most documents made visible in one go, where few of their chunks are new."""


@dataclass(frozen=True, slots=True)
class Ingestion:
    """What a run works with: the writer of a collection, and what cuts, embeds and counts.

    Attributes:
        counters: tokenizers by which prompts are planned, so that planning need not tokenize.
        origins: documents whose names belong to the files they came from, besides those written.
        batch_chunks: see `BATCH_CHUNKS`, which it is if None.
    """

    writer: IndexWriter
    embedder: Embedder
    splitter: Splitter
    counters: Sequence[TokenCounter] = ()
    origins: Mapping[str, DocumentRecord] = field(default_factory=dict)
    batch_chunks: int | None = None

    @property
    def preparation(self) -> Preparation:
        """What becomes of a file before its chunks are embedded."""
        return Preparation(self.splitter, self.counters)

    @property
    def slice_chunks(self) -> int:
        """Most chunks that are embedded in one go: half of those under way."""
        return max((self.batch_chunks or BATCH_CHUNKS) // 2, 1)

    def origin(self, name: str) -> DocumentRecord | None:
        """Return the document that a name belongs to, if any."""
        return self.origins.get(name) or self.writer.records.get(name)


Embedded = Generator[tuple[Slice, Vector], None, None]
"""Slices, each with one row for each of its chunks; every file is done with in exactly one."""
Execute = Callable[[Iterable[SourceFile], Ingestion], Embedded]
"""Reads, splits and embeds the files of a source, wherever it does so."""


def run_ingest(
    files: Iterable[SourceFile],
    ingestion: Ingestion,
    *,
    prune: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
    execute: Execute | None = None,
) -> IngestReport:
    """Bring a collection up to date with the files and report what was done.

    A file that cannot be read is quarantined by name and the rest goes on; a version of it that was
    ingested before stays. Readers see each document as it was or as it is, and a killed run is
    completed by running it again.

    Args:
        prune: whether documents that the source does not hold any more are removed; none are where
            places of the source could not be listed.
        execute: what reads, splits and embeds; this process where None. Writing is done here.

    Raises:
        InputError: `prune`, and the source holds nothing at all.
        StoreError: the store failed; what was written before stays.
    """
    started = time.perf_counter()
    tally = Tally(listed=len(files) if isinstance(files, Sequence) else 0)
    with ingestion.writer as writer:
        seen: set[str] = set()
        for events in write_slices((execute or embed_files)(files, ingestion), writer):
            seen.update(map(name_of, events))
            tally.note(events)
            on_progress(tally.progress())
        gone = [name for name in writer.records if name not in seen] if prune else []
        unpruned = len(gone) if tally.unlisted else 0
        tally.check_prune(gone)
        if unpruned:
            gone = []
        writer.remove(gone)
        removed_chunks = writer.finish()
    on_progress(tally.progress())
    return tally.report(
        writer,
        removed_documents=len(gone),
        removed_chunks=removed_chunks,
        unpruned=unpruned,
        seconds=time.perf_counter() - started,
    )


def write_documents(documents: Iterable[Document], ingestion: Ingestion) -> None:
    """Write documents that are in memory, embedding those of their chunks that are not stored.

    Raises:
        StoreError: the store failed; what was written before stays.
    """
    for _ in write_slices(embed_documents(documents, ingestion), ingestion.writer):
        pass


def embed_documents(documents: Iterable[Document], ingestion: Ingestion) -> Embedded:
    """Split and embed documents that are in memory."""
    writer, preparation = ingestion.writer, ingestion.preparation
    events = (
        preparation.split(one, writer.records.get(one.id), writer.missing) for one in documents
    )
    return _embed(events, ingestion)


def embed_files(files: Iterable[SourceFile], ingestion: Ingestion) -> Embedded:
    """Read, split and embed files in this process: the `Execute` that needs nothing else."""
    writer, preparation = ingestion.writer, ingestion.preparation
    events = (
        preparation.prepare(
            file,
            writer.records.get(file.name),
            writer.missing,
            origin=ingestion.origin(file.name),
        )
        for file in named_once(files)
    )
    return _embed(events, ingestion)


def _embed(events: Iterable[Event], ingestion: Ingestion) -> Embedded:
    """Yield slices with their vectors.

    Files are read and split on the thread on which the embedder takes its texts, so that a device
    need not wait for either.
    """
    slices: deque[Slice] = deque()

    def texts() -> Iterator[list[str]]:
        most = ingestion.slice_chunks
        for one in cut_slices(events, most_chunks=most, most_events=BATCH_DOCUMENTS):
            slices.append(one)
            yield [chunk.embedded_text for chunk in one.chunks]

    with closing(ingestion.embedder.embed_stream(texts())) as rows:
        for vectors in rows:
            yield slices.popleft(), vectors


def write_slices(embedded: Embedded, writer: IndexWriter) -> Iterator[tuple[Event, ...]]:
    """Store slice by slice, each while the next is embedded; yield the files that are done with."""
    with ThreadPoolExecutor(1, "windowfit-write") as thread, closing(embedded):
        writing: Future[tuple[Event, ...]] | None = None
        for done, vectors in embedded:
            if writing is not None:
                yield writing.result()
            writing = thread.submit(_store, done, vectors, writer)
        if writing is not None:
            yield writing.result()


def _store(done: Slice, vectors: Vector, writer: IndexWriter) -> tuple[Event, ...]:
    """Store the chunks of a slice and make the documents visible that end with it."""
    if done.chunks:
        writer.stage(done.chunks, vectors)
    # Labels first: what protects more is in force before anything else of the slice is seen.
    labels = dict(filter(None, map(_label_of, done.events)))
    writer.relabel(labels)
    documents = [event for event in done.events if isinstance(event, Pending)]
    for pending in documents:
        _commit(pending, writer)
    if documents or labels:
        writer.publish()
    return done.events


def _label_of(event: Event) -> tuple[str, Sensitivity] | None:
    """Return the document that keeps all but its label, with its new one; None for others."""
    if isinstance(event, Relabelled):
        return event.name, event.sensitivity
    if isinstance(event, Quarantined) and event.label:
        return event.name, Sensitivity(event.label)
    return None


def _commit(pending: Pending, writer: IndexWriter) -> None:
    """Make a document visible whose chunks are stored, with its token counts."""
    counts = pending.counts
    known = writer.records.get(pending.document.id)
    # Without a digest the record is not trusted, see `IndexWriter.distrust`.
    if pending.unchanged and known is not None and known.digest:
        counts = {**known.counts, **counts}
    writer.commit(pending.document, pending.chunks, counts)
