"""Sections of a report about quality: right answers, differences, what the models saw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from eval.comparison import ArmSummary, Comparison
from eval.figures import spell_p, spell_share, spell_usd
from eval.html.findings import spell_difference, winner
from eval.html.parts import (
    OPEN,
    Json,
    Kind,
    Measures,
    bars_chart,
    differences_chart,
    means_chart,
    means_table,
    section,
    table,
)


def accuracy_section(arms: Sequence[ArmSummary]) -> dict[str, Any]:
    """Return how often each arm is right: in all, by type of question and by type of answer."""
    whole: Measures = [("all questions", [arm.accuracy for arm in arms])]
    by_type = _grouped([arm.by_type for arm in arms])
    by_answer = _grouped([arm.by_answer_type for arm in arms])
    label = "Share of right answers by type of question, with 95 % intervals"
    return section(
        "accuracy",
        "Right answers",
        "The mark is the share of right answers, the line its 95 % interval (Wilson's): where the "
        "questions are few, it is wide.",
        charts=[means_chart(label, arms, [*whole, *by_type])],
        tables=[
            means_table("By type of question", "type", arms, [*whole, *by_type]),
            means_table("By type of answer", "answer", arms, by_answer),
        ],
    )


def _grouped(groups: Sequence[Mapping[str, Any]]) -> Measures:
    names = sorted({name for group in groups for name in group})
    return [(name, [group.get(name) for group in groups]) for name in names]


def differences_section(comparison: Comparison) -> dict[str, Any]:
    """Return how every pair of arms, of which there is at least one, differs."""
    pairs = comparison.pairs
    columns: list[tuple[str, Kind]] = [
        ("pair", "text"),
        ("difference", "number"),
        ("only the first", "number"),
        ("only the second", "number"),
        ("McNemar", "number"),
        ("ahead", "text"),
    ]
    rows = [
        (
            f"{pair.first}, {pair.second}",
            spell_difference(pair),
            f"{pair.first_only:,}",
            f"{pair.second_only:,}",
            spell_p(pair.mcnemar_p),
            winner(pair, len(pairs)) or "neither",
        )
        for pair in pairs
    ]
    drawn = [
        (f"{pair.second} − {pair.first}", found.difference, found.low, found.high, says)  # noqa: RUF001 - a minus sign
        for pair, says in ((pair, spell_difference(pair)) for pair in pairs)
        for found in (pair.accuracy,)
    ]
    return section(
        "differences",
        "Differences on the same questions",
        "The second arm's share of right answers minus the first one's, question by question. "
        "Where the line crosses 0, nothing tells the two apart.",
        charts=[differences_chart("Differences in percentage points, with 95 % intervals", drawn)],
        tables=[table("Right answers of pairs, in percentage points", columns, rows)],
        notes=[
            "Intervals: Tango's score interval for pairs. McNemar's exact test looks at the "
            "questions that one of the two alone has right."
        ],
    )


def sight_section(arms: Sequence[ArmSummary]) -> dict[str, Any]:
    """Return truncation, evidence in the prompt, and coverage of the corpus."""
    shares: Measures = [
        (name, means)
        for name, means in (
            ("prompt truncated", [arm.truncated for arm in arms]),
            ("evidence in prompt", [arm.in_context for arm in arms]),
        )
        if any(mean is not None for mean in means)
    ]
    seen = [
        (arm.arm, arm.coverage_percent, spell_share(arm.coverage_percent / 100)) for arm in arms
    ]
    columns: list[tuple[str, Kind]] = [("arm", "text"), ("of the corpus", "number")]
    return section(
        "sight",
        "What the models saw",
        "A prompt is truncated when candidates were left out for lack of room; evidence is in the "
        "prompt when all that the answer rests on stood there. Measured by the receipts.",
        charts=[
            means_chart("Share of prompts, with 95 % intervals", arms, shares),
            bars_chart("Share of the corpus in a prompt, on average", seen, unit=" %"),
        ],
        tables=[
            means_table("Share of prompts, with 95 % intervals", "measure", arms, shares),
            table("Share of the corpus in a prompt, on average", columns,
                  [(name, shown) for name, _, shown in seen]),
        ],
    )  # fmt: skip


def quality_section(arms: Sequence[ArmSummary]) -> dict[str, Any]:
    """Return the measures beside accuracy that any arm has."""
    named = {
        "grounded": [arm.grounded for arm in arms],
        "declines, rightly": [arm.abstention for arm in arms],
        "declines, wrongly": [arm.refusal for arm in arms],
        "outdated value": [arm.stale for arm in arms],
        "sets and lists, F1": [arm.set_f1 for arm in arms],
        "went on to its second": [arm.escalated for arm in arms],
    }
    measures = [(name, means) for name, means in named.items() if any(means)]
    label = "Measures of answers, with 95 % intervals"
    return section(
        "quality",
        "Kinds of right and wrong",
        "Grounded: every number and known name of the answer stood in the prompt. Declines: says "
        "that nothing answers, rightly where that is so. Outdated: what was right in another "
        "edition.",
        charts=[means_chart(label, arms, measures)] if measures else [],
        tables=[means_table(label, "measure", arms, measures), *_judged(arms)],
    )


def _judged(arms: Sequence[ArmSummary]) -> Iterator[Json]:
    judged = [(arm.arm, arm.judge) for arm in arms if arm.judge is not None]
    if judged:
        columns: list[tuple[str, Kind]] = [("arm", "text"), ("judged right", "number")]
        columns += [("agrees with the rules", "number"), ("kappa", "number"), ("cost", "number")]
        yield table(
            "A language model as judge; it counts in no other figure",
            columns,
            [
                (
                    name,
                    spell_share(one.judged_accuracy),
                    f"{one.agreed:,} of {one.judged:,}",
                    OPEN if one.kappa is None else f"{one.kappa:.2f}",
                    spell_usd(one.usd),
                )
                for name, one in judged
            ],
        )
