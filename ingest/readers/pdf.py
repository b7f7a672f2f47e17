"""Reads PDF files: paragraphs out of lines, headings by their size, no running heads."""

from __future__ import annotations

import ctypes
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import pypdfium2
import pypdfium2.raw as pdfium

from chunking.errors import UnreadableDocument
from ingest.readers.dates import pdf_date
from ingest.readers.manuscript import Manuscript, Reading

HEADING_RATIO = 1.15
"""How much larger than most of the text a heading is set, at least."""
HEADING_LIMIT = 160
"""Characters of a heading; longer large print is a text."""
_HEADING_LEVELS = 3
_LETTERS = 2
_FULL_LINE = 0.8
"""A line that reaches this far to the right goes on in the next one."""
_LINE_GAP = 0.9
"""Blank height between two lines of a paragraph, at most, in heights of a line."""
_RUNNING_PAGES = 4
"""Pages from which on a line that most of them repeat at the edge is a running head."""
_RUNNING_SHARE = 0.5
_EDGE_LINES = 2
_ITEM = re.compile(r"[•●○▪■□◦‣*\u2013\u2014-]\s|\(?\d{1,3}[.)]\s|\(?[a-zA-Z][.)]\s")
_NO_TITLE = re.compile(
    r"(?i)microsoft \w+ - |untitled|\(?anonymous\)?$|powerpoint presentation$|"
    r".*\.(?:docx?|pptx?|xlsx?|od[tsp]|indd|tex|dvi|qxd|rtf)$"
)
"""What programs write where nobody gave a title."""
_ALEF_LAM = re.compile("[\u0622\u0623\u0625\u0627]\u0644")
_LEADERS = re.compile(r"\s?(?:\.\s?){5,}")
"""Dots that lead to a page number, a token each."""
_TO_PAGE = re.compile(r" \.\.\. ?[\divxlc]+$")
_BOLD = re.compile(rb"(?i)bold|black|heavy|[-,]b\b")
_FONT_NAME_LIMIT = 128
_BOLD_SHARE = 0.25
"""Where more lines than this are bold, bold is no sign of a heading."""
_HYPHEN = "\x02"
"""What the library writes for a hyphen at the end of a line."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a page; sizes and places in points, the vertical ones from the bottom up."""

    text: str
    size: float
    left: float
    right: float
    top: float
    bottom: float
    bold: bool


def read_pdf(data: bytes, *, name: str) -> Reading:
    """Return the reading of a PDF file.

    Raises:
        UnreadableDocument: it is broken, encrypted, or holds pictures of text alone.
    """
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            hint = "store it without a password"
            raise UnreadableDocument(f"{name}: encrypted", hint=hint, param=name) from error
        raise UnreadableDocument(f"{name}: broken PDF", param=name) from error
    with document:
        pages = [list(_lines(document, number)) for number in range(len(document))]
        facts = document.get_metadata_dict()
        outline = dict(_outline(document))
    if not any(pages):
        hint = "recognize its text first (OCR), then ingest the result"
        reason = f"{name}: no text on {len(pages):,} pages, pictures alone"
        raise UnreadableDocument(reason, hint=hint, param=name)
    title = "" if _NO_TITLE.match(facts.get("Title", "")) else facts.get("Title", "")
    date = pdf_date(facts.get("ModDate", "")) or pdf_date(facts.get("CreationDate", ""))
    pages = _without_running_heads(pages)
    levels = _levels(pages, outline)
    manuscript = Manuscript()
    headed = any(map(any, levels))
    _write(manuscript, pages, levels if headed else None)
    reading = manuscript.reading(title=title, date=date)
    return reading if headed or title else replace(reading, title="")


