"""Builds a collection anew beside the one that is read, and lets it take that one's place."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol, Self

from chunking.document import Document
from chunking.errors import CollectionNotFound, StoreError, UnreadableDocument
from chunking.sensitivity import Sensitivity
from ingest.changes import Quarantined
from ingest.job import Execute, Ingestion, embed_documents, embed_files, run_ingest, write_slices
from ingest.plan import IngestPlan
from ingest.slices import name_of
from ingest.tally import IngestReport, Progress, Tally
from ingest.texts import SourceFile, document_file
from retrieval.audit import Finding, audit_documents
from retrieval.fingerprint import IndexFingerprint
from retrieval.index import Index
from retrieval.places import other_places
from retrieval.points import Engine, Point
from retrieval.rebuild import Rebuild, begin_rebuild, open_stored
from retrieval.records import DocumentRecord, read_document
from retrieval.writer import GRACE_SECONDS

_READ_IN_ONE_GO = 64


class Planning(Protocol):
    """`plan_ingest`, its tools being given."""

    def __call__(
        self,
        files: Iterable[SourceFile],
        records: Mapping[str, DocumentRecord],
        *,
        origins: Mapping[str, DocumentRecord] | None = None,
    ) -> IngestPlan:
        """See `plan_ingest`."""


@contextmanager
def prepare_rebuild(
    files: Iterable[SourceFile] | None,
    engine: Engine,
    collection: str,
    begin: Callable[[Index], Ingestion],
    *,
    fingerprint: IndexFingerprint,
    prune: bool = False,
    grace_seconds: float = GRACE_SECONDS,
    on_progress: Callable[[Progress], None] = lambda _: None,
    execute: Execute | None = None,
) -> Iterator[Callable[[], IngestReport]]:
    """Hold a collection and give what builds it anew from the files, to be called once.

    Documents that no file brings are carried over: split and embedded anew from the stored text.
    Readers see the collection as it was until all is stored, and then as it is. A killed rebuild
    is completed by running it again; one killed behind its switch embeds nothing again. Where there
    is no collection, this is an ingestion.

    Args:
        files: the source; None to build from the stored documents alone.
        begin: opens for writing what it is given.
        fingerprint: that of what `begin` embeds and splits with.
        prune: whether documents that the source does not hold any more are left out.
        execute: what reads, splits and embeds the files; this process where None.

    Raises:
        CollectionNotFound: there is no collection, and no source.
        StoreLocked: another writer holds the collection.
        StoreError: the store failed, or a stored document to be carried over is damaged; the
            collection stays as it was.
    """
    try:
        stored = open_stored(engine, collection)
    except CollectionNotFound:
        if files is None:
            raise
        stored = None
    if stored is None or _is_switched(engine, stored, fingerprint):
        ingestion = begin(Index.create(engine, collection, fingerprint))
        with closing(ingestion.writer):
            yield partial(
                run_ingest,
                files or (),
                ingestion,
                prune=prune,
                on_progress=on_progress,
                execute=execute,
            )
        return
    with begin_rebuild(engine, collection, fingerprint, grace_seconds=grace_seconds) as rebuild:
        yield partial(
            _build,
            files or (),
            rebuild,
            begin,
            prune=prune,
            on_progress=on_progress,
            execute=execute or embed_files,
        )


def run_rebuild(
    files: Iterable[SourceFile] | None,
    engine: Engine,
    collection: str,
    begin: Callable[[Index], Ingestion],
    **options: Any,
) -> IngestReport:
    """Build a collection anew from the files and report what was done; see `prepare_rebuild`."""
    with prepare_rebuild(files, engine, collection, begin, **options) as build:
        return build()


def _build(
    files: Iterable[SourceFile],
    rebuild: Rebuild,
    begin: Callable[[Index], Ingestion],
    *,
    prune: bool,
    on_progress: Callable[[Progress], None],
    execute: Execute,
) -> IngestReport:
    started = time.perf_counter()
    ingestion = begin(rebuild.build)
    with ingestion.writer as writer:
        filling = _Filling.of(rebuild.stored, ingestion, on_progress)
        filling.bring(files, execute)
        filling.carry(prune=prune)
        removed_chunks = filling.close()
        rebuild.switch()
    return filling.tally.report(
        writer,
        removed_documents=len(filling.records.keys() - writer.records.keys()),
        removed_chunks=removed_chunks,
        seconds=time.perf_counter() - started,
    )


def plan_rebuild(
    files: Iterable[SourceFile] | None, engine: Engine, collection: str, plan: Planning
) -> IngestPlan:
    """Return what `run_rebuild` would do without pruning: every chunk is embedded.

    Documents that would be carried over are among the chunks, not among the files.

    Args:
        plan: `plan_ingest` with its tools.

    Raises:
        CollectionNotFound: there is no collection, and no source.
    """
    try:
        stored = open_stored(engine, collection)
    except CollectionNotFound:
        if files is None:
            raise
        return plan(files, {})
    names: set[str] = set()
    records = stored.records()

    def listed() -> Iterator[SourceFile]:
        for file in files or ():
            names.add(file.name)
            yield file

    brought = plan(listed(), {}, origins=records)
    unread = {one.name for one in brought.quarantined} & records.keys()
    gone = tuple(name for name in records if name not in names)
    carried = plan(map(document_file, _named(stored, [*gone, *unread])), {})
    known = len(names & records.keys()) - len(unread)
    seconds = [one.seconds for one in (brought, carried) if one.seconds is not None]
    return replace(
        brought,
        new=brought.new - known,
        changed=known,
        removed=() if files is None else gone,
        chunks=brought.chunks + carried.chunks,
        embedded_chunks=brought.embedded_chunks + carried.embedded_chunks,
        embedded_tokens=brought.embedded_tokens + carried.embedded_tokens,
        seconds=sum(seconds) if seconds else None,
    )


def _named(stored: Index, names: Sequence[str]) -> Iterator[Document]:
    for start in range(0, len(names), _READ_IN_ONE_GO):
        yield from stored.documents(names[start : start + _READ_IN_ONE_GO])


def _is_switched(engine: Engine, stored: Index, fingerprint: IndexFingerprint) -> bool:
    """Return whether an earlier rebuild came to its switch and died before its end."""
    left = other_places(engine, stored.name, stored.place)
    return stored.fingerprint == fingerprint and bool(left.superseded)


@dataclass(slots=True)
class _Filling:
    """A new place while it is filled.

    Attributes:
        records: the documents of the collection as it is.
        kept: names of the documents that the new place is to hold.
        labels: of the documents that are carried over under another label.
    """

    stored: Index
    ingestion: Ingestion
    on_progress: Callable[[Progress], None]
    records: Mapping[str, DocumentRecord]
    tally: Tally = field(default_factory=Tally)
    kept: set[str] = field(default_factory=set)
    labels: Mapping[str, Sensitivity] = field(default_factory=dict)

    @classmethod
    def of(
        cls, stored: Index, ingestion: Ingestion, on_progress: Callable[[Progress], None]
    ) -> Self:
        """Return the filling of the place that an ingestion writes, nothing being brought yet."""
        records = stored.records()
        return cls(stored, replace(ingestion, origins=records), on_progress, records)

    def bring(self, files: Iterable[SourceFile], execute: Execute) -> None:
        """Write what can be read of the files."""
        self.tally.listed = len(files) if isinstance(files, Sequence) else 0
        for events in write_slices(execute(files, self.ingestion), self.ingestion.writer):
            self.kept.update(name_of(one) for one in events if not isinstance(one, Quarantined))
            self.tally.note(events)
            self.on_progress(self.tally.progress())

    def carry(self, *, prune: bool) -> None:
        """Write what no file brought; with `prune`, only what could not be read."""
        unread = {one.name for one in self.tally.quarantined}
        quarantined = self.tally.quarantined
        self.labels = {one.name: Sensitivity(one.label) for one in quarantined if one.label}
        prune = prune and not self.tally.unlisted
        if prune:
            self.tally.check_prune(self.records)
        wanted = [
            name for name in self.records if name not in self.kept and (not prune or name in unread)
        ]
        left = [name for name in wanted if not self._is_carried(name)]
        self.tally.carried += len(wanted) - len(left)
        embedded = embed_documents(self._stored_documents(left), self.ingestion)
        for events in write_slices(embedded, self.ingestion.writer):
            for one in events:
                if isinstance(one, Quarantined):
                    raise UnreadableDocument(
                        f"{one.name}: cannot be carried over: {one.reason}", param=one.name
                    )
            self.tally.note_carried(events)
            self.on_progress(self.tally.progress())
        self.kept.update(wanted)

    def close(self) -> int:
        """Leave nothing else in the new place; return how many chunks the old one holds."""
        writer = self.ingestion.writer
        # What an earlier try brought from a source that has changed since.
        writer.remove([name for name in writer.records if name not in self.kept])
        writer.finish()
        return self.stored.stored_chunk_count()

    def _stored_documents(self, names: Sequence[str]) -> Iterator[Document]:
        """Yield documents as they are stored."""
        for start in range(0, len(names), _READ_IN_ONE_GO):
            wanted = names[start : start + _READ_IN_ONE_GO]
            points = self.stored.scroll("document", {"document": wanted}, fields=None)
            yield from map(self._labelled, map(self._intact, points))

    def _labelled(self, document: Document) -> Document:
        """Return a document under the label of a file that could not be read, if it has one."""
        raised = self.labels.get(document.id)
        return document if raised is None else replace(document, sensitivity=raised)

    def _is_carried(self, name: str) -> bool:
        built, record = self.ingestion.writer.records.get(name), self.records[name]
        counted_by = {counter.identity for counter in self.ingestion.counters}
        if built is None or not built.counts.keys() >= counted_by:
            return False
        # All but how it was split and counted.
        how = {one: getattr(record, one) for one in ("chunk_ids", "spans", "gaps", "counts")}
        label = self.labels.get(name, record.sensitivity)
        return replace(record, sensitivity=label) == replace(built, **how)

    def _intact(self, point: Point) -> Document:
        if any(isinstance(one, Finding) for one in audit_documents([point])):
            raise StoreError(
                f"collection {self.stored.name!r}: document {point.payload['document']!r} is not "
                "stored as it was written, and the source does not bring it",
                hint="rebuild from a source that has it, or leave it out with --prune",
            )
        return read_document(point.payload)
