"""Reads HTML: headings, paragraphs, lists, code and tables; no scripts, navigation and links."""

from __future__ import annotations

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from ingest.readers.grid import Grid
from ingest.readers.html_facts import decode_page, page_date, page_title
from ingest.readers.manuscript import Manuscript, Reading
from ingest.readers.rows import table_lines

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LISTS = frozenset({"ul", "ol", "menu", "dir"})
_BLOCKS = frozenset(
    "address article aside blockquote body caption center dd details dialog div dl dt fieldset "
    "figcaption figure footer form header hgroup hr html legend li main nav ol p pre section "
    "summary table tbody td tfoot th thead tr ul".split()
)
_UNREAD = frozenset(
    "area audio base button canvas datalist embed frame head iframe input link map meta nav "
    "noscript object option script select style svg template textarea title video".split()
)
"""What holds no text of the page, or text that only operates or navigates it."""
_SPACES = re.compile(r"[ \t\r\n\f\u00a0]+")
_INDENT_LIMIT = 10
"""Levels of lists that are told apart."""
_SPAN_LIMIT = 1000
"""What HTML itself takes for the most columns that a cell may span."""


def read_page(data: bytes, *, name: str) -> Reading:
    """Return the reading of the bytes of a page, in the encoding that it declares.

    Raises:
        UnreadableDocument: the bytes are in no encoding of text.
    """
    return read_html(decode_page(data, name=name))


def read_html(text: str) -> Reading:
    """Return the reading of a page."""
    manuscript = Manuscript()
    tree = write_page(manuscript, text)
    return manuscript.reading(title=page_title(tree), date=page_date(tree))


def write_page(manuscript: Manuscript, text: str) -> LexborHTMLParser:
    """Write the body of a page; return the page, for what its head states."""
    tree = LexborHTMLParser(text)
    if tree.body is not None:
        _Page(manuscript, _layouts(tree)).walk(tree.body)
        manuscript.end_block()
    return tree


class _Page:
    """Writes the elements of a page, in order; without recursion, as pages nest without a limit."""

    def __init__(self, manuscript: Manuscript, layouts: set[int]) -> None:
        self._manuscript = manuscript
        self._layouts = layouts
        self._inline: list[str] = []
        self._counters: list[int | None] = []
        self._bullet = ""

    def walk(self, root: LexborNode) -> None:
        """Write everything below an element."""
        stack: list[tuple[LexborNode, bool]] = [(root, False)]
        while stack:
            node, left = stack.pop()
            if left:
                self._leave(node.tag or "")
            elif node.is_text_node:
                self._inline.append(node.text_content or "")
            elif node.is_element_node and not _unread(node) and self._enter(node):
                stack.append((node, True))
                stack.extend((child, False) for child in reversed(list(_children(node))))
        self._flush()

    def _enter(self, node: LexborNode) -> bool:
        """Begin an element; return whether its children are still to be written."""
        tag = node.tag or ""
        if tag in _HEADINGS:
            self._flush()
            self._manuscript.heading(_HEADINGS[tag], inline_text(node))
            return False
        if tag == "pre":
            self._code(node)
            return False
        if tag == "table" and node.mem_id not in self._layouts:
            self._flush()
            self._manuscript.lines(_table(node))
            return False
        if tag in _BLOCKS:
            self._flush()
            if not self._counters:
                self._manuscript.end_block()
        if tag in _LISTS:
            self._counters.append(_start(node) if tag == "ol" else None)
        elif tag == "li":
            self._bullet = self._next_bullet()
        self._inline.append(_replacement(node))
        return True

    def _leave(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._flush()
        if tag in _LISTS and self._counters:
            self._counters.pop()
        if tag == "li":
            self._bullet = ""
        if tag in _BLOCKS and not self._counters:
            self._manuscript.end_block()

    def _next_bullet(self) -> str:
        indent = "  " * min(len(self._counters) - 1, _INDENT_LIMIT)
        number = self._counters[-1] if self._counters else None
        if number is None:
            return f"{indent}- "
        self._counters[-1] = number + 1
        return f"{indent}{number}. "

    def _flush(self) -> None:
        """Write what was gathered as a line."""
        lines = (_collapsed(line) for line in "".join(self._inline).split("\v"))
        self._inline.clear()
        for line in filter(None, lines):
            self._manuscript.line(f"{self._bullet}{line}")
            # What follows inside of the item stands below its first words.
            self._bullet = " " * len(self._bullet)

    def _code(self, node: LexborNode) -> None:
        self._flush()
        code = node.text().strip("\n")
        if code.strip():
            self._manuscript.lines(["```", *code.split("\n"), "```"])


def inline_text(root: LexborNode) -> str:
    """Return the text below an element on one line."""
    parts: list[str] = []
    stack: list[LexborNode | str] = list(reversed(list(_children(root))))
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            parts.append(node)
        elif node.is_text_node:
            parts.append(node.text_content or "")
        elif node.is_element_node and not _unread(node):
            edge = " " if node.tag in _BLOCKS else ""
            parts.extend((edge, _replacement(node)))
            stack.append(edge)
            stack.extend(reversed(list(_children(node))))
    return _collapsed("".join(parts))


def _children(node: LexborNode) -> Iterator[LexborNode]:
    child = node.first_child
    while child is not None:
        yield child
        child = child.next


def _unread(node: LexborNode) -> bool:
    if node.tag in _UNREAD:
        return True
    attributes = node.attrs
    return "hidden" in attributes or attributes.get("role") == "navigation"


def _replacement(node: LexborNode) -> str:
    """Return the text that an element without text stands for."""
    if node.tag == "br":
        return "\v"
    if node.tag == "img":
        return f" {node.attrs.sget('alt', '')} "
    return ""


def _collapsed(text: str) -> str:
    return _SPACES.sub(" ", text.replace("\v", " ")).strip()


def _start(node: LexborNode) -> int:
    start = node.attrs.sget("start", "1").strip()
    return int(start) if re.fullmatch(r"\d{1,6}", start, re.ASCII) else 1


def _layouts(tree: LexborHTMLParser) -> set[int]:
    """Return the tables that lay out a page: with headings, code or other tables inside."""
    found: set[int] = set()
    for inner in tree.css("table, h1, h2, h3, h4, h5, h6, pre"):
        if inner.tag == "table" and inner.attrs.get("role") in {"presentation", "none"}:
            found.add(inner.mem_id)
        above = inner.parent
        while above is not None and above.mem_id not in found:
            if above.tag == "table":
                found.add(above.mem_id)
            above = above.parent
    return found


def _table(table: LexborNode) -> Iterator[str]:
    caption = table.css_first("caption")
    if caption is not None:
        yield inline_text(caption)
    grid = Grid()
    header_rows, leading = 0, True
    for row in table.css("tr"):
        cells = [cell for cell in _children(row) if cell.tag in {"td", "th"}]
        if not cells:
            continue
        leading = leading and all(cell.tag == "th" for cell in cells) and len(cells) > 1
        header_rows += leading
        for cell in cells:
            grid.add(inline_text(cell), columns=_span(cell, "colspan"), rows=_span(cell, "rowspan"))
        grid.end_row()
    yield from table_lines(grid.rows, header_rows=header_rows or None)


def _span(cell: LexborNode, name: str) -> int:
    value = cell.attrs.sget(name, "1").strip()
    return min(int(value), _SPAN_LIMIT) if re.fullmatch(r"[1-9]\d{0,5}", value, re.ASCII) else 1
