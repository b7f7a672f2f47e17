"""Reads presentations (PPTX): a section per slide, with tables, charts, notes and comments."""

from __future__ import annotations

from collections.abc import Callable, Iterator

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

COLUMNS_LIMIT = 1000
"""What PowerPoint itself takes for the most columns of a table, with room to spare."""

_Read = Callable[[Element], Iterator[str]]
_TITLES = frozenset({"title", "ctrTitle"})
_FURNITURE = frozenset({"sldNum", "dt", "ftr", "hdr", "sldImg"})
"""Placeholders that repeat the same on every slide."""
_FRAMES = (("spPr", "xfrm"), ("xfrm",), ("grpSpPr", "xfrm"))
"""Where the kinds of shapes say their place."""
_SHAPES = frozenset({"sp", "grpSp", "graphicFrame", "pic", "cxnSp", "contentPart"})


def read_slides(data: bytes, *, name: str) -> Reading:
    """Return the reading of a PPTX file.

    Raises:
        UnreadableDocument: it is broken, encrypted or too large.
    """
    package = Package(data, name=name)
    part, root = package.main("presentation", "ppt/presentation.xml")
    manuscript = Manuscript()
    listed = child(root, "sldIdLst")
    authors = dict(_authors(package, part))
    for position, entry in enumerate(children(listed, "sldId"), start=1):
        slide = package.by_id(part, _relationship(entry))
        drawn = package.xml(slide) if slide else None
        if slide and drawn is not None:
            _Slide(package, slide, manuscript, authors).write(drawn, position)
    return manuscript.reading(title=package.title(), date=package.date())


class _Slide:
    """Writes one slide."""

    def __init__(
        self, package: Package, part: str, manuscript: Manuscript, authors: dict[str, str]
    ) -> None:
        self._package = package
        self._part = part
        self._manuscript = manuscript
        self._authors = authors

    def write(self, root: Element, position: int) -> None:
        """Write the title as a heading, then the shapes from top to bottom."""
        shapes = list(_shapes(child(root, "cSld", "spTree")))
        title = next((shape for shape in shapes if _placeholder(shape) in _TITLES), None)
        words = "" if title is None else " ".join(_words(title))
        self._manuscript.heading(1, f"Slide {position}: {words}" if words else f"Slide {position}")
        for shape in shapes:
            if shape is not title and _placeholder(shape) not in _FURNITURE:
                self._manuscript.lines(self._shape(shape))
        self._manuscript.lines(self._notes())
        self._manuscript.lines(self._comments())

    def _shape(self, shape: Element) -> Iterator[str]:
        for table in descendants(shape, "tbl"):
            yield from _table(table)
        for chart in descendants(shape, "chart"):
            yield from self._drawn(chart, "id", chart_lines)
        for drawing in descendants(shape, "relIds"):
            yield from self._drawn(drawing, "dm", _diagram)
        if local(shape) == "pic":
            yield " ".join((attribute(child(shape, "nvPicPr", "cNvPr"), "descr") or "").split())
        yield from _words(shape)

    def _drawn(self, element: Element, reference: str, read: _Read) -> Iterator[str]:
        part = self._package.by_id(self._part, attribute(element, reference) or "")
        root = self._package.xml(part) if part else None
        if root is not None:
            yield from read(root)

    def _notes(self) -> Iterator[str]:
        part = self._package.of_kind("notesSlide", self._part)
        root = self._package.xml(part) if part else None
        for shape in _shapes(child(root, "cSld", "spTree")):
            if _placeholder(shape) not in _FURNITURE:
                for position, line in enumerate(_words(shape)):
                    yield line if position else f"Notes: {line}"

    def _comments(self) -> Iterator[str]:
        for related in self._package.related(self._part):
            if related.kind == "comments":
                root = self._package.xml(related.part)
                for comment in descendants(root, "cm", "reply"):
                    text = child(comment, "text")
                    words = _words(comment) if text is None else iter([text.text or ""])
                    author = self._authors.get(attribute(comment, "authorId") or "", "")
                    by = f"Comment by {author}" if author else "Comment"
                    yield f"{by}: {' '.join(' '.join(words).split())}"


