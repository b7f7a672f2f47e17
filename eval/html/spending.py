"""Sections of a report about what answers took: time, money, and when own hardware pays off."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from eval.comparison import ArmSummary, BreakEven, Comparison, Percentiles
from eval.figures import spell_seconds, spell_usd
from eval.html.parts import OPEN, Json, Kind, bars_chart, dots_chart, section, table

_THOUSAND = 1000
_BEHIND = Decimal("1.25")
_LEAST_BEHIND = 2


def latency_section(comparison: Comparison) -> dict[str, Any]:
    """Return the times of all answers, with their percentiles."""
    rows = []
    for place, arm in enumerate(comparison.arms):
        cells = [cell for cell in comparison.cells if cell.arm == arm.arm and cell.error is None]
        firsts = [cell.seconds.first for cell in cells if cell.seconds.first is not None]
        totals = [cell.seconds.total for cell in cells]
        rows += [
            _dots(place, f"{arm.arm}, first piece", firsts, arm.first_seconds),
            _dots(place, f"{arm.arm}, whole", totals, arm.total_seconds),
        ]
    columns: list[tuple[str, Kind]] = [("arm", "text")]
    columns += [
        (f"{part} {name}", "number") for part in ("first", "whole") for name in ("p50", "p95")
    ]
    told = [
        (arm.arm, *spell_times(arm.first_seconds), *spell_times(arm.total_seconds))
        for arm in comparison.arms
    ]
    routes = [
        f"{arm.name} makes no call of its own: its times are computed, those of its arms in turn."
        for arm in comparison.run.arms
        if arm.route
    ]
    drawn = [row for row in rows if row["values"]]
    chart = dots_chart("Seconds to the first piece and to the whole answer", drawn, unit=" s")
    waiting = f", with up to {comparison.run.parallel} calls at a time"
    return section(
        "latency",
        "Time",
        "Measured from the question, search and planning included"
        f"{waiting if comparison.run.parallel > 1 else ''}. A dot is an answer; half took at most "
        "p50, 95 of 100 at most p95.",
        charts=[chart] if chart["rows"] else [],
        tables=[table("Seconds to the first piece and to the whole answer", columns, told)],
        notes=[*(["The axis is logarithmic."] if chart["logarithmic"] else []), *routes],
    )


def _dots(
    arm: int, label: str, values: Sequence[float], percentiles: Percentiles | None
) -> dict[str, Any]:
    marks: tuple[tuple[str, float, str], ...] = ()
    if percentiles is not None:
        marks = (("p50", percentiles.p50, "start"), ("p95", percentiles.p95, "end"))
    return {"arm": arm, "label": label, "values": values, "marks": marks}


def cost_section(arms: Sequence[ArmSummary]) -> dict[str, Any]:
    """Return what questions cost, with the tokens and the basis."""
    columns: list[tuple[str, Kind]] = [
        ("arm", "text"),
        ("per 1,000", "number"),
        ("this run", "number"),
        ("prompt tokens", "number"),
        ("cached", "number"),
        ("answer tokens", "number"),
        ("counted by", "text"),
    ]
    rows = [
        (
            arm.arm,
            spell_usd(arm.cost_per_1000_usd),
            spell_usd(arm.cost_usd),
            *(f"{n:,}" for n in (arm.tokens.prompt, arm.tokens.cached, arm.tokens.output)),
            "the server" if arm.tokens.source == "server" else "the plan, in part",
        )
        for arm in arms
    ]
    bars = [
        (arm.arm, float(arm.cost_per_1000_usd), spell_usd(arm.cost_per_1000_usd)) for arm in arms
    ]
    return section(
        "cost",
        "Cost",
        "US dollars for 1,000 questions like these, computed from the tokens of this run.",
        charts=[bars_chart("US dollars for 1,000 questions", bars, prefix="$")],
        tables=[table("Cost and tokens", columns, rows)],
        notes=[f"{arm.arm}: {'; '.join(arm.cost_basis)}." for arm in arms if arm.cost_basis],
    )


def break_even_section(comparison: Comparison) -> dict[str, Any]:
    """Return from how many questions a month own hardware costs less, where that was computed."""
    evens = comparison.break_even
    if not evens:
        return section(
            "break-even",
            "Break-even",
            "None is computed: that takes a price of hardware a month, a local arm, and a cloud "
            "arm that costs more for each question.",
        )
    columns: list[tuple[str, Kind]] = [
        ("local", "text"),
        ("cloud", "text"),
        ("hardware a month", "number"),
        ("saved per 1,000", "number"),
        ("questions a month", "number"),
    ]
    rows = [
        (
            even.local,
            even.cloud,
            spell_usd(even.hardware_usd_per_month),
            spell_usd(_THOUSAND * even.saved_usd_per_question),
            f"{even.questions_per_month:,}",
        )
        for even in evens
    ]
    return section(
        "break-even",
        "Break-even",
        "What a month costs by the number of questions: own hardware costs the same whatever is "
        "asked. Computed from the given price of hardware and the cost of a question in this run.",
        charts=[_break_even_chart(comparison.arms, evens)],
        tables=[table("Own hardware costs less from so many questions a month on", columns, rows)],
    )


def _break_even_chart(arms: Sequence[ArmSummary], evens: Sequence[BreakEven]) -> Json:
    """Return a line for each arm; the axis ends behind the last crossing."""
    least = [even.questions_per_month for even in evens]
    across = max(int(max(least) * _BEHIND), _LEAST_BEHIND * min(least), 1)
    fixed = {even.local: even.hardware_usd_per_month for even in evens}
    involved = fixed.keys() | {even.cloud for even in evens}
    lines, highest = [], 0.0
    for place, arm in enumerate(arms):
        if arm.arm in involved:
            start, each = fixed.get(arm.arm, Decimal(0)), arm.cost_per_1000_usd / _THOUSAND
            points = [(count, float(start + count * each)) for count in (0, across // 2, across)]
            lines.append({"arm": place, "says": arm.arm, "points": points})
            highest = max(highest, points[-1][1])
    return {
        "kind": "lines",
        "label": "US dollars a month by questions a month",
        "legend": [line["arm"] for line in lines],
        "lines": lines,
        "across": across,
        "across_label": "questions a month",
        "up": highest or 1,
        "crossings": [{"x": count, "label": f"{count:,}"} for count in sorted(set(least))],
    }


def spell_times(found: Percentiles | None) -> tuple[str, str]:
    """Return p50 and p95 in words."""
    if found is None:
        return OPEN, OPEN
    return spell_seconds(found.p50), spell_seconds(found.p95)
