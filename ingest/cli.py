"""`windowfit ingest …`: brings documents into a collection."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar

from chunking.counters import load_counter
from chunking.errors import DependencyMissing, TokenizerUnavailable
from chunking.tokens import TokenCounter
from ingest.job import IngestReport, Progress, run_ingest
from ingest.sources import list_source
from retrieval.index import Index
from retrieval.providers import fingerprint_of, open_embedder, open_engine, open_splitter
from retrieval.settings import IndexSettings

PARTIAL = 3
"""Exit code of a run that quarantined some documents."""

app = typer.Typer(no_args_is_help=True, help="Bring documents into a collection.")


@app.callback()
def _ingest() -> None:
    """Keep `ingest` a group, whatever the number of its verbs."""


@app.command()
def run(
    source: Annotated[
        str,
        typer.Argument(help="`factbook`, or a file or folder of text, Markdown or JSON."),
    ],
    collection: Annotated[str, typer.Option(help="Collection to bring up to date.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no progress.")] = False,
) -> None:
    """Bring a collection up to date with a source.

    Unchanged documents cost nothing, so a killed run is completed by running it again. Files that
    cannot be read are named and skipped (exit code 3).
    """
    settings = IndexSettings.load()
    files = list_source(source, factbook=settings.factbook)
    engine = open_engine(settings)
    try:
        embedder = open_embedder(settings)
        splitter = open_splitter(settings, embedder)
        fingerprint = fingerprint_of(embedder, splitter)
        counters = _counters(settings)
        index = Index.create(engine, collection, fingerprint)
        with _progress(quiet=quiet) as show:
            report = run_ingest(
                files,
                index=index,
                embedder=embedder,
                splitter=splitter,
                counters=counters,
                on_progress=show,
            )
    finally:
        engine.close()
    _print_report(report, as_json=as_json)
    if report.quarantined:
        raise typer.Exit(PARTIAL)


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


class _ShowProgress:
    """Shows progress as a bar on a terminal, as JSON lines on standard error otherwise."""

    def __init__(self, bar: ProgressBar | None, *, quiet: bool) -> None:
        self._bar = bar
        self._quiet = quiet
        self._task = bar.add_task("ingesting", total=None) if bar is not None else None

    def __call__(self, progress: Progress) -> None:
        """Show how far the run is."""
        if self._bar is not None and self._task is not None:
            self._bar.update(
                self._task,
                total=progress.files,
                completed=progress.files_done,
                description=f"{progress.embedded_chunks:,} chunks embedded",
            )
        elif not self._quiet:
            sys.stderr.write(json.dumps({"event": "progress", **asdict(progress)}) + "\n")


@contextmanager
def _progress(*, quiet: bool) -> Iterator[_ShowProgress]:
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield _ShowProgress(None, quiet=quiet)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("files"),
        TimeElapsedColumn(),
    )
    with ProgressBar(*columns, console=console) as bar:
        yield _ShowProgress(bar, quiet=quiet)


def _print_report(report: IngestReport, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(asdict(report), ensure_ascii=False) + "\n")
        return
    console = Console(highlight=False)
    console.print(
        f"collection {report.collection}: {report.collection_documents:,} documents, "
        f"{report.collection_chunks:,} chunks"
    )
    console.print(
        f"this run: {report.files:,} files = {report.written:,} written + "
        f"{report.unchanged:,} unchanged + {len(report.quarantined):,} quarantined; "
        f"{report.embedded_chunks:,} chunks embedded in {report.seconds:.1f} s"
    )
    if report.recounted:
        console.print(f"  {report.recounted:,} unchanged documents counted by another tokenizer")
    for item in report.quarantined:
        console.print(f"  quarantined: {item.reason} ({item.hint})", markup=False)
