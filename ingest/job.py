"""Runs an ingestion: reads, splits, embeds and writes documents, in proportion to what changed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from chunking.document import Document
from chunking.errors import UnreadableDocument
from chunking.piece_counts import count_pieces
from chunking.split import Splitter
from chunking.tokens import TokenCounter
from ingest.changes import Quarantined, Unchanged, compare
from ingest.slices import Event, Pending, Slice, cut_slices
from ingest.texts import SourceFile
from retrieval.embed import Embedder
from retrieval.writer import IndexWriter

BATCH_CHUNKS = 256
"""Chunks embedded in one go: enough to sort by length, few enough to lose little to a kill."""
BATCH_DOCUMENTS = 64
"""Most documents made visible in one go, where few of their chunks are new."""


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What a run did. `files == written + unchanged + len(quarantined)`, always.

    Attributes:
        written: documents new or changed.
        unchanged: documents found as they were; nothing was embedded for them.
        recounted: unchanged documents counted with a tokenizer that had not counted them before.
        embedded_chunks: chunks embedded in this run: those not stored yet.
        kept_chunks: chunks of written documents that were stored already.
        removed_documents: documents removed because the source does not hold them any more.
        removed_chunks: chunks removed because no document holds them any more.
        collection_documents, collection_chunks: what the collection holds afterwards.
        carried: documents that a rebuild took over as they were stored, the source not having them.
    """

    collection: str
    files: int
    written: int
    unchanged: int
    recounted: int
    embedded_chunks: int
    kept_chunks: int
    removed_documents: int
    removed_chunks: int
    collection_documents: int
    collection_chunks: int
    quarantined: tuple[Quarantined, ...]
    seconds: float
    carried: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, told after each embedded batch and at the end; no count ever falls.

    Attributes:
        files: files listed so far; all of them where the source is a list.
    """

    files: int
    files_done: int
    embedded_chunks: int


@dataclass(slots=True)
class Tally:
    """Counts of a run under way.

    Attributes:
        listed: files of the source, where that is known from the start.
    """

    files: int = 0
    written: int = 0
    unchanged: int = 0
    recounted: int = 0
    embedded_chunks: int = 0
    kept_chunks: int = 0
    carried: int = 0
    listed: int = 0
    quarantined: list[Quarantined] = field(default_factory=list)

    def note(self, events: Iterable[Event]) -> None:
        """Count what became of files."""
        for event in events:
            self.files += 1
            if isinstance(event, Quarantined):
                self.quarantined.append(event)
            elif isinstance(event, Unchanged):
                self.unchanged += 1
            elif event.unchanged:
                self.unchanged += 1
                self.recounted += event.recounted
            else:
                self.written += 1
                self.embedded_chunks += len(event.missing)
                self.kept_chunks += len(event.chunks) - len(event.missing)

    def note_carried(self, events: Iterable[Event]) -> None:
        """Count documents that no file brought."""
        for event in events:
            self.carried += 1
            if isinstance(event, Pending):
                self.embedded_chunks += len(event.missing)
                self.kept_chunks += len(event.chunks) - len(event.missing)

    def progress(self) -> Progress:
        """Return how far the run is."""
        done = self.written + self.unchanged + len(self.quarantined)
        return Progress(max(self.files, self.listed), done, self.embedded_chunks)

    def report(
        self, writer: IndexWriter, *, removed_documents: int, removed_chunks: int, seconds: float
    ) -> IngestReport:
        """Return what the run did that leaves the collection as this writer knows it."""
        return IngestReport(
            collection=writer.index.name,
            files=self.files,
            written=self.written,
            unchanged=self.unchanged,
            recounted=self.recounted,
            embedded_chunks=self.embedded_chunks,
            kept_chunks=self.kept_chunks,
            removed_documents=removed_documents,
            removed_chunks=removed_chunks,
            collection_documents=len(writer.records),
            collection_chunks=sum(len(record.chunk_ids) for record in writer.records.values()),
            quarantined=tuple(self.quarantined),
            seconds=seconds,
            carried=self.carried,
        )


@dataclass(frozen=True, slots=True)
class Ingestion:
    """What a run works with: the writer of a collection, and what cuts, embeds and counts.

    Attributes:
        counters: tokenizers by which prompts are planned, so that planning need not tokenize.
    """

    writer: IndexWriter
    embedder: Embedder
    splitter: Splitter
    counters: Sequence[TokenCounter] = ()


def run_ingest(
    files: Iterable[SourceFile],
    ingestion: Ingestion,
    *,
    prune: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> IngestReport:
    """Bring a collection up to date with the files and report what was done.

    A file that cannot be read is quarantined by name and the rest goes on; a version of it that was
    ingested before stays. Readers see each document as it was or as it is, and a killed run is
    completed by running it again.

    Args:
        prune: whether documents that the source does not hold any more are removed.

    Raises:
        StoreError: the store failed; what was written before stays.
    """
    started = time.perf_counter()
    tally = Tally(listed=len(files) if isinstance(files, Sequence) else 0)
    counted_by = [counter.identity for counter in ingestion.counters]
    with ingestion.writer as writer:
        found = compare(files, writer.records, counted_by=counted_by)
        seen: set[str] = set()
        for events in write_events(found, ingestion):
            seen.update(map(name_of, events))
            tally.note(events)
            on_progress(tally.progress())
        gone = [name for name in writer.records if name not in seen] if prune else []
        writer.remove(gone)
        removed_chunks = writer.finish()
    on_progress(tally.progress())
    return tally.report(
        writer,
        removed_documents=len(gone),
        removed_chunks=removed_chunks,
        seconds=time.perf_counter() - started,
    )


def write_documents(documents: Iterable[Document], ingestion: Ingestion) -> None:
    """Write documents that are in memory, embedding those of their chunks that are not stored.

    Raises:
        StoreError: the store failed; what was written before stays.
    """
    for _ in write_events(documents, ingestion):
        pass


def write_events(
    found: Iterable[Document | Unchanged | Quarantined], ingestion: Ingestion
) -> Iterator[tuple[Event, ...]]:
    """Split, embed and store slice by slice; yield the files that are done with.

    Files are read and split on the thread on which the embedder takes its texts, so that a device
    need not wait for either; everything is written on this one.
    """
    slices: deque[Slice] = deque()

    def texts() -> Iterator[list[str]]:
        events = (_split(one, ingestion) for one in found)
        for one in cut_slices(events, most_chunks=BATCH_CHUNKS, most_events=BATCH_DOCUMENTS):
            slices.append(one)
            yield [chunk.embedded_text for chunk in one.chunks]

    with closing(ingestion.embedder.embed_stream(texts())) as rows:
        for vectors in rows:
            done = slices.popleft()
            if done.chunks:
                ingestion.writer.stage(done.chunks, vectors)
            documents = [event for event in done.events if isinstance(event, Pending)]
            for pending in documents:
                _commit(pending, ingestion)
            if documents:
                ingestion.writer.publish()
            yield done.events


def _split(one: Document | Unchanged | Quarantined, ingestion: Ingestion) -> Event:
    """Return a document with its chunks, or why it cannot be split."""
    if not isinstance(one, Document):
        return one
    try:
        chunks = ingestion.splitter.split(one)
    except UnreadableDocument as error:
        return Quarantined.of(one.id, error)
    record = ingestion.writer.records.get(one.id)
    missing = ingestion.writer.missing(one.id, chunks)
    unchanged = record is not None and record.version == one.version and not missing
    counted_by = {counter.identity for counter in ingestion.counters}
    recounted = record is not None and not record.counts.keys() >= counted_by
    return Pending(one, chunks, tuple(missing), unchanged, recounted)


def _commit(pending: Pending, ingestion: Ingestion) -> None:
    """Make a document visible whose chunks are stored, with its token counts."""
    counts = {
        counter.identity: count_pieces(pending.document, pending.chunks, counter)
        for counter in ingestion.counters
    }
    known = ingestion.writer.records.get(pending.document.id)
    # Without a digest the record is not trusted, see `IndexWriter.distrust`.
    if pending.unchanged and known is not None and known.digest:
        counts = {**known.counts, **counts}
    ingestion.writer.commit(pending.document, pending.chunks, counts)


def name_of(event: Event) -> str:
    """Return the name of the document that an event is about."""
    return event.document.id if isinstance(event, Pending) else event.name
