"""Reads spreadsheets (XLSX, XLSM, XLSB, XLS, ODS): a section per sheet, a line per row."""

from __future__ import annotations

import datetime
import io
from collections.abc import Iterator
from itertools import groupby, zip_longest

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError

from chunking.errors import UnreadableDocument
from ingest.readers.manuscript import Manuscript, Reading
from ingest.readers.ooxml import Package
from ingest.readers.opendocument import stated_facts
from ingest.readers.remarks import Remarks
from ingest.readers.rows import SAME_AS_LEFT, count_header_rows, filled_rows, one_line
from ingest.readers.tables import write_table
from ingest.readers.zips import SafeZip

CELLS_LIMIT = 10_000_000
"""Cells of one sheet from its first to its last: more would not fit the memory of a reader."""
_LEAST = 2
"""Columns of a table that stands beside another one."""

Cells = list[list[str]]


def read_xlsx(data: bytes, *, name: str) -> Reading:
    """Return the reading of an XLSX, XLSM or XLSB file.

    Raises:
        UnreadableDocument: it is broken, encrypted, too large, or no workbook.
    """
    package = Package(data, name=name)
    if not (package.of_kind("officeDocument") or "").endswith(".bin"):
        package.main("workbook", "xl/workbook.xml")
    package.zip.check()
    remarks = Remarks(package)
    return _reading(data, name, title=package.title(), date=package.date(), remarks=remarks)


def read_xls(data: bytes, *, name: str) -> Reading:
    """Return the reading of an XLS file.

    Raises:
        UnreadableDocument: it is broken, encrypted or no workbook.
    """
    return _reading(data, name)


def read_ods(data: bytes, *, name: str) -> Reading:
    """Return the reading of an ODS file.

    Raises:
        UnreadableDocument: it is broken, encrypted, too large, or no spreadsheet.
    """
    package = SafeZip(data, name=name)
    if b"opendocument.spreadsheet" not in (package.read("mimetype") or b""):
        hint = "give the file the suffix of its content"
        raise UnreadableDocument(f"{name}: no spreadsheet inside", hint=hint, param=name)
    package.check()
    title, date = stated_facts(package, name=name)
    return _reading(data, name, title=title, date=date)


def _reading(
    data: bytes,
    name: str,
    *,
    title: str = "",
    date: str | None = None,
    remarks: Remarks | None = None,
) -> Reading:
    manuscript = Manuscript()
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
        for sheet_name in workbook.sheet_names:
            manuscript.heading(1, sheet_name)
            cells = _cells(workbook.get_sheet_by_name(sheet_name), name)
            for table in _tables(cells):
                _write(manuscript, table)
            if remarks is not None:
                # A chart beside cells draws what these say.
                manuscript.lines(() if cells else remarks.charts(sheet_name))
                manuscript.lines(remarks.comments(sheet_name))
    except PasswordError as error:
        hint = "store it without a password"
        raise UnreadableDocument(f"{name}: encrypted", hint=hint, param=name) from error
    except (CalamineError, ValueError, OSError) as error:
        raise UnreadableDocument(f"{name}: broken spreadsheet", param=name) from error
    return manuscript.reading(title=title, date=date)


def _cells(sheet: CalamineSheet, name: str) -> Cells:
    """Return the cells of a sheet as text; a value that spans several stands in each of them."""
    size = sheet.height * sheet.width
    if size > CELLS_LIMIT:
        reason = f"{name}: a sheet of {size:,} cells, limit {CELLS_LIMIT:,}"
        raise UnreadableDocument(reason, hint="remove what stands far outside", param=name)
    rows = [[_text(value) for value in row] for row in sheet.iter_rows()]
    top, left = sheet.start or (0, 0)
    for (first_row, first_column), (last_row, last_column) in sheet.merged_cell_ranges or ():
        if not (top <= first_row < top + len(rows) and first_column >= left):
            continue
        columns = slice(first_column - left, last_column - left + 1)
        value = rows[first_row - top][columns][:1]
        for row in rows[first_row - top : last_row - top + 1]:
            row[columns] = [*value, *[SAME_AS_LEFT] * (len(row[columns]) - 1)]
    return rows


def _text(value: object) -> str:
    """Return a cell's value as a person would write it."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        # Excel itself shows at most 15 digits: 0.1 + 0.2 is 0.3 there.
        return f"{value:.15g}"
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return str(value)
    return one_line(str(value))


def _tables(cells: Cells) -> Iterator[Cells]:
    """Yield the tables of a sheet: parted by blank rows, and by blank columns where all have names.

    A blank column inside a table often parts a label from its values, which belong together.
    """
    for blank, group in groupby(cells, key=lambda row: not any(row)):
        if blank:
            continue
        rows = list(group)
        used = [any(column) for column in zip_longest(*rows, fillvalue="")]
        columns = groupby(range(len(used)), key=used.__getitem__)
        blocks = [list(block) for filled, block in columns if filled]
        parts = [_columns(rows, block) for block in blocks]
        if len(parts) == 1 or all(count_header_rows(p, least_columns=_LEAST) for p in parts):
            yield from parts
        else:
            yield _columns(rows, [at for block in blocks for at in block])


def _columns(rows: Cells, columns: list[int]) -> Cells:
    return filled_rows([[row[at] for at in columns if at < len(row)] for row in rows])


def _write(manuscript: Manuscript, table: Cells) -> None:
    """Write a table; a value alone on its first rows is its title."""
    width = max(map(len, table), default=0)
    while len(table) > 1 < width and sum(_filled(cell) for cell in table[0]) == 1:
        manuscript.paragraph(next(cell for cell in table[0] if _filled(cell)))
        table = table[1:]
    write_table(manuscript, table, level=2)


def _filled(cell: str) -> bool:
    return cell not in {"", SAME_AS_LEFT}
