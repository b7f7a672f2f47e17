"""`windowfit eval retrieval` and `significance`: measure how well a collection is searched."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track

from chunking.document import Chunk
from chunking.errors import InputError
from eval.datasets import RetrievalSet
from eval.packages import IR_MEASURES, SCIPY_STATS, load_package
from eval.questions import Question, sample_questions
from eval.results import read_results, write_results
from eval.searching.collection import ingest_set
from eval.searching.layouts import DEFAULT_SPLIT, load_retrieval_set
from eval.searching.retrieval import (
    DEFAULT_BUDGETS,
    DEFAULT_LIMITS,
    Measurement,
    QuestionResult,
    find_gold,
    metric_names,
)
from eval.searching.summary import (
    RetrievalSummary,
    summarize_latency,
    summarize_metrics,
    summarize_types,
)
from eval.searching.tables import print_differences, print_summary
from eval.searching.timing import RememberingEmbedder
from eval.statistics import compare_all
from eval.written import check_writable
from ingest.progress import show_progress
from ingest.workbench import Workbench
from retrieval.providers import open_splitter
from retrieval.settings import IndexSettings
from serve.plan import Ask, make_plan
from serve.profiles import find_profile
from serve.runtime import Runtime
from serve.settings import ServeSettings

GATE_FAILED = 5
"""Exit code of a measurement below `--at-least`."""


Ranks = Annotated[
    list[int] | None, typer.Option("--k", min=1, help="Ranks to measure at; repeat it.")
]
Budgets = Annotated[
    list[int] | None, typer.Option(min=1, help="Tokens of context to measure at; repeat it.")
]
Gates = Annotated[
    list[str] | None,
    typer.Option(metavar="METRIC=VALUE", help="Exit with 5 below it; repeat it."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print no progress.")]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be measured, checked before anything is embedded."""

    dataset: RetrievalSet
    questions: tuple[Question, ...]
    limits: tuple[int, ...]
    budgets: tuple[int, ...]
    seed: int
    own_collection: bool
    quiet: bool


