"""Sets a comparison as the sections of its report, those that every decision needs first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eval.comparison import ArmFacts, Comparison
from eval.figures import count_right, spell_range, spell_share, spell_usd
from eval.html.parts import Kind, section, table
from eval.html.quality import (
    accuracy_section,
    differences_section,
    quality_section,
    sight_section,
)
from eval.html.spending import break_even_section, cost_section, latency_section, spell_times


def make_sections(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """Yield the sections of a comparison that stand before its questions."""
    yield _summary(comparison)
    yield accuracy_section(comparison.arms)
    if comparison.pairs:
        yield differences_section(comparison)
    yield latency_section(comparison)
    yield cost_section(comparison.arms)
    yield break_even_section(comparison)
    yield sight_section(comparison.arms)
    yield quality_section(comparison.arms)


def _summary(comparison: Comparison) -> dict[str, Any]:
    stand_ins = {arm.name for arm in comparison.run.arms if arm.stand_in}
    columns: list[tuple[str, Kind]] = [
        ("arm", "text"),
        ("right", "number"),
        ("share", "number"),
        ("95 % interval", "number"),
        ("p50", "number"),
        ("p95", "number"),
        ("per 1,000 questions", "number"),
        ("corpus seen", "number"),
        ("prompts truncated", "number"),
    ]
    rows = [
        (
            f"{arm.arm} (a stand-in)" if arm.arm in stand_ins else arm.arm,
            f"{count_right(arm.accuracy):,} of {arm.questions:,}",
            spell_share(arm.accuracy.mean),
            spell_range(arm.accuracy.low, arm.accuracy.high),
            *spell_times(arm.total_seconds),
            spell_usd(arm.cost_per_1000_usd),
            spell_share(arm.coverage_percent / 100),
            spell_share(arm.truncated.mean),
        )
        for arm in comparison.arms
    ]
    reading = "Every arm was asked the same questions. What is behind each figure stands below."
    made = table("One row for each arm", columns, rows)
    return section("summary", "At a glance", reading, tables=[made])


def describe_run(comparison: Comparison) -> dict[str, Any]:
    """Return the arms and the run, as the last section."""
    run = comparison.run
    columns: list[tuple[str, Kind]] = [("arm", "text"), ("profile", "text"), ("model", "text")]
    columns += [("runs", "text"), ("window", "number"), ("mode", "text"), ("cap", "number")]
    columns += [("answer", "number")]
    facts = [
        ("questions", f"{run.questions_file}, {len(comparison.questions):,} questions"),
        ("sha256 of the questions", run.questions_sha256),
        ("collection", f"{run.collection}, {run.documents:,} documents in {run.chunks:,} chunks"),
        *run.fingerprint.items(),
        ("answered", _answered(comparison)),
        ("calls at a time", f"{run.parallel:,}"),
        ("seed of the intervals", str(run.seed)),
        ("judge", run.judge or "none"),
        *((f"version of {name}", version) for name, version in run.versions.items()),
    ]
    return section(
        "run",
        "How it was run",
        "Enough to run it again. Cap: most tokens of retrieved text, where that is not left to the "
        "window; answer: most tokens of an answer.",
        tables=[
            table("Arms", columns, map(_arm_row, run.arms)),
            table("Run", [("fact", "text"), ("value", "text")], facts),
        ],
        notes=[_route_note(arm) for arm in run.arms if arm.route],
    )


def _answered(comparison: Comparison) -> str:
    """Return when the answers were made: a run that goes on keeps those of the days before."""
    made = [cell.made_at for cell in comparison.cells] or [comparison.run.finished_at]
    return f"{min(made):%Y-%m-%d %H:%M %Z} to {max(made):%Y-%m-%d %H:%M %Z}"


def _arm_row(arm: ArmFacts) -> tuple[str, ...]:
    cap = "the window" if arm.budget is None else f"{arm.budget:,}"
    answer = "by profile" if arm.reserved_output is None else f"{arm.reserved_output:,}"
    mode = f"{arm.mode}, oracle" if arm.oracle else arm.mode
    return (arm.name, arm.profile, arm.model, arm.place, f"{arm.window:,}", mode, cap, answer)


def _route_note(arm: ArmFacts) -> str:
    doubts = ", ".join(arm.doubts) or "nothing"
    at = arm.thresholds
    policy = (
        ""
        if at is None
        else f" Policy is that of a service: grounding below {at.grounding:g}, support below "
        f"{at.support:g}, or declined with a support of at least {at.declined_support:g}."
    )
    asks = f"{arm.name} asks {', then '.join(arm.route)}"
    return f"{asks} where an answer is in doubt: {doubts}.{policy}"
