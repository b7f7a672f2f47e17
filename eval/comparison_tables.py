"""Shows comparisons: as tables for people, and as CSV with one line for each cell."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from eval.cells import Cell
from eval.comparison import ArmSummary, Comparison, Percentiles, tell_oracle
from eval.gates import GateResult
from eval.run import Estimate
from eval.statistics import Mean

_NONE = "-"


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print what a comparison says: arms, accuracy by type, pairs, and what it rests on."""
    run = comparison.run
    asked = f"{len(comparison.questions):,} questions of {run.questions_file}"
    of = f"{run.documents:,} documents of {run.collection}"
    console.print(f"{asked} about {of}; shares with 95 % intervals", markup=False)
    console.print(_arms(comparison.arms))
    console.print(_types(comparison))
    if comparison.pairs:
        console.print(_pairs(comparison))
    for arm in run.arms:
        if arm.stand_in:
            console.print(f"{arm.name}: {arm.stand_in}", markup=False)
        if arm.oracle:
            console.print(f"{arm.name} {tell_oracle(arm)}", markup=False)
    for one in comparison.break_even:
        console.print(
            f"{one.local} costs less than {one.cloud} from {one.questions_per_month:,} questions a "
            f"month: {one.hardware_usd_per_month} USD of hardware / {one.saved_usd_per_question:f} "
            "USD saved by a question",
            markup=False,
        )
    for arm_summary in comparison.arms:
        if arm_summary.judge is not None:
            console.print(_judge(arm_summary), markup=False)
    if not comparison.run.complete:
        console.print("not complete: questions failed; the same command asks them again")


def print_estimates(estimates: Sequence[Estimate], console: Console) -> None:
    """Print what calls would take, before one is made."""
    table = Table(box=SIMPLE_HEAD)
    for name in ("arm", "questions", "kept", "calls", "refused", "prompt tokens"):
        table.add_column(name, justify="left" if name == "arm" else "right")
    table.add_column("answer tokens at most", justify="right")
    table.add_column("USD at most", justify="right")
    for one in estimates:
        counts = (one.questions, one.kept, one.calls, one.refused, one.prompt_tokens)
        shown = [f"{count:,}" for count in (*counts, one.output_tokens_at_most)]
        table.add_row(escape(one.arm), *shown, f"{one.usd_at_most:f}")
    console.print(table)
    total = sum((one.usd_at_most for one in estimates), start=0 * estimates[0].usd_at_most)
    calls = sum(one.calls for one in estimates)
    console.print(f"{calls:,} calls, {total:f} USD at most; planned, nothing was called")


def describe_gate(result: GateResult) -> str:
    """Return one line on a gate."""
    sides = [_NONE if side is None else f"{side:.6g}" for side in (result.left, result.right)]
    return f"gate {'met' if result.met else 'failed'}: {result.text} ({sides[0]} and {sides[1]})"


def write_csv(comparison: Comparison) -> str:
    """Return one line for each cell, with what rules and servers said of it; no texts."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_COLUMNS)
    types = {question.id: question.type for question in comparison.questions}
    for cell in comparison.cells:
        writer.writerow(_row(cell, types[cell.question]))
    return stream.getvalue()


_COLUMNS = (
    "question type arm answered_by doubt correct reason abstained stale grounded in_context f1 "
    "truncated coverage_percent prompt_tokens cached_tokens output_tokens tokens_source usd "
    "hardware_usd first_seconds total_seconds finish_reason error judged_correct made_at"
).split()


def _row(cell: Cell, type_name: str) -> list[object]:
    score, tokens = cell.score, cell.tokens
    judged = None if cell.verdict is None else cell.verdict.correct
    row = [
        *(cell.question, type_name, cell.arm, cell.answered_by, cell.doubt),
        *(score.correct, score.reason, score.abstained, score.stale, score.grounded),
        *(score.in_context, score.f1, score.truncated, score.coverage_percent),
        *(tokens.prompt, tokens.cached, tokens.output, tokens.source),
        *(f"{cell.cost.usd:f}", f"{cell.cost.hardware_usd:f}"),
        *(cell.seconds.first, cell.seconds.total, cell.finish_reason, cell.error, judged),
        cell.made_at.isoformat(),
    ]
    return [_plain(value) for value in row]


def _plain(value: object) -> object:
    """Return a value that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t"}:
        return f"'{value}"
    return value


