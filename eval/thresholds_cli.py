"""`windowfit eval thresholds`: fits the thresholds of escalation on the answers of a comparison."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from chunking.errors import InputError
from eval.comparison import Comparison, read_comparison
from eval.figures import spell_mean
from eval.packages import SCIPY_STATS, load_package
from eval.thresholds import LabelledAnswer, ThresholdFit, fit_thresholds
from serve.escalation import Thresholds


def thresholds(
    comparison: Annotated[
        Path, typer.Argument(help="JSON file of a finished comparison, or it gzipped.")
    ],
    *,
    arm: Annotated[str, typer.Option(help="Arm whose answers are to be escalated or kept.")],
    misses_worth: Annotated[
        float,
        typer.Option(
            min=0,
            max=1_000_000,
            help="Needless escalations that weigh as much as a wrong answer.",
        ),
    ] = 3.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the halves and the intervals.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Fit the thresholds by which a service asks a better model, and say what they are worth.

    They are fitted on one half of the answers and measured on the other; the figures are of that
    half. The last lines can be copied into windowfit.toml. No model is called.
    """
    load_package(SCIPY_STATS)
    answers = labelled_answers(read_comparison(comparison), arm=arm)
    fit = fit_thresholds(answers, misses_worth=misses_worth, seed=seed)
    if as_json:
        told = {"arm": arm, **asdict(fit), "settings": _settings(fit.thresholds)}
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in _tell(fit, arm=arm)))


def labelled_answers(comparison: Comparison, *, arm: str) -> tuple[LabelledAnswer, ...]:
    """Return an arm's answers with what a service sees of them and whether they are right.

    A question that got no answer is passed over: a service does not weigh it, it falls back.

    Raises:
        InputError: there is no such arm, or it is a route, whose answers are of two models.
    """
    facts = {one.name: one for one in comparison.run.arms}
    asked = [name for name, one in facts.items() if not one.route]
    if arm not in asked:
        raise InputError(
            f"arm {arm!r} {'is a route' if arm in facts else 'is not in this comparison'}",
            hint=f"choose of {', '.join(asked)}",
            param="arm",
        )
    return tuple(
        LabelledAnswer(cell.question, cell.score.signals, cell.score.correct)
        for cell in comparison.cells
        if cell.arm == arm and cell.score.signals is not None
    )


def _settings(fitted: Thresholds) -> dict[str, float]:
    """Return the settings of thresholds as they are told."""
    return {
        "escalation_grounding": round(fitted.grounding, 4),
        "escalation_support": round(fitted.support, 4),
        "escalation_declined_support": round(fitted.declined_support, 4),
    }


def _tell(fit: ThresholdFit, *, arm: str) -> Iterator[str]:
    yield f"fitted on {fit.fitted:,} answers of {arm}, measured on {fit.measured:,} others"
    figures = {
        "right, with nothing escalated": fit.accuracy,
        "escalated": fit.escalated,
        "of the escalated, wrong": fit.precision,
        "of the wrong, escalated": fit.recall,
        "of the kept, right": fit.kept_accuracy,
        "confidence parts right from wrong (AUROC)": fit.auroc,
    }
    for name, mean in figures.items():
        yield f"  {name}: {'none' if mean is None else spell_mean(mean)}"
    yield "[serve]"
    for key, value in _settings(fit.thresholds).items():
        yield f"{key} = {value:g}"
