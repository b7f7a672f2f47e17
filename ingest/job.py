"""Runs an ingestion: reads, splits, embeds and writes documents, in proportion to what changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chunking.document import Chunk, Document
from chunking.errors import UnreadableDocument
from chunking.piece_counts import PieceCounts, count_pieces
from chunking.split import Splitter
from chunking.tokens import TokenCounter
from ingest.texts import SourceFile
from retrieval.embed import Embedder
from retrieval.index import Index
from retrieval.records import DocumentRecord

BATCH_CHUNKS = 256
"""Chunks embedded in one go: enough to sort by length, few enough to lose little to a kill."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A file that could not be ingested, and why."""

    name: str
    code: str
    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What a run did. `files == written + unchanged + len(quarantined)`, always.

    Attributes:
        written: documents new or changed, embedded and stored.
        unchanged: documents found as they were; nothing was embedded for them.
        recounted: unchanged documents counted with a tokenizer that had not counted them before.
        embedded_chunks: chunks embedded in this run.
        collection_documents, collection_chunks: what the collection holds afterwards.
    """

    collection: str
    files: int
    written: int
    unchanged: int
    recounted: int
    embedded_chunks: int
    collection_documents: int
    collection_chunks: int
    quarantined: tuple[Quarantined, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, told after each embedded batch and at the end; no count ever falls."""

    files: int
    files_done: int
    embedded_chunks: int


@dataclass(slots=True)
class _Tally:
    """Counts of a run under way."""

    files: int
    written: int = 0
    unchanged: int = 0
    recounted: int = 0
    embedded_chunks: int = 0
    quarantined: list[Quarantined] = field(default_factory=list)

    def progress(self) -> Progress:
        done = self.written + self.unchanged + len(self.quarantined)
        return Progress(self.files, done, self.embedded_chunks)


@dataclass(frozen=True, slots=True)
class _Pending:
    """A document split and waiting for its batch to be embedded."""

    document: Document
    chunks: tuple[Chunk, ...]
    position: int


@dataclass(frozen=True, slots=True)
class _Counting:
    """Counts what prompts will show, by every tokenizer of the settings."""

    index: Index
    counters: Sequence[TokenCounter]

    def of(self, document: Document, chunks: Sequence[Chunk]) -> dict[str, PieceCounts]:
        return {
            counter.identity: count_pieces(document, chunks, counter) for counter in self.counters
        }

    def complete(self, document: Document, record: DocumentRecord) -> bool:
        """Count a stored document where a tokenizer has not; return whether any had not."""
        if all(counter.identity in record.counts for counter in self.counters):
            return False
        stored = {chunk.id: chunk for chunk in self.index.chunks([document.id])}
        # A run that was killed may have left chunks that the record does not name.
        chunks = [stored[name] for name in record.chunk_ids if name in stored]
        if len(chunks) < len(record.chunk_ids):
            return False
        self.index.recount(document.id, {**record.counts, **self.of(document, chunks)})
        return True


def run_ingest(
    files: Sequence[SourceFile],
    *,
    index: Index,
    embedder: Embedder,
    splitter: Splitter,
    counters: Sequence[TokenCounter] = (),
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> IngestReport:
    """Bring a collection up to date with the files and report what was done.

    A file that cannot be read is quarantined by name and the rest goes on. A document counts as
    ingested once its chunks are stored, so a killed run is completed by running it again.

    Raises:
        StoreError: the store failed; what was written before stays.
    """
    started = time.perf_counter()
    tally = _Tally(files=len(files))
    known = index.records()
    counting = _Counting(index, counters)
    pending = _changed(files, known, splitter, counting, tally)
    for batch in _batches(pending):
        texts = [chunk.embedded_text for item in batch for chunk in item.chunks]
        vectors = embedder.embed(texts)
        for item in batch:
            rows, vectors = vectors[: len(item.chunks)], vectors[len(item.chunks) :]
            counts = counting.of(item.document, item.chunks)
            index.write(item.document, item.chunks, rows, counts=counts, position=item.position)
            tally.written += 1
            tally.embedded_chunks += len(item.chunks)
        on_progress(tally.progress())
    on_progress(tally.progress())
    return IngestReport(
        collection=index.name,
        files=len(files),
        written=tally.written,
        unchanged=tally.unchanged,
        recounted=tally.recounted,
        embedded_chunks=tally.embedded_chunks,
        collection_documents=len(index.records()),
        collection_chunks=index.chunk_count(),
        quarantined=tuple(tally.quarantined),
        seconds=time.perf_counter() - started,
    )


def _changed(
    files: Sequence[SourceFile],
    known: Mapping[str, DocumentRecord],
    splitter: Splitter,
    counting: _Counting,
    tally: _Tally,
) -> Iterator[_Pending]:
    """Yield the documents that are new or differ from what the index holds, already split."""
    for position, file in enumerate(files):
        try:
            document = file.read()
            record = known.get(document.id)
            _check_origin(document, record)
            if record is not None and record.version == document.version:
                tally.unchanged += 1
                tally.recounted += counting.complete(document, record)
                continue
            chunks = splitter.split(document)
        except UnreadableDocument as error:
            tally.quarantined.append(Quarantined(file.name, error.code, error.message, error.hint))
            continue
        yield _Pending(document, chunks, position)


def _check_origin(document: Document, record: DocumentRecord | None) -> None:
    """Refuse to replace a document by another file that happens to have the same name.

    A source that is gone has moved, and its document is brought up to date from the new place.
    """
    if record is None or record.source == document.source or not Path(record.source).exists():
        return
    raise UnreadableDocument(
        f"{document.id}: this name is taken in the collection by {record.source}",
        hint="ingest it into another collection, or rename the file or its folder",
        param=document.id,
    )


def _batches(pending: Iterator[_Pending]) -> Iterator[list[_Pending]]:
    """Group documents until a batch holds at least `BATCH_CHUNKS` chunks."""
    batch: list[_Pending] = []
    for item in pending:
        batch.append(item)
        if sum(len(waiting.chunks) for waiting in batch) >= BATCH_CHUNKS:
            yield batch
            batch = []
    if batch:
        yield batch