def _arms(arms: Sequence[ArmSummary]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("")
    for arm in arms:
        table.add_column(escape(arm.arm), justify="right")
    rows = {
        "accuracy": [_share(arm.accuracy) for arm in arms],
        "set F1": [_share_of(arm.set_f1, arm) for arm in arms],
        "declined, unanswerable": [_share_of(arm.abstention, arm) for arm in arms],
        "declined, answerable": [_share_of(arm.refusal, arm) for arm in arms],
        "stale": [_share_of(arm.stale, arm) for arm in arms],
        "grounded": [_share_of(arm.grounded, arm) for arm in arms],
        "answer in context": [_share_of(arm.in_context, arm) for arm in arms],
        "truncated": [_share(arm.truncated) for arm in arms],
        "escalated": [_share(arm.escalated) for arm in arms],
        "corpus in the prompt": [f"{arm.coverage_percent:.2f} %" for arm in arms],
        "first piece, p50 / p95": [_seconds(arm.first_seconds) for arm in arms],
        "whole answer, p50 / p95": [_seconds(arm.total_seconds) for arm in arms],
        "prompt tokens": [f"{arm.tokens.prompt:,}" for arm in arms],
        "of them cached": [f"{arm.tokens.cached:,}" for arm in arms],
        "answer tokens": [f"{arm.tokens.output:,}" for arm in arms],
        "USD per 1,000 questions": [f"{arm.cost_per_1000_usd:.4f}" for arm in arms],
        "without an answer": [f"{arm.failed:,}" for arm in arms],
    }
    for name, cells in rows.items():
        if any(cell != _NONE for cell in cells):
            table.add_row(name, *cells)
    return table


def _types(comparison: Comparison) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("accuracy by type")
    for arm in comparison.arms:
        table.add_column(escape(arm.arm), justify="right")
    for type_name in sorted({question.type for question in comparison.questions}):
        shares = [_share(arm.by_type.get(type_name)) for arm in comparison.arms]
        table.add_row(escape(type_name), *shares)
    return table


def _pairs(comparison: Comparison) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for name in ("first", "second", "difference in accuracy", "95 % interval"):
        table.add_column(name, justify="left" if name in {"first", "second"} else "right")
    for name in ("only first right", "only second right", "McNemar p"):
        table.add_column(name, justify="right")
    for pair in comparison.pairs:
        one = pair.accuracy
        table.add_row(
            escape(pair.first),
            escape(pair.second),
            f"{one.difference:+.3f}",
            f"{one.low:+.3f} to {one.high:+.3f}",
            f"{pair.first_only:,}",
            f"{pair.second_only:,}",
            f"{pair.mcnemar_p:.4f}",
        )
    return table


def _judge(arm: ArmSummary) -> str:
    if arm.judge is None:
        return ""
    kappa = _NONE if arm.judge.kappa is None else f"{arm.judge.kappa:.2f}"
    return (
        f"{arm.arm}: the judge has {arm.judge.judged_accuracy:.1%} right, and agrees with the "
        f"rules on {arm.judge.agreed:,} of {arm.judge.judged:,} (kappa {kappa})"
    )


def _share(mean: Mean | None) -> str:
    return _NONE if mean is None else f"{mean.mean:.3f} ({mean.low:.3f}-{mean.high:.3f})"


def _share_of(mean: Mean | None, arm: ArmSummary) -> str:
    """Return a share, and of how many questions where these are not all of the arm's."""
    shown = _share(mean)
    return (
        shown
        if mean is None or mean.questions == arm.questions
        else f"{shown} of {mean.questions:,}"
    )


def _seconds(one: Percentiles | None) -> str:
    return _NONE if one is None else f"{one.p50:.2f} / {one.p95:.2f} s"
