"""`windowfit ingest …`: brings documents into a collection, and keeps it true."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import typer

from chunking.counters import load_counter
from chunking.errors import (
    CollectionNotFound,
    DependencyMissing,
    DocumentNotFound,
    TokenizerUnavailable,
)
from chunking.split import Splitter
from chunking.tokens import TokenCounter
from ingest.job import Ingestion, IngestReport, Progress, run_ingest
from ingest.plan import plan_ingest
from ingest.progress import show_progress
from ingest.rebuild import plan_rebuild, run_rebuild
from ingest.reports import print_job, print_plan, print_status, print_verification
from ingest.sources import list_source
from ingest.texts import SourceFile
from ingest.verify import repair, verify
from retrieval.embed import Embedder
from retrieval.fingerprint import IndexFingerprint
from retrieval.index import Index
from retrieval.points import Engine
from retrieval.providers import fingerprint_of, open_embedder, open_engine, open_splitter
from retrieval.records import DocumentRecord
from retrieval.settings import IndexSettings
from retrieval.status import read_status
from retrieval.writer import GRACE_SECONDS, IndexWriter

PARTIAL = 3
"""Exit code of a run that quarantined some documents, and of a collection with defects."""

app = typer.Typer(no_args_is_help=True, help="Bring documents into a collection.")

Source = Annotated[
    str | None,
    typer.Argument(
        help="`factbook`, a file, a folder, a glob, or `-` for JSON lines; with --rebuild it may "
        "be left out, and the stored documents are used."
    ),
]
Collection = Annotated[str, typer.Option(help="Collection to work on.")]
Prune = Annotated[
    bool, typer.Option("--prune", help="Remove documents that the source does not hold any more.")
]
Rebuild = Annotated[
    bool,
    typer.Option(
        "--rebuild", help="Build all anew, by another embedder or splitter too, then switch."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command()
def plan(
    collection: Collection,
    source: Source = None,
    rebuild: Rebuild = False,
    sampled: Annotated[
        bool, typer.Option("--time/--no-time", help="Embed a small sample to estimate the time.")
    ] = True,
    as_json: Json = False,
) -> None:
    """State what a run would do: documents, chunks, tokens, time and price. Nothing is written."""
    settings = IndexSettings.load()
    files = _files(source, settings, rebuild=rebuild)
    with _tools(settings) as tools:
        planning = partial(
            plan_ingest,
            collection=collection,
            splitter=tools.splitter,
            embedder=tools.embedder,
            measured=sampled,
        )
        if rebuild:
            planned = plan_rebuild(files, tools.engine, collection, planning)
        else:
            planned = planning(files or (), tools.records(collection))
    print_plan(planned, as_json=as_json)
    if planned.quarantined:
        raise typer.Exit(PARTIAL)


@app.command()
def run(
    collection: Collection,
    source: Source = None,
    prune: Prune = False,
    rebuild: Rebuild = False,
    *,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no progress.")] = False,
) -> None:
    """Bring a collection up to date with a source.

    Unchanged documents cost nothing, so a killed run is completed by running it again. Files that
    cannot be read are named and skipped (exit code 3). With --rebuild everything is split and
    embedded anew, beside what readers go on to see until all is stored.
    """
    settings = IndexSettings.load()
    files = _files(source, settings, rebuild=rebuild, prune=prune)
    with _tools(settings) as tools:
        index = None if rebuild else tools.create(collection)
        counters = _counters(settings)
        with show_progress(quiet=quiet) as show:
            if index is None:
                report = tools.rebuild(files, collection, counters, prune=prune, on_progress=show)
            else:
                ingestion = tools.ingestion(index, counters)
                report = run_ingest(files or (), ingestion, prune=prune, on_progress=show)
    print_job(report, as_json=as_json)
    if report.quarantined:
        raise typer.Exit(PARTIAL)


@app.command()
def status(collection: Collection, as_json: Json = False) -> None:
    """Tell what a collection holds, and whether its last run came to its end."""
    with _tools(IndexSettings.load()) as tools:
        print_status(read_status(tools.open(collection)), as_json=as_json)


@app.command(name="verify")
def verify_collection(
    collection: Collection,
    mend: Annotated[
        bool, typer.Option("--repair", help="Remove what is wrong, embed again what is missing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Name every missing, duplicate, orphaned or altered chunk (exit code 3 if there are any)."""
    settings = IndexSettings.load()
    with _tools(settings) as tools:
        index = tools.open(collection)
        report = verify(index)
        if mend and report.findings:
            counters = _counters(settings)
            report = repair(report, index, lambda: tools.ingestion(index, counters))
        if mend:
            with tools.writer(index) as writer:
                writer.drop_unfinished()
    print_verification(report, as_json=as_json)
    if not report.intact:
        raise typer.Exit(PARTIAL)


