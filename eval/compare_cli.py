"""`windowfit eval compare`: the same questions through several arms, with intervals and costs."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track

from chunking.errors import InputError, StoreLocked
from eval.arms import choose_arms, read_arms
from eval.asked import load_asked, sample_asked
from eval.cells import AskedQuestion
from eval.comparing import Comparer, Wanted
from eval.comparison import Comparison, write_comparison
from eval.comparison_tables import describe_gate, print_comparison, print_estimates, write_csv
from eval.gates import Gate, GateResult, check_gates, parse_gate
from eval.kept_cells import CellStore
from eval.packages import SCIPY_STATS, load_package
from eval.report import write_report
from eval.retrieval_cli import GATE_FAILED, Json, Quiet
from eval.run import Estimate
from eval.written import check_writable, write_text
from retrieval.lock import FolderLock
from retrieval.settings import IndexSettings
from serve.cost import LARGEST_GIVEN, SMALLEST_GIVEN
from serve.runtime import Runtime
from serve.schema import as_json as to_json
from serve.settings import ServeSettings
from serve.tables import wide_console

_UNAVAILABLE = 4
"""Exit code of a comparison that lacks answers because a server failed."""
_JSON, _CSV, _HTML = "comparison.json", "comparison.csv", "comparison.html"
"""What is written into the folder of the run, in this order."""

Questions = Annotated[
    Path, typer.Option(help="JSON-lines file of questions with their right answers.")
]
Arms = Annotated[
    str,
    typer.Option(
        help="Arms by name or as [NAME=]PROFILE:MODE[:BUDGET] or "
        "[NAME=]self-route:FIRST:SECOND, separated by commas."
    ),
]
ArmsFile = Annotated[Path | None, typer.Option(help="TOML file that declares arms as [arms.NAME].")]
Folder = Annotated[Path, typer.Option(help="Folder that keeps every answer; the same one goes on.")]
Types = Annotated[
    list[str] | None, typer.Option("--type", help="Only questions of this type; repeat it.")
]
PerType = Annotated[
    int | None, typer.Option(min=1, help="So many questions of each type, at random.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the draw and the intervals.")]
Parallel = Annotated[int, typer.Option(min=1, max=256, help="Most calls at a time.")]
CostLimit = Annotated[
    str | None,
    typer.Option(
        "--max-usd", "--cost-limit-usd", help="Most US dollars that the folder's calls may cost."
    ),
]
GateTexts = Annotated[
    list[str] | None,
    typer.Option(help="Condition such as 'a.accuracy >= b.accuracy - 0.05'; exit 5 if not met."),
]
JudgeName = Annotated[
    str | None, typer.Option(help="Profile of a language model that judges beside the rules.")
]
Hardware = Annotated[
    str | None, typer.Option(help="Cost of the local arms' hardware, for the break-even.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print calls, tokens and price; call nothing.")
]


def compare(
    questions: Questions,
    arms: Arms,
    *,
    arms_file: ArmsFile = None,
    collection: Annotated[str | None, typer.Option(help="Collection to ask.")] = None,
    run: Folder = Path("comparison"),
    type_names: Types = None,
    per_type: PerType = None,
    seed: Seed = 0,
    parallel: Parallel = 1,
    cost_limit_usd: CostLimit = None,
    gate: GateTexts = None,
    judge: JudgeName = None,
    hardware_usd_per_month: Hardware = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Ask the same questions of several arms: what is right, how fast, and for how much.

    Everything is checked before the first call. Each answer is kept: a second run makes no call.
    Writes comparison.html, comparison.json and comparison.csv into the folder of the run.
    """
    load_package(SCIPY_STATS)
    declared = read_arms(arms_file) if arms_file else {}
    loaded = load_asked(questions)
    settings = ServeSettings.load(collection=collection)
    wanted = Wanted(
        loaded,
        sample_asked(loaded, types=type_names or (), size=per_type, seed=seed),
        choose_arms(arms, declared),
        declared,
        settings.collection,
        seed=seed,
        parallel=parallel,
        cost_limit_usd=_usd(cost_limit_usd, "max_usd"),
        judge=judge,
        hardware_usd_per_month=_usd(hardware_usd_per_month, "hardware_usd_per_month"),
        upstream_check=settings.upstream_check,
        sensitivity=settings.request_sensitivity,
    )
    gates = _gates(gate or (), wanted)
    watch = partial(_watch, quiet=quiet)
    made = asyncio.run(_run(wanted, settings, run, dry_run=dry_run, watch=watch))
    if isinstance(made, Comparison):
        _finish(made, gates, run, as_json=as_json)
    elif as_json:
        _print_json({"estimates": [to_json(one) for one in made]})
    else:
        print_estimates(made, wide_console())