def retrieval(
    dataset: Annotated[
        Path,
        typer.Argument(
            help="Folder in the layout of BEIR or of Chroma's chunking benchmark, or a .jsonl file "
            "of questions with evidence."
        ),
    ],
    *,
    collection: Annotated[
        str | None,
        typer.Option(help="Collection to search; by default one of the data set's own."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Profile whose prompt and tokenizer budgets go by.")
    ] = None,
    split: Annotated[str, typer.Option(help="Judgements of BEIR to use.")] = DEFAULT_SPLIT,
    type_name: Annotated[
        str | None, typer.Option("--type", help="Only questions of this type.")
    ] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="How many, drawn at random.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draw and the intervals.")] = 0,
    k: Ranks = None,
    budget: Budgets = None,
    at_least: Gates = None,
    out: Annotated[
        Path | None, typer.Option(help="Write every question's result here, as JSON lines.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Search every question of a data set, and measure what is found against its gold.

    The set's documents are ingested first, into a collection of their own; a second run embeds
    nothing. No model is called.
    """
    for package in (IR_MEASURES, SCIPY_STATS):
        load_package(package)
    loaded = load_retrieval_set(dataset, split=split)
    drawn = sample_questions(loaded.questions, type_name=type_name, size=sample, seed=seed)
    limits = tuple(sorted(set(k or DEFAULT_LIMITS[loaded.layout])))
    budgets = tuple(sorted(set(budget or DEFAULT_BUDGETS)))
    gates = _gates(at_least or (), metric_names(drawn, loaded.layout, limits, budgets))
    if out is not None:
        check_writable(out)
    own = collection is None and loaded.documents is not None
    wanted = Wanted(loaded, drawn, limits, budgets, seed, own, quiet)
    settings = ServeSettings.load(collection=collection, model=model)
    summary, results = measure_set(wanted, settings, IndexSettings.load())
    if out is not None:
        write_results(results, out)
    if as_json:
        _print_json(asdict(summary))
    else:
        print_summary(summary)
    _judge(summary, gates)


def significance(
    first: Annotated[Path, typer.Argument(help="Results by question, as --out wrote them.")],
    second: Annotated[Path, typer.Argument(help="Results of the same questions otherwise.")],
    *,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 0,
    as_json: Json = False,
) -> None:
    """Tell for every metric how much the second configuration differs from the first.

    Differences are second minus first over the questions that both have, with the 95 % interval of
    a paired bootstrap and the two-sided p of a permutation test; where all values are 0 or 1, with
    Tango's interval for pairs and McNemar's exact test.
    """
    one, other = read_results(first), read_results(second)
    shared = one.keys() & other.keys()
    compared = compare_all(one, other, seed=seed)
    if not compared:
        raise InputError(
            f"{first} and {second} have {len(shared)} questions and no metric in common",
            hint="compare two results of one data set, made with the same --k and --budget",
        )
    unpaired = len(one.keys() ^ other.keys())
    if unpaired:
        sys.stderr.write(f"{unpaired:,} questions stand in one file alone and are left out\n")
    if as_json:
        told = {name: asdict(difference) for name, difference in compared.items()}
        _print_json({"paired": len(shared), "unpaired": unpaired, "metrics": told})
    else:
        print_differences(compared)


def measure_set(
    wanted: Wanted, settings: ServeSettings, index_settings: IndexSettings
) -> tuple[RetrievalSummary, tuple[QuestionResult, ...]]:
    """Return what was measured of a set, ingested first where its documents come with it."""
    runtime = Runtime.open(index_settings, settings, secrets=os.environ)
    try:
        collection = settings.collection
        if wanted.own_collection:
            collection = _ingest(wanted, runtime, index_settings)
        embedder = RememberingEmbedder(runtime.embedder)
        runtime.embedder = embedder
        profile = find_profile(runtime.profiles, settings.model)
        searcher = runtime.searcher(collection, profile=profile)
        catalog = searcher.catalog()
        questions, missing = find_gold(wanted.questions, catalog, collection=collection)
        measurement = Measurement(
            wanted.dataset.layout,
            searcher,
            embedder,
            _planner(runtime, collection, settings.model, wanted.budgets),
            wanted.limits,
            wanted.budgets,
        )
        results = measurement.measure(questions, watch=partial(_watch, quiet=wanted.quiet))
    finally:
        asyncio.run(runtime.close())
    summary = RetrievalSummary(
        dataset=wanted.dataset.name,
        layout=wanted.dataset.layout,
        collection=collection,
        embedder=runtime.fingerprint.embedder,
        splitter=runtime.fingerprint.splitter,
        documents=len(catalog.records),
        chunks=catalog.chunk_count,
        questions=len(results),
        answerable=sum(result.answerable for result in results),
        missing_documents=len(missing),
        metrics=summarize_metrics(results, seed=wanted.seed),
        by_type=summarize_types(results, seed=wanted.seed),
        latency_ms=summarize_latency(results),
    )
    return summary, results


def _ingest(wanted: Wanted, runtime: Runtime, settings: IndexSettings) -> str:
    splitter = open_splitter(settings, runtime.embedder)
    bench = Workbench(settings, runtime.engine, runtime.embedder, splitter)
    with show_progress(quiet=wanted.quiet) as show:
        return ingest_set(wanted.dataset, bench, on_progress=show)


def _planner(
    runtime: Runtime, collection: str, model: str, budgets: Sequence[int]
) -> Callable[[str, int], Sequence[Chunk]]:
    """Return what plans a question under a budget, as a request for the model would be.

    The window is taken as wide as the largest budget asks for, so that one profile serves all.
    """
    profile = find_profile(runtime.profiles, model)
    wide = replace(profile, window=profile.window + max(budgets), input_limit=None)
    counter = runtime.counter(profile)
    searcher = runtime.searcher(collection, profile=profile)

    def kept_under(question: str, budget: int) -> Sequence[Chunk]:
        ask = Ask(question, collection, model, max_context_tokens=budget)
        return make_plan(ask, profile=wide, counter=counter, searcher=searcher).context.chunks

    return kept_under


def _watch(questions: Sequence[Question], *, quiet: bool) -> Iterable[Question]:
    """Yield the questions behind a bar, where there is a terminal."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        return questions
    return track(questions, description="searching", console=console, transient=True)


def _gates(stated: Sequence[str], known: Sequence[str]) -> dict[str, float]:
    """Return the least that metrics may be.

    Raises:
        InputError: a gate is no METRIC=VALUE, or of a metric that is not measured.
    """
    gates = {}
    for gate in stated:
        name, _, value = gate.rpartition("=")
        if name not in known:
            raise InputError(
                f"--at-least {gate}: no metric {name!r} is measured here",
                hint=f"METRIC=VALUE with one of: {', '.join(known)}",
                param="at_least",
            )
        try:
            gates[name] = float(value)
        except ValueError as error:
            raise InputError(f"--at-least {gate}: {value!r} is no number") from error
        if not isfinite(gates[name]):
            # Nothing is below NaN, so that such a gate would always be met.
            raise InputError(f"--at-least {gate}: {value!r} is no number", param="at_least")
    return gates


def _judge(summary: RetrievalSummary, gates: Mapping[str, float]) -> None:
    """End with the code of a failed gate where a metric is below what it must be at least."""
    failed = {name: least for name, least in gates.items() if summary.metrics[name].mean < least}
    for name, least in failed.items():
        told = f"gate failed: {name} is {summary.metrics[name].mean:.4f}, at least {least} wanted"
        sys.stderr.write(told + "\n")
    if failed:
        raise typer.Exit(GATE_FAILED)


def _print_json(value: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
