"""Reads Word documents (DOCX): headings, paragraphs, lists, tables, boxes, equations and notes."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.readers.charts import chart_lines
from ingest.readers.equations import latex
from ingest.readers.grid import Grid
from ingest.readers.manuscript import Manuscript, Reading
from ingest.readers.ooxml import (
    Element,
    Package,
    attribute,
    child,
    children,
    descendants,
    local,
    number,
)
from ingest.readers.rows import table_lines
from ingest.readers.word_styles import Numbering, Styles

COLUMNS_LIMIT = 63
"""What Word itself takes for the most columns of a table."""

_UNREAD = frozenset({"del", "moveFrom", "instrText", "delText", "pPr", "rPr", "sdtPr", "sectPr"})
"""What is deleted, or says how the text looks."""
_WITHIN = frozenset(
    {"r", "hyperlink", "ins", "moveTo", "sdt", "sdtContent", "smartTag", "fldSimple"}
)
_NOTES = {"footnoteReference": "footnotes", "endnoteReference": "endnotes"}
_BREAKS = {"br": "\n", "cr": "\n", "tab": " ", "ptab": " ", "noBreakHyphen": "-"}


def read_word(data: bytes, *, name: str) -> Reading:
    """Return the reading of a DOCX file.

    Raises:
        UnreadableDocument: it is broken, encrypted or too large.
    """
    package = Package(data, name=name)
    part, root = package.main("document", "word/document.xml")
    text = _Text(package, part)
    body = child(root, "body")
    if body is not None:
        text.blocks(body)
    text.notes()
    return text.manuscript.reading(title=package.title(), date=package.date())


class _Text:
    """Writes the blocks of a document in order."""

    def __init__(self, package: Package, part: str) -> None:
        self.manuscript = Manuscript()
        self._package = package
        self._part = part
        self._styles = Styles(self._related("styles"))
        self._numbering = Numbering(self._related("numbering"))
        self._noted: list[tuple[str, str]] = []
        self._boxes: list[Element] = []

    def blocks(self, container: Element) -> None:
        """Write the paragraphs and tables of a body, a cell or a box."""
        for block in container:
            name = local(block)
            if name == "p":
                self._paragraph(block)
            elif name == "tbl":
                self._table(block)
            elif name in {"sdt", "customXml", "ins", "moveTo", "sdtContent"}:
                self.blocks(block)

    def notes(self) -> None:
        """Write the footnotes and endnotes that the text referred to."""
        found = list(self._note_lines())
        self.manuscript.lines(found)

    def _paragraph(self, paragraph: Element) -> None:
        text = self._inline(paragraph)
        style, properties = self._styles.of(paragraph), child(paragraph, "pPr")
        label = self._numbering.label(properties, style)
        level = self._styles.heading_level(paragraph)
        if level is not None and text.strip():
            self.manuscript.heading(level, f"{label.text} {text}" if label else text)
        elif label is not None and text.strip():
            self.manuscript.line(f"{'  ' * label.level}{label.text or '-'} {_one_line(text)}")
        else:
            self.manuscript.lines(_one_line(line) for line in text.split("\n"))
        self._open_boxes()

    def _open_boxes(self) -> None:
        """Write the boxes and charts that hang on the paragraph just written."""
        boxes, self._boxes = self._boxes, []
        for box in boxes:
            if local(box) == "chart":
                part = self._package.by_id(self._part, attribute(box, "id") or "")
                root = self._package.xml(part) if part else None
                self.manuscript.lines(() if root is None else chart_lines(root))
            else:
                self.manuscript.end_block()
                self.blocks(box)
                self.manuscript.end_block()

    def _inline(self, element: Element) -> str:
        """Return the text of a paragraph; its boxes are kept to follow it."""
        return "".join(self._pieces(element))

    def _pieces(self, element: Element) -> Iterator[str]:
        for inner in element:
            name = local(inner)
            if name in _UNREAD:
                continue
            if name == "t":
                yield inner.text or ""
            elif name in _BREAKS:
                yield _BREAKS[name]
            elif name in {"oMath", "oMathPara"}:
                yield from (f" ${latex(part).strip()}$ " for part in descendants(inner, "oMath"))
            elif name in _NOTES:
                self._noted.append((_NOTES[name], attribute(inner, "id") or ""))
                yield f" [{len(self._noted)}]"
            elif name == "sdt" and child(inner, "sdtPr", "checkbox") is not None:
                yield _checkbox(inner)
            elif name in {"drawing", "pict", "object", "AlternateContent"}:
                self._boxes.extend(_boxes(inner))
                yield from _descriptions(inner)
            elif name in _WITHIN:
                yield from self._pieces(inner)

    def _table(self, table: Element) -> None:
        rows = list(children(table, "tr"))
        cells = [list(children(row, "tc")) for row in rows]
        if len(cells) == 1 and len(cells[0]) == 1:
            # A frame around a text, drawn as a table.
            self.blocks(cells[0][0])
            return
        grid = Grid()
        header_rows, leading = 0, True
        for row, row_cells in zip(rows, cells, strict=True):
            leading = leading and child(row, "trPr", "tblHeader") is not None
            header_rows += leading
            before = number(attribute(child(row, "trPr", "gridBefore"), "val"))
            grid.add("", columns=min(before, COLUMNS_LIMIT))
            for cell in row_cells:
                self._cell(grid, cell)
            grid.end_row()
        self.manuscript.lines(table_lines(grid.rows, header_rows=header_rows or None))
        self._open_boxes()

    def _cell(self, grid: Grid, cell: Element) -> None:
        stated = number(attribute(child(cell, "tcPr", "gridSpan"), "val"), 1)
        columns = min(max(1, stated), COLUMNS_LIMIT)
        merged = child(cell, "tcPr", "vMerge")
        if merged is not None and attribute(merged, "val") != "restart":
            grid.add_from_above(columns=columns)
        else:
            grid.add(self._cell_text(cell), columns=columns)

    def _cell_text(self, cell: Element) -> str:
        parts: list[str] = []
        for block in descendants(cell, "p"):
            style = self._styles.of(block)
            label = self._numbering.label(child(block, "pPr"), style)
            text = _one_line(self._inline(block))
            parts.append(f"{label.text or '-'} {text}" if label and text else text)
        return " ".join(filter(None, parts))

    def _note_lines(self) -> Iterator[str]:
        for position, (kind, name) in enumerate(self._noted, start=1):
            for note in self._related(kind) or ():
                if attribute(note, "id") == name:
                    text = " ".join(self._inline(p) for p in descendants(note, "p"))
                    yield f"[{position}] {_one_line(text)}"

    def _related(self, kind: str) -> Element | None:
        part = self._package.of_kind(kind, self._part)
        return self._package.xml(part) if part else None


def _checkbox(element: Element) -> str:
    checked = attribute(child(element, "sdtPr", "checkbox", "checked"), "val")
    return "[x]" if checked in {"1", "true"} else "[ ]"


def _boxes(element: Element) -> Iterator[Element]:
    """Yield the outermost text boxes and charts of a drawing, one form of each alternative."""
    for inner in element:
        name = local(inner)
        if name in {"txbxContent", "chart"}:
            yield inner
        elif name == "Fallback" and any(local(other) == "Choice" for other in element):
            continue
        else:
            yield from _boxes(inner)


def _descriptions(element: Element) -> Iterator[str]:
    """Yield what the author says a picture shows."""
    for picture in descendants(element, "docPr"):
        words = (attribute(picture, "descr") or "").split()
        if words and child(element, "Fallback") is None:
            yield f" {' '.join(words)} "


def _one_line(text: str) -> str:
    return " ".join(text.split())
