"""Reads tables of text (CSV, TSV) and writes any table so that each row can be read on its own."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, islice

from ingest.readers.manuscript import Manuscript, Reading
from ingest.readers.rows import (
    SAME_AS_LEFT,
    column_names,
    count_header_rows,
    iter_filled,
    row_cells,
    row_line,
)

LONG_ROW_CHARACTERS = 800
"""A longer row, of some 200 tokens, is cut into several chunks."""
LONG_ROWS_SHARE = 0.1
"""Where more rows than this are long, each row becomes a section, so that its chunks name it."""
_DELIMITERS = ",;\t|"
_SAMPLE_CHARACTERS = 100_000
_SAMPLE_ROWS = 50
_LEAST_COLUMNS = 2
_FIELD_LIMIT = 64 * 1024 * 1024
"""Characters of one cell: as large as a file may be, as a quote left open swallows the rest."""


def read_table(text: str) -> Reading:
    """Return the reading of a CSV text, whatever its delimiter; its first row names the columns."""
    csv.field_size_limit(_FIELD_LIMIT)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    manuscript = Manuscript()
    write_table(manuscript, iter_filled(reader), level=1)
    return manuscript.reading()


def write_table(manuscript: Manuscript, rows: Iterable[Sequence[str]], *, level: int) -> None:
    """Write a table whose first row may name its columns: a line per row, or a section if long.

    Args:
        manuscript: what is written to.
        rows: cells as `iter_filled` leaves them, taken one row after the other.
        level: of the headings of the rows' sections.
    """
    rows = iter(rows)
    sample = list(islice(rows, _SAMPLE_ROWS))
    header_rows = count_header_rows(sample, least_columns=1)
    names, first = column_names(sample[:header_rows]), sample[header_rows:]
    long = sum(sum(map(len, row)) > LONG_ROW_CHARACTERS for row in first)
    body = chain(first, rows)
    if names and long > len(first) * LONG_ROWS_SHARE:
        _write_sections(manuscript, names, body, level)
        return
    manuscript.end_block()
    manuscript.line(" | ".join(filter(None, names)))
    for row in body:
        manuscript.line(row_line(names, row))
    manuscript.end_block()


def _write_sections(
    manuscript: Manuscript, names: Sequence[str], rows: Iterable[Sequence[str]], level: int
) -> None:
    for position, row in enumerate(rows, start=1):
        first = next((cell for cell in row if cell not in {"", SAME_AS_LEFT}), "")
        fits = len(first) <= LONG_ROW_CHARACTERS // 10
        manuscript.heading(level, first if fits else f"Row {position}")
        manuscript.lines(row_cells(names, row))


def _delimiter(text: str) -> str:
    """Return the delimiter that cuts the first rows into the most columns, alike in most rows."""
    sample = text[:_SAMPLE_CHARACTERS]
    best, delimiter = (0.0, 0), ","
    for candidate in _DELIMITERS:
        columns, rows = _columns(sample, candidate)
        if columns >= _LEAST_COLUMNS and rows and (rows, columns) > best:
            best, delimiter = (rows, columns), candidate
    return delimiter


def _columns(sample: str, delimiter: str) -> tuple[int, float]:
    """Return how many columns most rows have, and the share of those rows."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
    widths: Sequence[int] = [len(row) for row in islice(reader, _SAMPLE_ROWS) if row]
    [(columns, count)] = Counter(widths).most_common(1) or [(0, 0)]
    return columns, count / max(len(widths), 1)
