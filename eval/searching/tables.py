"""Prints measurements of retrieval for people, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from eval.searching.summary import RetrievalSummary
from eval.statistics import Difference, Mean
from serve.tables import wide_console

_IN_CONTEXT = "-in-context"


def print_summary(summary: RetrievalSummary) -> None:
    """Print what a data set says of a configuration: metrics by k and budget, types, latency."""
    console = wide_console()
    of = f"{summary.answerable:,} of {summary.questions:,} questions answerable"
    held = f"{summary.documents:,} documents in {summary.chunks:,} chunks"
    console.print(f"{summary.dataset} ({summary.layout}): {of}; {held}", markup=False)
    made_by = f"embedder {summary.embedder}, splitter {summary.splitter}"
    console.print(f"collection {summary.collection}, {made_by}", markup=False)
    if summary.missing_documents:
        lacking = f"{summary.missing_documents:,} documents with gold are not in the collection"
        console.print(lacking)
    for ending in (False, True):
        chosen = {k: v for k, v in summary.metrics.items() if (_IN_CONTEXT in k) is ending}
        _print_matrix(console, _by_kind(chosen), first="tokens" if ending else "metric")
    _print_types(console, summary)
    for name, latency in summary.latency_ms.items():
        console.print(f"{name}: p50 {latency.p50:,.1f} ms, p95 {latency.p95:,.1f} ms")


def print_differences(compared: Mapping[str, Difference]) -> None:
    """Print how every metric differs, second minus first."""
    table = Table(box=SIMPLE_HEAD)
    for column in ("metric", "first", "second", "difference", "95 % interval", "p", "questions"):
        table.add_column(column, justify="left" if column == "metric" else "right")
    for name, one in compared.items():
        interval = f"{one.low:+.4f} to {one.high:+.4f}"
        shown = (f"{one.first:.4f}", f"{one.second:.4f}", f"{one.difference:+.4f}", interval)
        table.add_row(name, *shown, f"{one.p:.4f}", f"{one.questions:,}")
    wide_console().print(table)


def _print_types(console: Console, summary: RetrievalSummary) -> None:
    chosen = {
        type_name: {
            name.rpartition("@")[2]: mean for name, mean in means.items() if _IN_CONTEXT in name
        }
        for type_name, means in summary.by_type.items()
    }
    rows = {type_name: means for type_name, means in chosen.items() if means}
    _print_matrix(console, rows, first="in context, by type")


def _by_kind(means: Mapping[str, Mean]) -> dict[str, dict[str, Mean]]:
    """Return metrics by what stands before the sign, then by what stands behind it."""
    found: dict[str, dict[str, Mean]] = {}
    for name, mean in means.items():
        kind, _, limit = name.partition("@")
        found.setdefault(kind, {})[limit] = mean
    return found


def _print_matrix(console: Console, rows: Mapping[str, Mapping[str, Mean]], *, first: str) -> None:
    limits = sorted({limit for row in rows.values() for limit in row}, key=_number)
    if not limits:
        return
    table = Table(first, *(f"@{limit}" if limit else "" for limit in limits), box=SIMPLE_HEAD)
    for name, row in rows.items():
        table.add_row(name, *_cells(row, limits))
    console.print(table)


def _cells(row: Mapping[str, Mean], limits: Iterable[str]) -> list[str]:
    return [
        f"{row[limit].mean:.3f} ({row[limit].low:.3f}-{row[limit].high:.3f})"
        if limit in row
        else ""
        for limit in limits
    ]


def _number(limit: str) -> int:
    return int(limit or 0)