def _gates(stated: Sequence[str], wanted: Wanted) -> tuple[Gate, ...]:
    types = sorted({question.type for question in wanted.asked})
    names = [arm.name for arm in wanted.arms]
    return tuple(parse_gate(text, arms=names, types=types) for text in stated)


async def _run(
    wanted: Wanted, settings: ServeSettings, folder: Path, *, dry_run: bool, watch: Any
) -> Comparison | tuple[Estimate, ...]:
    with ExitStack() as opened:
        opened.callback(_hold(folder).release)
        for name in (_JSON, _CSV, _HTML):
            check_writable(folder / name, param="run", give="another folder")
        store = opened.enter_context(CellStore(folder / "calls.sqlite3"))
        runtime = Runtime.open(IndexSettings.load(), settings, secrets=os.environ)
        try:
            comparer = Comparer.open(wanted, runtime, store)
            if dry_run:
                return comparer.estimate(watch)
            return await comparer.compare(watch)
        finally:
            await runtime.close()


def _hold(folder: Path) -> FolderLock:
    """Keep other runs out of the folder: they would make the same calls, and pay them twice."""
    with suppress(OSError):  # the lock says what is wrong with the folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return FolderLock(folder)
    except StoreLocked as error:
        hint = "wait until it has ended, or give another folder with --run"
        raise StoreLocked(error.message.replace("the store at", "the run in"), hint=hint) from error


def _finish(comparison: Comparison, gates: Sequence[Gate], folder: Path, *, as_json: bool) -> None:
    write_comparison(comparison, folder / _JSON)
    write_text(write_csv(comparison), folder / _CSV)
    write_report(comparison, folder / _HTML)
    results = check_gates(gates, comparison)
    if as_json:
        _print_json(
            {
                "comparison": str(folder / _JSON),
                "html": str(folder / _HTML),
                "complete": comparison.run.complete,
                "arms": [to_json(arm) for arm in comparison.arms],
                "pairs": [to_json(pair) for pair in comparison.pairs],
                "break_even": [to_json(one) for one in comparison.break_even],
                "gates": [asdict(result) for result in results],
            }
        )
    else:
        print_comparison(comparison, wide_console())
        sys.stdout.write(f"report: {folder / _HTML}\n")
    _end(comparison, results)


def _end(comparison: Comparison, results: Sequence[GateResult]) -> None:
    """End with 4 where answers are missing, then with 5 where a gate is not met."""
    for result in results:
        if not result.met:
            sys.stderr.write(describe_gate(result) + "\n")
    if not comparison.run.complete:
        missing = sum(cell.retryable for cell in comparison.cells)
        sys.stderr.write(
            f"{missing:,} cells have no answer because a server failed; the same command asks "
            "again, and no gate is met until then\n"
        )
        raise typer.Exit(_UNAVAILABLE)
    if not all(result.met for result in results):
        raise typer.Exit(GATE_FAILED)


def _usd(text: str | None, param: str) -> Decimal | None:
    if text is None:
        return None
    flag = f"--{param.replace('_', '-')}"
    try:
        usd = Decimal(text)
    except ArithmeticError:
        usd = Decimal("NaN")
    if not usd.is_finite() or usd < 0:
        told = f"{text!r} is no amount"
    elif usd > LARGEST_GIVEN:
        told = f"{text} is more than {LARGEST_GIVEN:,.0f}"
    elif usd and usd < SMALLEST_GIVEN:
        told = f"{text} is less than {SMALLEST_GIVEN:f}, and not 0"
    else:
        return usd
    raise InputError(f"{flag} {told}", hint=f"{flag} 2.50", param=param)


def _watch(
    name: str, questions: Sequence[AskedQuestion], *, quiet: bool
) -> Iterable[AskedQuestion]:
    """Yield the questions behind a bar, where there is a terminal."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        return questions
    return track(questions, description=name, console=console, transient=True)


def _print_json(value: Any) -> None:

    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