def _relationship(entry: Element) -> str:
    """Return the id of the slide's relationship; the entry has an id of its own beside it."""
    return next((value for key, value in entry.attrib.items() if key.endswith("}id")), "")


def _authors(package: Package, part: str) -> Iterator[tuple[str, str]]:
    """Yield the id and the name of everyone who commented."""
    for kind in ("commentAuthors", "authors"):
        found = package.of_kind(kind, part)
        for author in descendants(package.xml(found) if found else None, "cmAuthor", "author"):
            yield attribute(author, "id") or "", attribute(author, "name") or ""


def _place(shape: Element) -> tuple[int, int]:
    """Return how far a shape stands from the top and the left; 0 where its layout decides."""
    if local(shape) == "AlternateContent":
        shape = next(descendants(shape, *_SHAPES), shape)
    frames = (child(shape, *path, "off") for path in _FRAMES)
    offset = next((found for found in frames if found is not None), None)
    return number(attribute(offset, "y")), number(attribute(offset, "x"))


def _shapes(tree: Element | None) -> Iterator[Element]:
    """Yield the shapes of a slide or a group from top to bottom, a group's shapes together."""
    for shape in sorted(() if tree is None else tree, key=_place):
        name = local(shape)
        if name == "grpSp":
            yield from _shapes(shape)
        elif name in _SHAPES:
            yield shape
        elif name == "AlternateContent":
            forms = [form for form in shape if any(local(e) in _SHAPES for e in form)]
            yield from _shapes(forms[0] if forms else None)


def _placeholder(shape: Element) -> str:
    found = next(descendants(shape, "ph"), None)
    return "" if found is None else attribute(found, "type") or ""


def _words(shape: Element) -> Iterator[str]:
    """Yield the paragraphs of a shape's text; deeper ones are items of lists."""
    body = child(shape, "txBody")
    counts: dict[int, int] = {}
    for paragraph in children(body, "p"):
        text = " ".join("".join(_runs(paragraph)).split())
        if not text:
            continue
        properties = child(paragraph, "pPr")
        level = number(attribute(properties, "lvl"))
        counts = {at: count for at, count in counts.items() if at <= level}
        if child(properties, "buAutoNum") is not None:
            counts[level] = counts.get(level, 0) + 1
            yield f"{'  ' * level}{counts[level]}. {text}"
        elif level or child(properties, "buChar") is not None:
            yield f"{'  ' * level}- {text}"
        else:
            yield text


def _runs(paragraph: Element) -> Iterator[str]:
    for run in paragraph:
        name = local(run)
        if name in {"r", "fld"}:
            found = child(run, "t")
            yield "" if found is None else found.text or ""
        elif name == "br":
            yield " "
        else:
            yield from (f" ${latex(part).strip()}$ " for part in descendants(run, "oMath"))


def _table(table: Element) -> Iterator[str]:
    grid = Grid()
    for row in children(table, "tr"):
        for cell in children(row, "tc"):
            if attribute(cell, "hMerge") in {"1", "true"}:
                continue
            columns = min(max(1, number(attribute(cell, "gridSpan"), 1)), COLUMNS_LIMIT)
            if attribute(cell, "vMerge") in {"1", "true"}:
                grid.add_from_above(columns=columns)
            else:
                grid.add(" ".join(_words(cell)), columns=columns)
        grid.end_row()
    headed = attribute(child(table, "tblPr"), "firstRow") in {"1", "true"}
    yield from table_lines(grid.rows, header_rows=1 if headed and len(grid.rows) > 1 else None)


def _diagram(root: Element) -> Iterator[str]:
    """Yield the texts of a SmartArt drawing."""
    for point in descendants(root, "pt"):
        text = " ".join(" ".join(part.text or "" for part in descendants(point, "t")).split())
        if text:
            yield f"- {text}"
