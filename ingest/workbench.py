"""Opens what the verbs of ingestion work with, as the settings name it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial

from chunking.errors import CollectionNotFound
from chunking.split import Splitter
from ingest.counting import load_counters
from ingest.job import Execute, Ingestion, run_ingest
from ingest.labels import Labelling
from ingest.rebuild import prepare_rebuild
from ingest.tally import IngestReport, Progress
from ingest.texts import SourceFile
from retrieval.embed import Embedder
from retrieval.fingerprint import IndexFingerprint
from retrieval.index import Index
from retrieval.points import Engine
from retrieval.providers import fingerprint_of, open_embedder, open_engine, open_splitter
from retrieval.records import DocumentRecord
from retrieval.settings import IndexSettings
from retrieval.writer import GRACE_SECONDS, IndexWriter


@dataclass(frozen=True, slots=True)
class Workbench:
    """A store, an embedder and a splitter; made by `open_workbench`."""

    settings: IndexSettings
    engine: Engine
    embedder: Embedder
    splitter: Splitter

    @property
    def fingerprint(self) -> IndexFingerprint:
        """What vectors made here depend on."""
        return fingerprint_of(self.embedder, self.splitter)

    @property
    def grace_seconds(self) -> float:
        """How long a writer waits for readers."""
        # This process alone holds the embedded store, and it reads nothing.
        return 0.0 if self.settings.qdrant_url is None else GRACE_SECONDS

    def open(self, collection: str) -> Index:
        """Open a collection; see `Index.open`."""
        return Index.open(self.engine, collection, self.fingerprint)

    def create(self, collection: str) -> Index:
        """Open a collection, made first if need be; see `Index.create`."""
        return Index.create(self.engine, collection, self.fingerprint)

    def records(self, collection: str) -> Mapping[str, DocumentRecord]:
        """Return the records of a collection; none where there is no such collection."""
        try:
            return self.open(collection).records()
        except CollectionNotFound:
            return {}

    def writer(self, index: Index) -> IndexWriter:
        """Take the right to change a collection."""
        return IndexWriter(index, grace_seconds=self.grace_seconds)

    def ingestion(self, index: Index) -> Ingestion:
        """Take the right to change a collection, with everything that a run works with."""
        counters = load_counters(self.settings, on_missing=_tell)
        return Ingestion(
            self.writer(index),
            self.embedder,
            self.splitter,
            counters,
            batch_chunks=self.settings.batch_chunks,
        )

    @contextmanager
    def work(
        self,
        files: Iterable[SourceFile] | None,
        collection: str,
        *,
        prune: bool = False,
        rebuild: bool = False,
        on_progress: Callable[[Progress], None] = lambda _: None,
        execute: Execute | None = None,
    ) -> Iterator[Callable[[], IngestReport]]:
        """Give what brings a collection up to date, or builds it anew; it may be called once.

        The collection is held from here on, made first if need be.

        Args:
            files: the source; None to build anew from the stored documents alone. The settings'
                rules of labels hold for them, whatever else is stated.
        """
        files = None if files is None else Labelling.of(self.settings).apply(files)
        if rebuild:
            with prepare_rebuild(
                files,
                self.engine,
                collection,
                self.ingestion,
                fingerprint=self.fingerprint,
                prune=prune,
                grace_seconds=self.grace_seconds,
                on_progress=on_progress,
                execute=execute,
            ) as build:
                yield build
            return
        ingestion = self.ingestion(self.create(collection))
        with closing(ingestion.writer):
            yield partial(
                run_ingest,
                files or (),
                ingestion,
                prune=prune,
                on_progress=on_progress,
                execute=execute,
            )


@contextmanager
def open_workbench(settings: IndexSettings) -> Iterator[Workbench]:
    """Open what the settings name; the store is closed at the end.

    Raises:
        StoreError: the store cannot be opened.
        ConfigurationError: the embedder cannot.
    """
    engine = open_engine(settings)
    try:
        embedder = open_embedder(settings)
        yield Workbench(settings, engine, embedder, open_splitter(settings, embedder))
    finally:
        engine.close()


def _tell(tokenizer: str, reason: str) -> None:
    """Say that a tokenizer is not at hand: counting later costs time and loses nothing."""
    told = {"event": "not counted", "tokenizer": tokenizer, "reason": reason}
    sys.stderr.write(json.dumps(told) + "\n")
