"""Prints what a window is measured to be, for people and as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.table import Table

from eval.statistics import Difference, Mean
from eval.window.cases import WindowCase
from eval.window.summary import WindowSummary
from serve.tables import wide_console


def print_window(summary: WindowSummary) -> None:
    """Print accuracy by size and by place of the evidence, then the sentence that sums it up."""
    console = wide_console()
    table = Table(box=SIMPLE_HEAD)
    for name in ("window", "right", "evidence held", "right where held", "prompt tokens"):
        table.add_column(name, justify="right")
    for one in summary.sizes:
        shares = map(_share, (one.accuracy, one.in_context, one.given_evidence))
        table.add_row(f"{one.size:,}", *shares, f"{one.prompt_tokens:,.0f}")
    console.print(table)
    if summary.positions:
        placed = Table(box=SIMPLE_HEAD)
        for name in (f"evidence at {summary.placed_at:,}", "right", "against first"):
            placed.add_column(name, justify="right")
        for position, mean in summary.positions.items():
            against = summary.moved.get(position)
            placed.add_row(position, _share(mean), "" if against is None else _points(against))
        console.print(placed)
    console.print(f"{summary.model}, {summary.questions:,} questions, 95 % intervals", markup=False)
    console.print(summary.sentence, markup=False, soft_wrap=True)


def print_estimate(cases: Iterable[WindowCase], *, as_json: bool) -> None:
    """Print how many calls and prompt tokens would be sent, by size."""
    calls: dict[int, int] = {}
    tokens: dict[int, int] = {}
    for case in cases:
        calls[case.size] = calls.get(case.size, 0) + 1
        tokens[case.size] = tokens.get(case.size, 0) + case.prompt_tokens
    if as_json:
        told = {"calls": calls, "prompt_tokens": tokens}
        sys.stdout.write(json.dumps(told) + "\n")
        return
    for size, count in calls.items():
        sys.stdout.write(f"window {size:,}: {count:,} calls, {tokens[size]:,} prompt tokens\n")
    total = f"{sum(calls.values()):,} calls, {sum(tokens.values()):,} prompt tokens planned"
    sys.stdout.write(f"{total}; none was made\n")


def _share(mean: Mean | None) -> str:
    if mean is None:
        return "-"
    return f"{mean.mean:.1%} ({mean.low:.1%} to {mean.high:.1%})"


def _points(one: Difference) -> str:
    return f"{one.difference * 100:+.1f} ({one.low * 100:+.1f} to {one.high * 100:+.1f})"
