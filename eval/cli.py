"""`windowfit eval …`: measures retrieval and answers."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from eval.compare_cli import compare
from eval.context import score_contexts
from eval.questions import load_questions, sample_questions
from eval.questions_cli import questions as make
from eval.report_cli import report
from eval.retrieval_cli import GATE_FAILED, retrieval, significance
from eval.thresholds_cli import thresholds
from eval.window_cli import window
from retrieval.settings import IndexSettings
from serve.runtime import Runtime
from serve.settings import ServeSettings

app = typer.Typer(no_args_is_help=True, help="Measure retrieval and answers.")
app.command()(retrieval)
app.command()(significance)
app.command("questions")(make)
app.command()(compare)
app.command()(window)
app.command()(report)
app.command()(thresholds)


@app.command()
def context(
    questions: Annotated[Path, typer.Option(help="JSON-lines file of questions with evidence.")],
    *,
    collection: Annotated[str | None, typer.Option(help="Collection to ask.")] = None,
    model: Annotated[str | None, typer.Option(help="Profile whose window is filled.")] = None,
    max_context_tokens: Annotated[
        int | None, typer.Option(min=1, help="Cap on retrieved text.")
    ] = None,
    type_name: Annotated[
        str | None, typer.Option("--type", help="Only questions of this type.")
    ] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="How many, drawn at random.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    at_least: Annotated[
        float, typer.Option(min=0, max=1, help="Exit with 5 below this share.")
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Count the questions whose evidence stands in the context that would be sent.

    No model is called: only what the prompt holds is looked at.
    """
    settings = ServeSettings.load(collection=collection, model=model)
    drawn = sample_questions(load_questions(questions), type_name=type_name, size=sample, seed=seed)
    runtime = Runtime.open(IndexSettings.load(), settings, secrets=os.environ)
    try:
        score = score_contexts(
            drawn,
            plan=runtime.plan,
            collection=settings.collection,
            model=settings.model,
            max_context_tokens=max_context_tokens,
        )
    finally:
        asyncio.run(runtime.close())
    if as_json:
        sys.stdout.write(json.dumps(asdict(score)) + "\n")
    else:
        room = f"{max_context_tokens:,} tokens" if max_context_tokens else "the model's window"
        sys.stdout.write(
            f"answer in context at {room}: {score.found} of {score.questions} questions "
            f"({score.share:.1%}, 95 % interval {score.low:.1%} to {score.high:.1%})\n"
        )
        for missed in score.missed:
            sys.stdout.write(f"  missed: {missed}\n")
    if score.share < at_least:
        raise typer.Exit(GATE_FAILED)
