"""Shows how far a run is: a bar on a terminal, JSON lines on standard error otherwise."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar

from ingest.tally import Progress


class ShowProgress:
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
def show_progress(*, quiet: bool) -> Iterator[ShowProgress]:
    """Return what shows the progress of one run; nothing where it shall be quiet."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield ShowProgress(None, quiet=quiet)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("files"),
        TimeElapsedColumn(),
    )
    with ProgressBar(*columns, console=console) as bar:
        yield ShowProgress(bar, quiet=quiet)
