"""`windowfit ingest …`: brings documents into a collection, and keeps it true."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from chunking.errors import CollectionNotFound, DocumentNotFound, InputError
from chunking.split import Splitter
from chunking.tokens import TokenCounter
from ingest.counting import load_counters
from ingest.job import Execute, Ingestion, embed_files, run_ingest
from ingest.job_files import list_files
from ingest.job_store import JobStore
from ingest.jobs import Job
from ingest.plan import plan_ingest
from ingest.progress import show_progress
from ingest.reports import (
    print_job,
    print_jobs,
    print_plan,
    print_removal,
    print_status,
    print_verification,
)
from ingest.sources import list_source
from ingest.verify import repair, verify
from ingest.work import Work, prepare_ingestion, record_job, repeat_jobs
from retrieval.embed import Embedder
from retrieval.index import Index
from retrieval.points import Engine
from retrieval.providers import (
    fingerprint_of,
    load_provider,
    open_embedder,
    open_engine,
    open_splitter,
)
from retrieval.settings import IndexSettings
from retrieval.status import read_status
from retrieval.writer import GRACE_SECONDS, IndexWriter

PARTIAL = 3
"""Exit code of a run that quarantined some documents, and of a collection with defects."""


class RunEngine(StrEnum):
    """What reads, splits and embeds in a run."""

    LOCAL = "local"
    RAY = "ray"


app = typer.Typer(no_args_is_help=True, help="Bring documents into a collection.")

Source = Annotated[
    str,
    typer.Argument(help="`factbook`, a file, a folder, a glob, or `-` for JSON lines."),
]
Collection = Annotated[str, typer.Option(help="Collection to work on.")]
Prune = Annotated[
    bool, typer.Option("--prune", help="Remove documents that the source does not hold any more.")
]
AnyCollection = Annotated[
    str | None,
    typer.Option("--collection", help="Collection to work on; all of them if not given."),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print no progress.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command()
def plan(
    source: Source,
    collection: Collection,
    sampled: Annotated[
        bool, typer.Option("--time/--no-time", help="Embed a small sample to estimate the time.")
    ] = True,
    as_json: Json = False,
) -> None:
    """State what a run would do: documents, chunks, tokens, time and price. Nothing is written."""
    settings = IndexSettings.load()
    files = list_source(source, factbook=settings.factbook)
    with _tools(settings) as tools:
        try:
            records = tools.open(collection).records()
        except CollectionNotFound:
            records = {}
        planned = plan_ingest(
            files,
            records,
            collection=collection,
            splitter=tools.splitter,
            embedder=tools.embedder,
            measured=sampled,
        )
    print_plan(planned, as_json=as_json)
    if planned.quarantined:
        raise typer.Exit(PARTIAL)


@app.command()
def run(
    source: Source,
    collection: Collection,
    *,
    prune: Prune = False,
    as_json: Json = False,
    quiet: Quiet = False,
    engine: Annotated[
        RunEngine, typer.Option(help="What reads and embeds: this process, or Ray's.")
    ] = RunEngine.LOCAL,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to use; one is started here if not given.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that embed, with `--engine ray`.")
    ] = 2,
) -> None:
    """Bring a collection up to date with a source.

    Unchanged documents cost nothing, so a killed run is completed by running it again. Files that
    cannot be read are named and skipped (exit code 3).
    """
    settings = IndexSettings.load()
    files = list_source(source, factbook=settings.factbook)
    with _tools(settings) as tools:
        execute = _execute(engine, settings, address, workers)
        index = tools.create(collection)
        counters = _counters(settings)
        with show_progress(quiet=quiet) as show, closing(tools.writer(index)) as writer:
            ingestion = Ingestion(writer, tools.embedder, tools.splitter, counters)
            ingest = partial(
                run_ingest, files, ingestion, prune=prune, on_progress=show, execute=execute
            )
            jobs = JobStore(tools.engine)
            done = record_job(jobs, ingest, collection=collection, source=source, prune=prune)
    print_job(done.report, as_json=as_json, job=done.job)
    if done.report.quarantined:
        raise typer.Exit(PARTIAL)


@app.command()
def resume(
    collection: AnyCollection = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Go on with the jobs that were interrupted or failed, with their recorded sources."""
    _repeat(collection, retry=False, as_json=as_json, quiet=quiet)


