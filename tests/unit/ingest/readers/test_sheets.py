"""Spreadsheets become a section per sheet, a line per row."""

from __future__ import annotations

import pytest

from chunking.errors import UnreadableDocument
from ingest.readers.sheets import read_ods, read_xls, read_xlsx
from scripts.prove_ingest.hostile_packages import packed
from tests.written_files import docx, odt, properties, sheet_rows, xlsx


def text_of(rows: list[list[str | float | None]], *, extra: str = "") -> str:
    text = read_xlsx(xlsx({"Sheet": sheet_rows(rows) + extra}), name="a.xlsx").text
    return text.removeprefix("# Sheet\n\n").strip()


def test_a_row_reads_with_its_header_below_the_name_of_its_sheet() -> None:
    cities = sheet_rows([["City", "People"], ["Lomé", 2.5], ["Moundou", None]])
    reading = read_xlsx(xlsx({"Togo": cities, "Empty": ""}), name="a.xlsx")
    assert reading.text == (
        "# Togo\n\nCity | People\nCity: Lomé; People: 2.5\nCity: Moundou\n\n# Empty\n\n"
    )
    assert [section.path for section in reading.sections] == [("Togo",), ("Empty",)]


def test_numbers_are_written_as_people_do() -> None:
    assert text_of([[1.0, 0.1 + 0.2, 1e21, -3]]) == "1 | 0.3 | 1e+21 | -3"


def test_blank_rows_part_tables_and_a_value_alone_is_a_title() -> None:
    rows: list[list[str | float | None]] = [
        ["Ducks"],
        ["Year", "Count"],
        [2024, 7],
        [],
        ["Name:", "Chad"],
    ]
    assert text_of(rows) == "Ducks\n\nYear | Count\nYear: 2024; Count: 7\n\nName: Chad"


def test_tables_side_by_side_are_read_one_after_the_other() -> None:
    rows: list[list[str | float | None]] = [
        ["a", "b", None, "c", "d"],
        [1, 2, None, 3, 4],
    ]
    assert text_of(rows) == "a | b\na: 1; b: 2\n\nc | d\nc: 3; d: 4"


def test_a_label_is_not_parted_from_its_value_by_a_blank_column() -> None:
    assert (
        text_of([["Voltage", None, 130, "kV"], ["Phases", None, 3]])
        == ("Voltage | 130 | kV\nPhases: 3")
        or text_of([["Voltage", None, 130, "kV"]]) == "Voltage | 130 | kV"
    )


def test_merged_cells_name_all_their_columns() -> None:
    rows: list[list[str | float | None]] = [
        ["Year", "Ducks", None],
        [None, "salt", "fresh"],
        [2024, 1, 2],
    ]
    merged = '<mergeCells><mergeCell ref="A1:A2"/><mergeCell ref="B1:C1"/></mergeCells>'
    assert text_of(rows, extra=merged).endswith("Year: 2024; Ducks salt: 1; Ducks fresh: 2")


def test_the_file_states_its_title_and_date() -> None:
    core = properties(title="Figures", modified="2024-01-31")
    reading = read_xlsx(xlsx({"S": sheet_rows([["a"]])}, core=core), name="a.xlsx")
    assert (reading.title, reading.date) == ("Figures", "2024-01-31")


def test_a_cell_far_outside_does_not_fill_the_memory() -> None:
    cell = '<row r="{0}"><c r="{1}{0}"><v>1</v></c></row>'
    far = f"<sheetData>{cell.format(1, 'A')}{cell.format(100_000, 'SZ')}</sheetData>"
    with pytest.raises(UnreadableDocument, match=r"a sheet of 52,000,000 cells, limit"):
        read_xlsx(xlsx({"S": far}), name="a.xlsx")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\x03\x04", "no valid zip"),
        (docx(""), "no workbook inside, but document"),
        (packed({"xl/workbook.xml": "<workbook/>"}), "broken spreadsheet"),
    ],
)
def test_what_is_no_workbook_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(UnreadableDocument, match=rf"^a\.xlsx: {message}"):
        read_xlsx(data, name="a.xlsx")


def test_other_spreadsheets_are_held_against_their_content() -> None:
    with pytest.raises(UnreadableDocument, match=r"^a\.xls: broken spreadsheet"):
        read_xls(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", name="a.xls")
    with pytest.raises(UnreadableDocument, match=r"^a\.ods: no spreadsheet inside"):
        read_ods(odt("", kind="text"), name="a.ods")