def _lines(document: pypdfium2.PdfDocument, number: int) -> Iterator[_Line]:
    """Yield the lines of a page; a page that cannot be read yields none."""
    try:
        page = document[number]
        text_page = page.get_textpage()
        text = _with_ligatures(text_page, text_page.get_text_range())
    except pypdfium2.PdfiumError:
        return
    start = 0
    for part in re.split(r"(\r\n|\r|\n)", text):
        if part.strip():
            yield _line(text_page, part, start)
        start += len(part)
    text_page.close()
    page.close()


def _with_ligatures(page: pypdfium2.PdfTextPage, text: str) -> str:
    """Return the text with lam before alef where a font draws them as one sign.

    The library takes the sign apart from right to left; both letters then have the same box.
    """
    letters = list(text)
    for match in _ALEF_LAM.finditer(text):
        alef, lam = (_box(page, at) for at in (match.start(), match.start() + 1))
        if (alef.left, alef.right) == (lam.left, lam.right):
            letters[match.start() : match.end()] = match[0][::-1]
    return "".join(letters)


def _line(page: pypdfium2.PdfTextPage, text: str, start: int) -> _Line:
    first = start + len(text) - len(text.lstrip())
    last = start + len(text.rstrip().rstrip(_HYPHEN)) - 1
    left, right = _box(page, first), _box(page, max(first, last))
    return _Line(
        text=_LEADERS.sub(" ... ", " ".join(text.split())),
        size=round(left.top - left.bottom, 1),
        left=min(left.left, right.left),
        right=max(left.right, right.right),
        top=max(left.top, right.top),
        bottom=min(left.bottom, right.bottom),
        bold=_bold(page, first) and _bold(page, max(first, last)),
    )


def _box(page: pypdfium2.PdfTextPage, at: int) -> pdfium.FS_RECTF:
    """Return the box of a character, as high as its font is large."""
    box = pdfium.FS_RECTF()
    index = pdfium.FPDFText_GetCharIndexFromTextIndex(page, at)
    pdfium.FPDFText_GetLooseCharBox(page, index, ctypes.byref(box))
    return box


def _bold(page: pypdfium2.PdfTextPage, at: int) -> bool:
    """Return whether a character is set in bold, as its font's name says."""
    name = ctypes.create_string_buffer(_FONT_NAME_LIMIT)
    flags = ctypes.c_int()
    index = pdfium.FPDFText_GetCharIndexFromTextIndex(page, at)
    pdfium.FPDFText_GetFontInfo(page, index, name, len(name), ctypes.byref(flags))
    return _BOLD.search(name.value) is not None


def _outline(document: pypdfium2.PdfDocument) -> Iterator[tuple[str, int]]:
    """Yield the bookmarks with their levels, from 1."""
    for bookmark in document.get_toc(max_depth=6):
        title = _plain(bookmark.get_title())
        if title:
            yield title, bookmark.level + 1


def _without_running_heads(pages: Sequence[list[_Line]]) -> list[list[_Line]]:
    """Return the pages without the lines that most repeat at their top or bottom."""
    if len(pages) < _RUNNING_PAGES:
        return list(pages)
    at_edges = [{_plain(line.text) for line in _edges(page)} for page in pages]
    counts = Counter(text for edge in at_edges for text in edge)
    running = {text for text, count in counts.items() if count > len(pages) * _RUNNING_SHARE}
    return [
        [line for line in page if line not in _edges(page) or _plain(line.text) not in running]
        for page in pages
    ]


def _edges(page: list[_Line]) -> list[_Line]:
    ordered = sorted(page, key=lambda line: -line.top)
    return [*ordered[:_EDGE_LINES], *ordered[-_EDGE_LINES:]]


def _plain(text: str) -> str:
    """Return a text without what differs between a running head's pages, or to its bookmark."""
    return re.sub(r"[\d\W_]+", " ", text).strip().casefold()


