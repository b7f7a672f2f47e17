"""Prints tables for people, and the same for programs: exact numbers as JSON and CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text


def wide_console() -> Console:
    """Return a console that wraps no cell where the output is a pipe or a file."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, 200)
    return console


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers_from: int = 1
) -> None:
    """Print rows under their columns; those from `numbers_from` on stand to the right."""
    table = Table(box=SIMPLE_HEAD)
    for at, column in enumerate(columns):
        table.add_column(column, justify="left" if at < numbers_from else "right")
    for row in rows:
        table.add_row(*map(Text, row))  # a name with brackets is no markup
    wide_console().print(table)


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write rows to standard output as CSV (RFC 4180), a line of columns first."""
    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    writer.writerows(rows)
