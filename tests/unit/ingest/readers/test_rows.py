"""Each row of a table can be read on its own."""

from __future__ import annotations

import pytest

from ingest.readers.grid import CELLS_LIMIT, Grid
from ingest.readers.rows import (
    SAME_AS_LEFT,
    column_names,
    count_header_rows,
    filled_rows,
    table_lines,
)

CITIES = [["City", "Country", "People"], ["N'Djamena", "Chad", "1 m"], ["Lomé", "Togo", "2 m"]]


def test_a_row_reads_with_the_names_of_its_columns() -> None:
    assert list(table_lines(CITIES)) == [
        "City | Country | People",
        "City: N'Djamena; Country: Chad; People: 1 m",
        "City: Lomé; Country: Togo; People: 2 m",
    ]


def test_a_table_that_says_so_has_the_header_it_says() -> None:
    assert list(table_lines(CITIES[:2], header_rows=0)) == [
        "City | Country | People",
        "N'Djamena | Chad | 1 m",
    ]
    assert list(table_lines([["a"], ["1"]], header_rows=1)) == ["a", "a: 1"]


def test_two_columns_without_a_header_are_pairs() -> None:
    rows = [["Area", "7 sq km"], ["Name:", "Chad"], ["alone", ""]]
    assert list(table_lines(rows)) == ["Area: 7 sq km", "Name: Chad", "alone"]


def test_blank_cells_rows_and_ends_leave_no_trace() -> None:
    assert filled_rows([["a ", "b\nc", " "], ["", " "], [], ["", "d"]]) == [["a", "b c"], ["", "d"]]
    assert list(table_lines([["x", "y", "z"], ["", "2", ""]])) == ["x | y | z", "y: 2"]
    assert list(table_lines([])) == []


def test_a_cell_beyond_the_names_and_one_that_repeats_its_name_stand_alone() -> None:
    rows = [["x", "y", "z"], ["x", "2", "3", "4"]]
    assert list(table_lines(rows, header_rows=1))[1] == "x; y: 2; z: 3; 4"


def test_equal_values_side_by_side_all_count() -> None:
    assert list(table_lines([["8", "9", "9"]])) == ["8 | 9 | 9"]


@pytest.mark.parametrize(
    "first",
    [
        ["City", "Country", "7"],
        ["City", "Country", "2024-01-31"],
        ["City", "Country", ""],
        ["City", "Country"],
        ["City", "City", "City"],
        ["City", "Country", "x" * 81],
        ["City", "Country", "12 %"],
    ],
)
def test_a_first_row_that_names_no_columns_is_a_row(first: list[str]) -> None:
    assert count_header_rows([first, *CITIES[1:]]) == 0


def test_names_above_names_are_joined() -> None:
    rows = [["Year", "Ducks", SAME_AS_LEFT], ["Year", "salt", "fresh"], ["2024", "1", "2"]]
    assert count_header_rows(rows) == 2
    assert column_names(rows[:2]) == ["Year", "Ducks salt", "Ducks fresh"]
    assert list(table_lines(rows))[1] == "Year: 2024; Ducks salt: 1; Ducks fresh: 2"


def test_a_value_that_spans_rows_stands_in_each_and_one_that_spans_columns_once() -> None:
    grid = Grid()
    grid.add("2024", rows=2)
    grid.add("both", columns=2)
    grid.end_row()
    grid.add("left")
    grid.add("right")
    grid.end_row()
    assert grid.rows == [["2024", "both", SAME_AS_LEFT], ["2024", "left", "right"]]
    assert list(table_lines(grid.rows, header_rows=0)) == ["2024 | both", "2024 | left | right"]


def test_a_cell_can_go_on_from_the_row_above() -> None:
    grid = Grid()
    grid.add("a")
    grid.add("b", columns=2)
    grid.end_row()
    grid.add("c")
    grid.add_from_above(columns=2)
    grid.end_row()
    grid.add_from_above()
    grid.add_from_above()
    grid.add_from_above()
    grid.add_from_above()
    grid.end_row()
    assert grid.rows[1] == ["c", "b", SAME_AS_LEFT]
    assert grid.rows[2] == ["c", "b", SAME_AS_LEFT, ""]


def test_spans_that_ask_for_billions_of_cells_end_at_the_limit() -> None:
    grid = Grid()
    for _ in range(30):
        for _ in range(100):
            grid.add("x", columns=1000, rows=60_000)
        grid.end_row()
    assert sum(map(len, grid.rows)) <= CELLS_LIMIT