@app.command()
def retry(
    collection: Collection,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Ingest again only the documents that the last jobs quarantined; nothing is pruned."""
    _repeat(collection, retry=True, as_json=as_json, quiet=quiet)


@app.command()
def status(collection: Collection, as_json: Json = False) -> None:
    """Tell what a collection holds, and whether its last run came to its end."""
    engine = open_engine(IndexSettings.load())
    try:
        found = read_status(Index.open(engine, collection))
        jobs = JobStore(engine)
        last = next((jobs.find(job.id) for job in jobs.jobs(collection)), None)
    finally:
        engine.close()
    print_status(found, last, as_json=as_json)


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
    print_verification(report, as_json=as_json)
    if not report.intact:
        raise typer.Exit(PARTIAL)


@app.command()
def rm(
    documents: Annotated[list[str], typer.Argument(help="Ids of the documents to remove.")],
    collection: Collection,
    as_json: Json = False,
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
    print_removal(collection, list(known), chunks, as_json=as_json)


def _repeat(collection: str | None, *, retry: bool, as_json: bool, quiet: bool) -> None:
    """Carry out again what jobs left, and end with the first failure."""
    settings = IndexSettings.load()
    with _tools(settings) as tools, show_progress(quiet=quiet) as show:
        store = JobStore(tools.engine)

        def prepare(job: Job) -> AbstractContextManager[Work]:
            files = list_files(job, store, factbook=settings.factbook)
            index = tools.create(job.collection)
            ingestion = tools.ingestion(index, _counters(settings))
            return prepare_ingestion(files, job, ingestion, show)

        repeated = repeat_jobs(store, prepare, collection=collection, retry=retry)
    print_jobs(repeated.runs, retry=retry, as_json=as_json)
    if repeated.failures:
        raise repeated.failures[0]
    if any(one.report.quarantined for one in repeated.runs):
        raise typer.Exit(PARTIAL)


@dataclass(frozen=True, slots=True)
class _Tools:
    """What the verbs work with, as the settings name it."""

    settings: IndexSettings
    engine: Engine
    embedder: Embedder
    splitter: Splitter

    def open(self, collection: str) -> Index:
        return Index.open(self.engine, collection, fingerprint_of(self.embedder, self.splitter))

    def create(self, collection: str) -> Index:
        return Index.create(self.engine, collection, fingerprint_of(self.embedder, self.splitter))

    def writer(self, index: Index) -> IndexWriter:
        # This process alone holds the embedded store, and it reads nothing.
        grace = 0.0 if self.settings.qdrant_url is None else GRACE_SECONDS
        return IndexWriter(index, grace_seconds=grace)

    def ingestion(self, index: Index, counters: list[TokenCounter]) -> Ingestion:
        return Ingestion(self.writer(index), self.embedder, self.splitter, counters)


@contextmanager
def _tools(settings: IndexSettings) -> Iterator[_Tools]:
    engine = open_engine(settings)
    try:
        embedder = open_embedder(settings)
        yield _Tools(settings, engine, embedder, open_splitter(settings, embedder))
    finally:
        engine.close()


def _execute(
    engine: RunEngine, settings: IndexSettings, address: str | None, workers: int
) -> Execute:
    if engine is RunEngine.LOCAL:
        if address is not None:
            raise InputError("--address needs --engine ray", param="address")
        return embed_files
    ray_engine = load_provider("ingest.distributed:RayEngine", "ray")
    execute: Execute = ray_engine(settings, address=address, workers=workers)
    return execute


def _counters(settings: IndexSettings) -> list[TokenCounter]:
    """Return the tokenizers that count at ingestion; those that are not at hand are told."""

    def tell(name: str, reason: str) -> None:
        told = {"event": "not counted", "tokenizer": name, "reason": reason}
        sys.stderr.write(json.dumps(told) + "\n")

    return load_counters(settings, on_missing=tell)
