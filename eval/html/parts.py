"""The parts that a report's page is made of: tables and charts, as its script takes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from eval.comparison import ArmSummary
from eval.figures import spell_mean
from eval.statistics import Mean

Json = Mapping[str, Any]
Kind = Literal["text", "number"]
_ROOM = 1.08
"""Axes end a little behind the largest value."""
_WIDE_RANGE = 20
"""Times that differ by more than this factor are drawn on a logarithmic axis."""
_DIGITS = 5
OPEN = "n/a"
"""Stands where there is no figure."""

Measures = Sequence[tuple[str, Sequence[Mean | None]]]
"""Labels, each with the mean of every arm; None where an arm has none."""


def section(
    name: str, title: str, reading: str, *, tables: Iterable[Json] = (), **more: Any
) -> dict[str, Any]:
    """Return a section: a sentence that says how to read it, charts, and the tables beside them.

    Args:
        name: id of the section in the page.
        title: its heading.
        reading: the sentence.
        tables: at least one.
        more: `charts` and `notes`.
    """
    blank: dict[str, Any] = {"charts": (), "notes": ()}
    return {
        "id": name,
        "title": title,
        "reading": reading,
        "tables": tuple(tables),
        **blank,
        **more,
    }


def table(caption: str, columns: Sequence[tuple[str, Kind]], rows: Iterable[Sequence[str]]) -> Json:
    """Return a table of texts; its first column names the rows."""
    return {"caption": caption, "columns": columns, "rows": tuple(rows)}


def means_table(caption: str, first: str, arms: Sequence[ArmSummary], measures: Measures) -> Json:
    """Return a table with a row for each measure and a column for each arm."""
    columns: list[tuple[str, Kind]] = [(first, "text"), ("questions", "number")]
    columns += [(arm.arm, "number") for arm in arms]
    rows = []
    for label, means in measures:
        counts = sorted({mean.questions for mean in means if mean is not None})
        asked = " to ".join(f"{count:,}" for count in dict.fromkeys((counts[0], counts[-1])))
        told = [OPEN if mean is None else spell_mean(mean) for mean in means]
        rows.append([label, asked, *told])
    return table(caption, columns, rows)


def means_chart(label: str, arms: Sequence[ArmSummary], measures: Measures) -> Json:
    """Return a chart of shares with their intervals, a group for each measure."""
    groups = [
        {
            "label": name,
            "points": [
                _point(arm, mean.mean, mean.low, mean.high, f"{arms[arm].arm}: {spell_mean(mean)}")
                for arm, mean in enumerate(means)
                if mean is not None
            ],
        }
        for name, means in measures
    ]
    drawn = {"kind": "intervals", "label": label, "low": 0, "high": 100, "unit": " %"}
    return {**drawn, "legend": tuple(range(len(arms))), "groups": groups}


def differences_chart(label: str, groups: Sequence[tuple[str, float, float, float, str]]) -> Json:
    """Return a chart of differences around 0: a label, value, low, high and words for each."""
    size = 100 * max(max(abs(low), abs(high)) for _, _, low, high, _ in groups)
    size = min(100.0, max(size * _ROOM, 1.0))
    drawn = [
        {"label": name, "points": [_point(None, value, low, high, says)]}
        for name, value, low, high, says in groups
    ]
    bounds = {"low": -size, "high": size, "zero": True, "signed": True}
    return {"kind": "intervals", "label": label, "groups": drawn, **bounds}


def bars_chart(label: str, rows: Sequence[tuple[str, float, str]], **axis: Any) -> Json:
    """Return a chart with a bar for each arm, in their order: its label, value and words."""
    groups = [
        {
            "label": name,
            "points": [{"arm": arm, "value": _rounded(value), "shown": shown, "says": shown}],
        }
        for arm, (name, value, shown) in enumerate(rows)
    ]
    highest = max((value for _, value, _ in rows), default=0) * _ROOM or 1
    return {"kind": "bars", "label": label, "groups": groups, "high": _rounded(highest), **axis}


def dots_chart(label: str, rows: Sequence[Json], **axis: Any) -> Json:
    """Return a chart of times, all of them as dots: rows of `arm`, `label`, `values`, `marks`."""
    values = [value for row in rows for value in row["values"] if value > 0]
    low, high = min(values, default=0.1), max(values, default=1.0)
    logarithmic = high / low > _WIDE_RANGE
    drawn = [
        {**row, "values": [_rounded(max(value, low)) for value in row["values"]]} for row in rows
    ]
    bounds = {"low": low if logarithmic else 0, "high": high if logarithmic else high * _ROOM}
    return {
        "kind": "dots", "label": label, "rows": drawn, "logarithmic": logarithmic, **bounds, **axis
    }  # fmt: skip


def _point(arm: int | None, value: float, low: float, high: float, says: str) -> dict[str, Any]:
    """Return a mark with its whisker, in percent."""
    place = {"value": _rounded(100 * value), "low": _rounded(100 * low)}
    return {"arm": arm, **place, "high": _rounded(100 * high), "says": says}


def _rounded(value: float) -> float:
    """Return a value with as many digits as a chart can show: a page has two megabytes."""
    return float(f"{value:.{_DIGITS}g}")
