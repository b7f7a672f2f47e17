"""Lays the cells of a table out in a grid, those included that span several rows or columns."""

from __future__ import annotations

from ingest.readers.rows import SAME_AS_LEFT

CELLS_LIMIT = 1_000_000
"""Cells of one table: spans let a file of a few bytes ask for billions."""


class Grid:
    """The cells of a table by row and column.

    A cell that spans rows ("2024" beside four quarters) stands in each, so that each row is
    readable alone; in a column that it spans, too, stands `SAME_AS_LEFT`.
    """

    def __init__(self) -> None:
        self.rows: list[list[str]] = []
        self._row: list[str] = []
        self._count = 0
        self._below: dict[int, tuple[str, int]] = {}

    def add(self, value: str, *, columns: int = 1, rows: int = 1) -> None:
        """Add the next cell of the row under way."""
        self._fill()
        for _ in range(columns):
            if self._count >= CELLS_LIMIT:
                return
            if rows > 1:
                self._below[len(self._row)] = (value, rows)
            self._row.append(value)
            self._count += 1
            value = SAME_AS_LEFT

    def add_from_above(self, *, columns: int = 1) -> None:
        """Repeat the cells of the row above, as a cell does that continues another one."""
        above = self.rows[-1] if self.rows else []
        at = len(self._row)
        self.add(above[at] if at < len(above) else "", columns=columns)

    def end_row(self) -> None:
        """End the row under way."""
        self._fill()
        last = max(self._below, default=-1)
        while len(self._row) <= last and self._count < CELLS_LIMIT:
            self._row.append("")
            self._count += 1
            self._fill()
        self.rows.append(self._row)
        self._row = []
        self._below = {at: (v, left - 1) for at, (v, left) in self._below.items() if left > 1}

    def _fill(self) -> None:
        """Repeat what cells of the rows above put here."""
        while len(self._row) in self._below and self._count < CELLS_LIMIT:
            self._row.append(self._below[len(self._row)][0])
            self._count += 1
