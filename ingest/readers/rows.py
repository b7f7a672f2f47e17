"""Writes the rows of a table as lines that can be read on their own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

Rows = Sequence[Sequence[str]]

SAME_AS_LEFT = "\x00"
"""Stands in a cell that a cell to its left spans; no text holds it."""

_NUMBER = re.compile(r"[-+(]?[\d.,\s'%€$£¥)]*\d[\d.,\s'%€$£¥)]*|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*")
_NAME_LIMIT = 80
"""Characters above which a cell is a text, not the name of a column."""
_COLUMNS_OF_PAIRS = 2


def table_lines(rows: Rows, *, header_rows: int | None = None) -> Iterator[str]:
    """Yield one line per row, each cell behind the name of its column: "Country: Chad; Area: 7".

    The names themselves come first, as "Country | Area". A table without names reads "Chad | 7",
    and one of two columns "Chad: 7".

    Args:
        rows: the cells; a shorter row lacks its last ones.
        header_rows: how many rows are names of columns; None where the table does not say.
    """
    rows = filled_rows(rows)
    if header_rows is None:
        header_rows = count_header_rows(rows)
    names = column_names(rows[:header_rows])
    if names:
        yield " | ".join(filter(None, names))
    for row in rows[header_rows:]:
        yield row_line(names, row)


def row_line(names: Sequence[str], row: Sequence[str]) -> str:
    """Return the line of one row."""
    return "; ".join(row_cells(names, row)) if names else _plain_line(row)


def row_cells(names: Sequence[str], row: Sequence[str]) -> Iterator[str]:
    """Yield the cells of a row that hold something, behind the names of their columns."""
    for position, value in enumerate(row):
        if value and value != SAME_AS_LEFT:
            name = names[position] if position < len(names) else ""
            yield f"{name}: {value}" if name and name != value else value


def count_header_rows(rows: Rows, *, least_columns: int = 3) -> int:
    """Return how many of the first rows name the columns: short texts, all different, no numbers.

    Two columns in a text are as often pairs of a label and a value, which read well as pairs. Two
    rows are names where a cell of the first spans columns that the second tells apart.
    """
    if not rows:
        return 0
    count = 2 if SAME_AS_LEFT in rows[0] else 1
    named = [cell for row in rows[:count] for cell in row if cell != SAME_AS_LEFT]
    names = column_names(rows[:count])
    widths = sorted(map(len, rows))
    headed = (
        len(rows) > count
        and len(names) >= max(widths[len(widths) // 2], least_columns)
        and all(names)
        and len(set(names)) == len(names)
        and not any(len(cell) > _NAME_LIMIT or _NUMBER.fullmatch(cell) for cell in named)
    )
    return count if headed else 0


def column_names(header: Rows) -> list[str]:
    """Return one name per column out of all header rows, outer names first."""
    width = max(map(len, header), default=0)
    parts: list[list[str]] = [[] for _ in range(width)]
    for row in header:
        value = ""
        for at, cell in enumerate(row):
            value = value if cell == SAME_AS_LEFT else cell
            if value and value not in parts[at]:
                parts[at].append(value)
    return [" ".join(part) for part in parts]


def filled_rows(rows: Rows) -> list[list[str]]:
    """Return the rows with one-line cells, without blank rows and blank cells at their ends."""
    return list(iter_filled(rows))


def iter_filled(rows: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    """Yield the rows with one-line cells, without blank rows and blank cells at their ends."""
    for row in rows:
        cells = [cell if cell == SAME_AS_LEFT else one_line(cell) for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if any(cell not in {"", SAME_AS_LEFT} for cell in cells):
            yield cells


def one_line(value: str) -> str:
    """Return a cell's text on one line."""
    return " ".join(value.split())


def _plain_line(row: Sequence[str]) -> str:
    values = [value for value in row if value not in {"", SAME_AS_LEFT}]
    if len(row) == len(values) == _COLUMNS_OF_PAIRS:
        label, value = values
        return f"{label} {value}" if label.endswith(":") else f"{label}: {value}"
    return " | ".join(values)