def _write(
    manuscript: Manuscript, pages: Sequence[list[_Line]], levels: list[list[int]] | None
) -> None:
    """Write the pages under their headings; without any, the page is what a reader turns to."""
    for number, page in enumerate(pages, start=1):
        if levels is None and len(pages) > 1 and page:
            manuscript.heading(1, f"Page {number}")
        page_levels = [0] * len(page) if levels is None else levels[number - 1]
        full = _full_width(page)
        for level, group in groupby(zip(page, page_levels, strict=True), key=lambda pair: pair[1]):
            for paragraph in _paragraphs([line for line, _ in group], 0 if level else full):
                if level and len(paragraph) <= HEADING_LIMIT:
                    manuscript.heading(level, paragraph)
                else:
                    manuscript.paragraph(paragraph)


def _levels(pages: Sequence[list[_Line]], outline: dict[str, int]) -> list[list[int]]:
    """Return the heading level of each line of each page; 0 for text.

    A file's own bookmarks decide where they name lines of it, else the sizes larger than most.
    """
    named = [[outline.get(_plain(line.text), 0) for line in page] for page in pages]
    if sum(map(bool, (level for page in named for level in page))) * 2 >= len(outline) > 0:
        return named
    sizes: Counter[float] = Counter()
    for line in (line for page in pages for line in page):
        sizes[line.size] += len(line.text)
    body = max(sizes, key=lambda size: sizes[size], default=0.0)
    large = [[_heading_size(line, body) for line in page] for page in pages]
    ranked = sorted({size for page in large for size in page if size}, reverse=True)
    ranks = {size: min(at, _HEADING_LEVELS) for at, size in enumerate(ranked, start=1)}
    found = [[ranks.get(size, 0) for size in page] for page in large]
    return found if any(map(any, found)) else _bold_levels(pages)


def _bold_levels(pages: Sequence[list[_Line]]) -> list[list[int]]:
    """Return level 1 for the short bold lines of a file where few are, 0 for the others."""
    bold = [[line.bold and len(line.text) <= HEADING_LIMIT for line in page] for page in pages]
    count = sum(sum(page) for page in bold)
    if count > _BOLD_SHARE * sum(map(len, pages)):
        return [[0] * len(page) for page in pages]
    return [list(map(int, page)) for page in bold]


def _heading_size(line: _Line, body: float) -> float:
    """Return the size of a heading, rounded so that print of one size is one level; 0 for text."""
    return round(line.size * 2) / 2 if _large(line, body) else 0.0


def _large(line: _Line, body: float) -> bool:
    return (
        line.size >= body * HEADING_RATIO
        and len(line.text) <= HEADING_LIMIT
        and sum(map(str.isalpha, line.text)) >= _LETTERS
    )


def _full_width(page: list[_Line]) -> float:
    """Return how wide a line is that ends only where its column does."""
    widths = sorted(line.right - line.left for line in page)
    return widths[len(widths) * 9 // 10] * _FULL_LINE if widths else 0.0


def _paragraphs(lines: Sequence[_Line], full: float) -> Iterator[str]:
    """Yield the paragraphs that the lines of a page make up."""
    paragraph: list[_Line] = []
    for line in lines:
        if paragraph and not _goes_on(paragraph[-1], line, full):
            yield _joined(paragraph)
            paragraph = []
        paragraph.append(line)
    if paragraph:
        yield _joined(paragraph)


def _goes_on(line: _Line, following: _Line, full: float) -> bool:
    """Return whether a line goes on in the following one."""
    height = line.top - line.bottom
    gap = line.bottom - following.top
    return (
        line.right - line.left >= full
        and -height < gap <= height * _LINE_GAP
        and abs(line.size - following.size) <= 1
        and _ITEM.match(following.text) is None
        and _TO_PAGE.search(line.text) is None
    )


def _joined(lines: Sequence[_Line]) -> str:
    """Return the text of lines as one; a word that a hyphen parts becomes whole."""
    text = " ".join(line.text for line in lines)
    return text.replace(f"{_HYPHEN} ", "").replace(_HYPHEN, "-")