@app.command()
def rm(
    documents: Annotated[list[str], typer.Argument(help="Ids of the documents to remove.")],
    collection: Collection,
) -> None:
    """Remove documents with their chunks; unknown ids are refused and nothing is removed."""
    with _tools(IndexSettings.load()) as tools:
        index = tools.open(collection)
        known = index.records(documents)
        unknown = [name for name in documents if name not in known]
        if unknown:
            raise DocumentNotFound(
                f"collection {collection!r} holds no document {unknown[0]!r}"
                + (f" nor {len(unknown) - 1} others of those named" if unknown[1:] else ""),
                param="documents",
            )
        with tools.writer(index) as writer:
            writer.remove(known)
            chunks = writer.finish()
    typer.echo(f"removed {len(known):,} documents, {chunks:,} chunks")


@dataclass(frozen=True, slots=True)
class _Tools:
    """What the verbs work with, as the settings name it."""

    settings: IndexSettings
    engine: Engine
    embedder: Embedder
    splitter: Splitter

    def open(self, collection: str) -> Index:
        return Index.open(self.engine, collection, fingerprint_of(self.embedder, self.splitter))

    def records(self, collection: str) -> Mapping[str, DocumentRecord]:
        try:
            return self.open(collection).records()
        except CollectionNotFound:
            return {}

    def create(self, collection: str) -> Index:
        return Index.create(self.engine, collection, fingerprint_of(self.embedder, self.splitter))

    @property
    def fingerprint(self) -> IndexFingerprint:
        return fingerprint_of(self.embedder, self.splitter)

    @property
    def grace_seconds(self) -> float:
        # This process alone holds the embedded store, and it reads nothing.
        return 0.0 if self.settings.qdrant_url is None else GRACE_SECONDS

    def writer(self, index: Index) -> IndexWriter:
        return IndexWriter(index, grace_seconds=self.grace_seconds)

    def ingestion(self, index: Index, counters: list[TokenCounter]) -> Ingestion:
        return Ingestion(self.writer(index), self.embedder, self.splitter, counters)

    def rebuild(
        self,
        files: Iterable[SourceFile] | None,
        collection: str,
        counters: list[TokenCounter],
        *,
        prune: bool,
        on_progress: Callable[[Progress], None],
    ) -> IngestReport:
        return run_rebuild(
            files,
            self.engine,
            collection,
            lambda index: self.ingestion(index, counters),
            fingerprint=self.fingerprint,
            prune=prune,
            grace_seconds=self.grace_seconds,
            on_progress=on_progress,
        )


@contextmanager
def _tools(settings: IndexSettings) -> Iterator[_Tools]:
    engine = open_engine(settings)
    try:
        embedder = open_embedder(settings)
        yield _Tools(settings, engine, embedder, open_splitter(settings, embedder))
    finally:
        engine.close()


def _files(
    source: str | None, settings: IndexSettings, *, rebuild: bool, prune: bool = False
) -> Iterable[SourceFile] | None:
    """Return the files of the source; None where the stored documents are to be used."""
    if source is not None:
        return list_source(source, factbook=settings.factbook)
    if not rebuild or prune:
        message = "only --rebuild can do without it, and then without --prune"
        raise typer.BadParameter(message, param_hint="SOURCE")
    return None


def _counters(settings: IndexSettings) -> list[TokenCounter]:
    """Return the tokenizers that count at ingestion, without those that are not at hand.

    Counting later costs time and loses nothing, so a tokenizer out of reach stops no ingestion.
    """
    counters = []
    for name in settings.tokenizers:
        try:
            counters.append(load_counter(name, folders=(settings.models_folder,)))
        except (TokenizerUnavailable, DependencyMissing) as error:
            told = {"event": "not counted", "tokenizer": name, "reason": error.message}
            sys.stderr.write(json.dumps(told) + "\n")
    return counters
