"""Splits a document into chunks at field, line and sentence boundaries under a token limit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby, pairwise

from nupunkt import sent_spans

from chunking.document import (
    BREADCRUMB_SEPARATOR,
    Chunk,
    Document,
    Section,
    common_path,
    identified,
)
from chunking.errors import UnreadableDocument

Measure = Callable[[Sequence[str]], list[int]]
"""Counts the tokens of each text, special tokens included; an embedder's `count_tokens`."""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Unit:
    """The smallest piece that packing moves: a line, or a part of a line too long for one chunk."""

    start: int
    end: int
    path: tuple[str, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class Splitter:
    """Splits documents so that no chunk, breadcrumb included, is longer than `limit` tokens.

    Fields and short sections stay whole and share a chunk with their neighbours under the same
    outermost heading; only a text longer than one chunk is cut, at sentences first, then at
    clauses, words and characters. A title or heading that would take more than half of a chunk (a
    paragraph that Markdown reads as a heading, say) stands shortened in the chunks' breadcrumbs.

    Attributes:
        measure: counts tokens as the embedder does.
        size: tokens a chunk aims at, breadcrumb included.
        limit: most tokens of `Chunk.embedded_text`; longer texts would be cut by the embedder.
    """

    measure: Measure
    size: int = 200
    limit: int = 256

    def __post_init__(self) -> None:
        if not 16 <= self.size <= self.limit:  # noqa: PLR2004 - a breadcrumb alone may need 16
            raise ValueError(f"size {self.size} is not between 16 and limit {self.limit}")

    @property
    def name(self) -> str:
        """What decides the cuts, part of the fingerprint of an index."""
        return f"fields:{self.size}/{self.limit}"

    def split(self, document: Document) -> tuple[Chunk, ...]:
        """Return the chunks of a document in document order; none for a blank text.

        Raises:
            UnreadableDocument: a single character is longer than `limit`.
        """
        document = self._with_short_headings(document)
        special = self.measure([""])[0]
        chunks: list[Chunk] = []
        for _, group in groupby(_sections(document), key=lambda section: section.path[:1]):
            units = [unit for s in group for unit in self._units(document, s, special)]
            header = self._header_tokens(document, [unit.path for unit in units])
            for packed in self._pack(units, header):
                chunks.extend(self._verified(document, packed, len(chunks)))
        return identified(chunks, splitter=self.name)

    def _with_short_headings(self, document: Document) -> Document:
        """Cut title and headings to the length at which no breadcrumb takes over half a chunk."""
        paths = [section.path for section in document.sections]
        length = max(map(len, chain((document.title,), *paths)))
        while length and self._header_tokens(document, [(), *paths]) > self.size // 2:
            length //= 2
            sections = [replace(s, path=_shortened(s.path, length)) for s in document.sections]
            title = "".join(_shortened((document.title,), length))
            document = replace(document, title=title, sections=tuple(sections))
            paths = [section.path for section in sections]
        return document

    def _header_tokens(self, document: Document, paths: Sequence[tuple[str, ...]]) -> int:
        """Return the tokens of the longest breadcrumb that a chunk of these paths may carry."""
        if not paths:
            return 0
        distinct = sorted(set(paths))
        lines = [BREADCRUMB_SEPARATOR.join((document.title, *path)) for path in distinct]
        return max(self.measure(lines))

    def _units(self, document: Document, section: Section, special: int) -> list[_Unit]:
        header = self._header_tokens(document, [section.path])
        room = max(self.size - header, self.size // 4)
        spans = list(_line_spans(document.text, section.start, section.end))
        counts = self.measure([document.text[start:end] for start, end in spans])
        units: list[_Unit] = []
        for (start, end), count in zip(spans, counts, strict=True):
            if count - special <= room:
                units.append(_Unit(start, end, section.path, count - special))
            else:
                units.extend(
                    _Unit(*span, section.path, tokens)
                    for span, tokens in self._divide(document.text, (start, end), room, special)
                )
        return units

    def _divide(
        self, text: str, span: Span, room: int, special: int, level: int = 0
    ) -> Iterator[tuple[Span, int]]:
        """Cut a span at the mildest boundary that brings every part within `room` tokens."""
        parts = [_strip(text, part) for part in _BOUNDARIES[level](text, *span)]
        parts = [(start, end) for start, end in parts if start < end]
        counts = self.measure([text[start:end] for start, end in parts])
        for part, count in zip(parts, counts, strict=True):
            tokens = count - special
            if tokens <= room or part[1] - part[0] == 1:
                yield part, tokens
            else:
                deeper = min(level + 1, len(_BOUNDARIES) - 1)
                yield from self._divide(text, part, room, special, deeper)

    def _pack(self, units: Sequence[_Unit], header: int) -> Iterator[list[_Unit]]:
        """Group neighbouring units up to `size`, keeping each section whole where it fits."""
        room = max(self.size - header, self.size // 4)
        packed: list[_Unit] = []
        used = 0
        for _, section in groupby(units, key=lambda unit: unit.path):
            members = list(section)
            total = sum(unit.tokens for unit in members)
            if packed and used + total > room and total <= room:
                yield packed
                packed, used = [], 0
            for unit in members:
                if packed and used + unit.tokens > room:
                    yield packed
                    packed, used = [], 0
                packed.append(unit)
                used += unit.tokens
        if packed:
            yield packed

    def _verified(
        self, document: Document, units: Sequence[_Unit], position: int
    ) -> Iterator[Chunk]:
        """Yield the chunk of these units; halve it until the embedder's own count is in limit.

        Sums of unit counts may fall short of the count of the joined text, so the joined text has
        the last word.
        """
        chunk = Chunk.of(
            document,
            start=units[0].start,
            end=units[-1].end,
            path=common_path([unit.path for unit in units]),
            position=position,
        )
        if self.measure([chunk.embedded_text])[0] <= self.limit:
            yield chunk
            return
        half = len(units) // 2
        halves = (units[:half], units[half:]) if half else _cut_in_two(units[0])
        for part in halves:
            for shorter in self._verified(document, part, position):
                yield shorter
                position += 1


def boundaries(text: str) -> list[int]:
    """Return where a text may be cut without cutting a sentence or a line, first to last."""
    return [
        end
        for line in _line_spans(text, 0, len(text))
        for sentence in _sentence_spans(text, *line)
        if (end := _strip(text, sentence)[1]) < len(text)
    ]


def _cut_in_two(unit: _Unit) -> tuple[list[_Unit], list[_Unit]]:
    if unit.end - unit.start < 2:  # noqa: PLR2004 - one character cannot be cut
        raise UnreadableDocument(
            f"the character at {unit.start} does not fit the embedder's input limit"
        )
    middle = (unit.start + unit.end) // 2
    half = unit.tokens // 2
    left = _Unit(unit.start, middle, unit.path, half)
    right = _Unit(middle, unit.end, unit.path, unit.tokens - half)
    return [left], [right]


def _shortened(headings: Sequence[str], length: int) -> tuple[str, ...]:
    """Return the headings cut to `length` characters, an ellipsis for the rest."""
    cut = (h if len(h) <= length else f"{h[: length - 1].rstrip()}…" for h in headings)
    return tuple(cut) if length else ()


def _sections(document: Document) -> Iterator[Section]:
    """Yield the sections, and text outside of sections under an empty path when there are none."""
    if document.sections:
        yield from document.sections
    else:
        yield Section((), 0, len(document.text))


def _strip(text: str, span: Span) -> Span:
    start, end = span
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _line_spans(text: str, start: int, end: int) -> Iterator[Span]:
    for match in re.compile(r"[^\n]+").finditer(text, start, end):
        span = _strip(text, match.span())
        if span[0] < span[1]:
            yield span


def _sentence_spans(text: str, start: int, end: int) -> list[Span]:
    return [(start + left, start + right) for left, right in sent_spans(text[start:end])]


def _cut_after(pattern: str) -> Callable[[str, int, int], list[Span]]:
    compiled = re.compile(pattern)

    def spans(text: str, start: int, end: int) -> list[Span]:
        cuts = [start, *(match.end() for match in compiled.finditer(text, start, end)), end]
        return list(pairwise(cuts))

    return spans


def _halves(text: str, start: int, end: int) -> list[Span]:
    del text
    middle = (start + end) // 2
    return [(start, middle), (middle, end)]


_BOUNDARIES: tuple[Callable[[str, int, int], list[Span]], ...] = (
    _sentence_spans,
    _cut_after(r"[;:]\s"),
    _cut_after(r",\s"),
    _cut_after(r"\s+"),
    _halves,
)
"""Where a text longer than one chunk is cut, mildest first."""
