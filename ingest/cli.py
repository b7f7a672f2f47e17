"""`windowfit ingest …`: brings documents into a collection, and keeps it true."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Annotated

import typer

from chunking.errors import DocumentNotFound
from chunking.sensitivity import Sensitivity
from ingest.job_files import list_files
from ingest.job_store import JobStore
from ingest.jobs import Job
from ingest.labels import Labelling
from ingest.options import (
    AnyCollection,
    Collection,
    Json,
    Label,
    Prune,
    Quiet,
    Rebuild,
    Source,
)
from ingest.plan import plan_ingest
from ingest.progress import show_progress
from ingest.rebuild import plan_rebuild
from ingest.reports import (
    print_job,
    print_jobs,
    print_plan,
    print_removal,
    print_status,
    print_verification,
)
from ingest.run_engines import RunEngine, open_run_engine
from ingest.sources import list_source
from ingest.tally import Progress
from ingest.texts import SourceFile
from ingest.verify import repair, verify
from ingest.work import Work, check_settings, prepare_ingestion, record_job, repeat_jobs
from ingest.workbench import Workbench, open_workbench
from retrieval.index import Index
from retrieval.providers import open_engine
from retrieval.settings import IndexSettings
from retrieval.status import read_status

PARTIAL = 3
"""Exit code of a run that quarantined some documents, and of a collection with defects."""


app = typer.Typer(no_args_is_help=True, help="Bring documents into a collection.")


@app.command()
def plan(
    collection: Collection,
    source: Source = None,
    rebuild: Rebuild = False,
    *,
    sensitivity: Label = None,
    sampled: Annotated[
        bool, typer.Option("--time/--no-time", help="Embed a small sample to estimate the time.")
    ] = True,
    as_json: Json = False,
) -> None:
    """State what a run would do: documents, chunks, tokens, time and price. Nothing is written."""
    settings = IndexSettings.load()
    files = _files(source, settings, sensitivity, rebuild=rebuild)
    with open_workbench(settings) as bench:
        planning = partial(
            plan_ingest,
            collection=collection,
            splitter=bench.splitter,
            embedder=bench.embedder,
            measured=sampled,
        )
        if rebuild:
            planned = plan_rebuild(files, bench.engine, collection, planning)
        else:
            planned = planning(files or (), bench.records(collection))
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
    sensitivity: Label = None,
    as_json: Json = False,
    quiet: Quiet = False,
    engine: Annotated[
        RunEngine, typer.Option(help="What reads and embeds: this process, or Ray's.")
    ] = RunEngine.LOCAL,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to use; one is started here if not given.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that embed, with `--engine ray`; 2.")
    ] = None,
) -> None:
    """Bring a collection up to date with a source.

    Unchanged documents cost nothing, so a killed run is completed by running it again. Files that
    cannot be read are named and skipped (exit code 3). With --rebuild everything is split and
    embedded anew, beside what readers go on to see until all is stored.
    """
    settings = IndexSettings.load()
    files = _files(source, settings, sensitivity, rebuild=rebuild, prune=prune)
    if files is None and engine is RunEngine.RAY:
        raise typer.BadParameter("--engine ray needs one, to share it out", param_hint="SOURCE")
    with open_workbench(settings) as bench, show_progress(quiet=quiet) as show:
        work = bench.work(
            files,
            collection,
            prune=prune,
            rebuild=rebuild,
            on_progress=show,
            execute=open_run_engine(engine, settings, address, workers),
        )
        with work as ingest:
            done = record_job(
                JobStore(bench.engine),
                ingest,
                collection=collection,
                source=source,
                prune=prune,
                rebuild=rebuild,
                fingerprint=bench.fingerprint,
                sensitivity=sensitivity,
            )
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
    settings = IndexSettings.load()
    engine = open_engine(settings)
    try:
        index = Index.open(engine, collection)
        index.unlabelled = settings.default_sensitivity
        found = read_status(index)
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
    with open_workbench(settings) as bench:
        index = bench.open(collection)
        report = verify(index)
        if mend and report.findings:
            report = repair(index, lambda: bench.ingestion(index))
        if mend:
            with bench.writer(index) as writer:
                writer.drop_unfinished()
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
    with open_workbench(IndexSettings.load()) as bench:
        index = bench.open(collection)
        known = index.records(documents)
        unknown = [name for name in documents if name not in known]
        if unknown:
            raise DocumentNotFound(
                f"collection {collection!r} holds no document {unknown[0]!r}"
                + (f" nor {len(unknown) - 1} others of those named" if unknown[1:] else ""),
                param="documents",
            )
        with bench.writer(index) as writer:
            writer.remove(known)
            chunks = writer.finish()
    print_removal(collection, list(known), chunks, as_json=as_json)


def _repeat(collection: str | None, *, retry: bool, as_json: bool, quiet: bool) -> None:
    """Carry out again what jobs left, and end with the first failure."""
    settings = IndexSettings.load()
    with open_workbench(settings) as bench, show_progress(quiet=quiet) as show:
        store = JobStore(bench.engine)
        if collection is not None and not store.jobs(collection):
            Index.open(bench.engine, collection)  # a name that nothing has is a mistake

        def prepare(job: Job) -> AbstractContextManager[Work]:
            if job.rebuild and not job.retry:
                return _rebuild_again(job, bench, show)
            files = list_files(job, store, settings=settings)
            ingestion = bench.ingestion(bench.create(job.collection))
            return prepare_ingestion(files, job, ingestion, show)

        repeated = repeat_jobs(store, prepare, collection=collection, retry=retry)
    print_jobs(repeated, retry=retry, as_json=as_json)
    if repeated.failures:
        error = repeated.failures[0].error
        if not as_json:
            raise error
        # Standard output has its one line of JSON already.
        typer.echo(error.for_shell, err=True, nl=False)
        raise typer.Exit(error.exit_code)
    if any(one.report.quarantined for one in repeated.runs):
        raise typer.Exit(PARTIAL)


@contextmanager
def _rebuild_again(
    job: Job, bench: Workbench, on_progress: Callable[[Progress], None]
) -> Iterator[Work]:
    """Give what goes on with a rebuild, from its source or from what the collection holds."""
    check_settings(job, bench.fingerprint)
    listed = _files(job.source or None, bench.settings, job.label, rebuild=True)
    work = bench.work(
        listed, job.collection, prune=job.prune, rebuild=True, on_progress=on_progress
    )
    with work as ingest:
        yield Work(ingest)


def _files(
    source: str | None,
    settings: IndexSettings,
    sensitivity: Sensitivity | None,
    *,
    rebuild: bool,
    prune: bool = False,
) -> Iterable[SourceFile] | None:
    """Return the files of the source, labelled; None where the stored documents are to be used."""
    labelling = Labelling.of(settings, sensitivity)
    if source is not None:
        return labelling.apply(list_source(source, factbook=settings.factbook))
    if sensitivity is not None:
        message = "--sensitivity needs one: stored documents keep their labels"
        raise typer.BadParameter(message, param_hint="SOURCE")
    if not rebuild or prune:
        message = "missing: only --rebuild can do without it, and then without --prune"
        raise typer.BadParameter(message, param_hint="SOURCE")
    return None
