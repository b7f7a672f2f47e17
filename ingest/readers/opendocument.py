"""Reads OpenDocument texts and presentations (ODT, ODP)."""

from __future__ import annotations

from collections.abc import Iterator

from chunking.errors import UnreadableDocument
from ingest.readers.dates import iso_date
from ingest.readers.grid import Grid
from ingest.readers.manuscript import Manuscript, Reading
from ingest.readers.ooxml import (
    Element,
    attribute,
    child,
    children,
    descendants,
    local,
    number,
    parse_xml,
)
from ingest.readers.rows import table_lines
from ingest.readers.zips import SafeZip

REPEAT_LIMIT = 1000
"""How often a cell or row is repeated at most: spreadsheets fill a page with one blank cell."""
_UNREAD = frozenset({"tracked-changes", "annotation", "note-citation", "sequence-decls", "forms"})
_SPACES = {"tab": " ", "line-break": " "}


def read_opendocument(data: bytes, *, name: str) -> Reading:
    """Return the reading of an ODT or ODP file.

    Raises:
        UnreadableDocument: it is broken, encrypted or too large.
    """
    package = SafeZip(data, name=name)
    if b"encryption-data" in (package.read("META-INF/manifest.xml") or b""):
        hint = "store it without a password"
        raise UnreadableDocument(f"{name}: encrypted", hint=hint, param=name)
    content = package.read("content.xml")
    if content is None:
        raise UnreadableDocument(f"{name}: no OpenDocument inside", param=name)
    if b"opendocument.spreadsheet" in (package.read("mimetype") or b""):
        hint = "give the file the suffix .ods"
        raise UnreadableDocument(f"{name}: a spreadsheet inside", hint=hint, param=name)
    text = _Text()
    for body in descendants(parse_xml(content, name=name), "body"):
        text.blocks(body, 0)
    title, date = stated_facts(package, name=name)
    return text.manuscript.reading(title=title, date=date)


def stated_facts(package: SafeZip, *, name: str) -> tuple[str, str | None]:
    """Return the title and the date that an OpenDocument file states about itself."""
    data = package.read("meta.xml")
    meta = child(parse_xml(data, name=name), "meta") if data else None
    stated = {local(fact): (fact.text or "").strip() for fact in (() if meta is None else meta)}
    date = iso_date(stated.get("date", "")) or iso_date(stated.get("creation-date", ""))
    return stated.get("title", ""), date


class _Text:
    """Writes the blocks of a document in order."""

    def __init__(self) -> None:
        self.manuscript = Manuscript()
        self._slides = 0

    def blocks(self, container: Element, depth: int) -> None:
        """Write what a body, a box or an item of a list holds; `depth` counts the lists around."""
        for block in container:
            name = local(block)
            if name in _UNREAD:
                continue
            if name == "h":
                level = number(attribute(block, "outline-level"), 1)
                self.manuscript.heading(level, _inline(block))
            elif name == "p":
                self._paragraph(block)
            elif name == "list":
                self._list(block, depth)
            elif name == "table":
                self._table(block)
            elif name == "page":
                self._slide(block)
            else:
                self.blocks(block, depth)

    def _paragraph(self, block: Element) -> None:
        self.manuscript.paragraph(_inline(block))
        for box in descendants(block, "text-box"):
            self.blocks(box, 0)

    def _list(self, block: Element, depth: int) -> None:
        for item in block:
            for position, part in enumerate(item):
                if local(part) == "list":
                    self._list(part, depth + 1)
                elif local(part) == "p":
                    sign = " " if position else "-"
                    text = _inline(part)
                    self.manuscript.line(f"{'  ' * depth}{sign} {text}" if text else "")
                elif local(part) == "h":
                    # A numbered heading stands inside a list.
                    level = number(attribute(part, "outline-level"), 1)
                    self.manuscript.heading(level, _inline(part))
        if not depth:
            self.manuscript.end_block()

    def _slide(self, page: Element) -> None:
        self._slides += 1
        frames = list(children(page, "frame"))
        title = next((f for f in frames if attribute(f, "class") == "title"), None)
        words = " ".join(_inline(part) for part in descendants(title, "p", "h"))
        head = f"Slide {self._slides}"
        self.manuscript.heading(1, f"{head}: {words}" if words else head)
        for shape in page:
            if shape is not title and local(shape) != "notes":
                self.blocks(shape, 0)

    def _table(self, table: Element) -> None:
        grid = Grid()
        for row in descendants(table, "table-row"):
            for cell in row:
                if local(cell) == "covered-table-cell" and not list(cell):
                    continue
                repeated = min(number(attribute(cell, "number-columns-repeated"), 1), REPEAT_LIMIT)
                columns = min(number(attribute(cell, "number-columns-spanned"), 1), REPEAT_LIMIT)
                rows = min(number(attribute(cell, "number-rows-spanned"), 1), REPEAT_LIMIT)
                text = " ".join(filter(None, map(_inline, descendants(cell, "p", "h"))))
                for _ in range(repeated):
                    grid.add(text, columns=columns, rows=rows)
            grid.end_row()
        headed = len(list(descendants(child(table, "table-header-rows"), "table-row")))
        self.manuscript.lines(table_lines(grid.rows, header_rows=headed or None))


def _inline(element: Element) -> str:
    """Return the text of a paragraph on one line."""
    return " ".join("".join(_pieces(element)).split())


def _pieces(element: Element) -> Iterator[str]:
    yield element.text or ""
    for inner in element:
        name = local(inner)
        if name == "s":
            yield " " * min(number(attribute(inner, "c"), 1), REPEAT_LIMIT)
        elif name in _SPACES:
            yield _SPACES[name]
        elif name == "note":
            yield f" ({_inline(inner)}) "
        elif name == "p":
            yield from (" ", _inline(inner), " ")
        elif name not in _UNREAD and name != "text-box":
            yield from _pieces(inner)
        yield inner.tail or ""
