"""Reads the charts inside Office files: their titles, and the numbers they draw as a table."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.readers.ooxml import Element, attribute, child, children, descendants, number
from ingest.readers.rows import table_lines

POINTS_LIMIT = 10_000
"""Points of one series that are read: more are no chart that a person reads."""


def chart_lines(root: Element) -> Iterator[str]:
    """Yield the title of a chart, then a line for each of its categories."""
    title = child(root, "chart", "title")
    text = "".join(part.text or "" for part in descendants(title, "t", "v"))
    if text.strip():
        yield f"Chart: {' '.join(text.split())}"
    plots = child(root, "chart", "plotArea")
    for plot in () if plots is None else plots:
        series = list(children(plot, "ser"))
        if series:
            yield from table_lines(_rows(series), header_rows=1)


def _rows(series: list[Element]) -> list[list[str]]:
    names = [" ".join(_points(child(one, "tx")).values()) for one in series]
    columns = [_points(child(one, "val"), child(one, "yVal")) for one in series]
    categories = _points(child(series[0], "cat"), child(series[0], "xVal"))
    positions = sorted(set(categories).union(*columns))
    header = ["", *(name or f"Series {at}" for at, name in enumerate(names, start=1))]
    rows = [
        [categories.get(at, ""), *(column.get(at, "") for column in columns)] for at in positions
    ]
    return [header, *rows]


def _points(*elements: Element | None) -> dict[int, str]:
    """Return the values that the chart keeps of its cells, by their position."""
    points: dict[int, str] = {}
    for element in elements:
        for point in descendants(element, "pt"):
            value = child(point, "v")
            if value is not None and len(points) < POINTS_LIMIT:
                points[number(attribute(point, "idx"))] = _number(value.text or "")
    return points


def _number(text: str) -> str:
    try:
        return f"{float(text):.12g}"
    except ValueError:
        return text
