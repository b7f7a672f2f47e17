"""Counts what a run does, while it goes on and at its end."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from chunking.errors import InputError
from ingest.changes import Quarantined, Relabelled, Unchanged
from ingest.slices import Event, Pending
from retrieval.writer import IndexWriter


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What a run did. `files == written + unchanged + len(quarantined)`, always.

    Attributes:
        written: documents new or changed.
        unchanged: documents found as they were; nothing was embedded for them.
        recounted: unchanged documents counted with a tokenizer that had not counted them before.
        relabelled: documents, changed or not, that the collection held under another label; for
            quarantined ones the version that it holds.
        embedded_chunks: chunks embedded in this run: those not stored yet.
        kept_chunks: chunks of written documents that were stored already.
        removed_documents: documents removed because the source does not hold them any more.
        removed_chunks: chunks removed because no document holds them any more.
        collection_documents, collection_chunks: what the collection holds afterwards.
        unpruned: documents that stayed although the source does not show them, because places of it
            could not be listed.
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
    unpruned: int = 0
    relabelled: int = 0


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
    relabelled: int = 0
    carried: int = 0
    listed: int = 0
    quarantined: list[Quarantined] = field(default_factory=list)

    def note(self, events: Iterable[Event]) -> None:
        """Count what became of files."""
        for event in events:
            self.files += 1
            if isinstance(event, Quarantined):
                self.quarantined.append(event)
                self.relabelled += bool(event.label)
            elif isinstance(event, Unchanged | Relabelled):
                self.unchanged += 1
                self.relabelled += isinstance(event, Relabelled)
            elif event.unchanged:
                self.unchanged += 1
                self.recounted += event.recounted
                self.relabelled += event.relabelled
            else:
                self.written += 1
                self.relabelled += event.relabelled
                self.embedded_chunks += len(event.missing)
                self.kept_chunks += len(event.chunks) - len(event.missing)

    @property
    def unlisted(self) -> bool:
        """Whether the source may hold documents whose names are not known."""
        return any(one.hides_others for one in self.quarantined)

    def check_prune(self, gone: Collection[str]) -> None:
        """Refuse to remove everything because a source is empty.

        Raises:
            InputError: documents are gone, and the source holds nothing.
        """
        if gone and not self.files:
            raise InputError(
                f"the source holds no document; --prune would remove all {len(gone):,}",
                hint="see whether the source is the right one; `windowfit ingest rm` removes by id",
                param="prune",
            )

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
        self,
        writer: IndexWriter,
        *,
        removed_documents: int,
        removed_chunks: int,
        seconds: float,
        unpruned: int = 0,
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
            unpruned=unpruned,
            relabelled=self.relabelled,
        )
