"""Splits a document into chunks at field, block, line and sentence boundaries under a limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import attrgetter
from typing import Final

from chunking.blocks import lines_of
from chunking.cuts import CUTS, Span, boundaries, visible_spans
from chunking.document import (
    Chunk,
    Document,
    Section,
    common_path,
    identified,
    join_headings,
)
from chunking.errors import UnreadableDocument
from chunking.measures import Measure
from chunking.packing import Headings, Unit, pack
from chunking.programs import SOURCE_CODE
from chunking.words import MOST_BYTES, BoundedTexts, TextCounts, byte_length, text_counts

__all__ = ["Measure", "Splitter", "boundaries"]

SCHEME: Final = "packed:2"
"""Names how documents are cut, in ids and fingerprints: another one for every change of a cut."""

_FILLED: Final = 0.9
_LEAST_TEXT: Final = 96
"""Up to so many tokens a chunk's text may fill all of `size`: shorter ones are found less."""


@dataclass(frozen=True, slots=True)
class Splitter:
    """Splits documents so that no chunk, breadcrumb included, is longer than `limit` tokens.

    The text of a chunk fills nine tenths of `size`, and 96 tokens or all of `size` at least. The
    breadcrumb comes on top, so that long headings take no text away; docs/retrieval.md has figures.
    A token has eight bytes of text at most, whatever the measure says: see `BoundedTexts`.

    Fields and short sections stay whole and share a chunk with their neighbours under the same
    outermost heading, the first ones with what stands before it. A longer section is cut between
    its blocks, see `blocks`, a longer block between its lines, and a longer line at sentences
    first, then at clauses, words and characters.
    A chunk of a table's rows without the names of their columns has these behind the headings of
    its path. A title or heading that would take more than half of a chunk (a
    paragraph that Markdown reads as a heading, say) stands shortened in the chunks' breadcrumbs.

    Attributes:
        measure: counts tokens as the embedder does. One that says where its counts add up makes
            splitting several times faster, see `measures`; the chunks are the same.
        size: most tokens of a chunk's text, names of columns included.
        limit: most tokens of `Chunk.embedded_text`; longer texts would be cut by the embedder.
    """

    measure: Measure
    size: int = 200
    limit: int = 256
    _counts: TextCounts = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 16 <= self.size <= self.limit:  # noqa: PLR2004 - a breadcrumb alone may need 16
            raise ValueError(f"size {self.size} is not between 16 and limit {self.limit}")
        object.__setattr__(self, "_counts", BoundedTexts(text_counts(self.measure)))

    @property
    def name(self) -> str:
        """What decides the cuts, part of the fingerprint of an index."""
        return f"{SCHEME}:{self.size}/{self.limit}"

    def split(self, document: Document) -> tuple[Chunk, ...]:
        """Return the chunks of a document in document order; none for a blank text.

        Raises:
            UnreadableDocument: a single character is longer than `limit`.
        """
        document, headers = self._with_short_headings(document)
        packed = [
            members
            for _, group in groupby(self._units(document, headers), key=attrgetter("group"))
            for members in self._pack(list(group), headers)
        ]
        chunks = self._chunks(document, packed)
        ordered = (
            chunk if chunk.position == position else replace(chunk, position=position)
            for position, chunk in enumerate(chunks)
        )
        return identified(ordered, splitter=self.name)

    def _with_short_headings(self, document: Document) -> tuple[Document, Mapping[Headings, int]]:
        """Cut title and headings to the length at which no breadcrumb takes over half a chunk.

        Returns:
            The document, and the tokens of the breadcrumb of each path in it.
        """
        headers = self._header_tokens(document)
        length = max(len(document.title), *(len(h) for path in headers for h in path), 0)
        while length and max(headers.values()) > self.size // 2:
            length //= 2
            sections = [replace(s, path=_shortened(s.path, length)) for s in document.sections]
            title = "".join(_shortened((document.title,), length))
            document = replace(document, title=title, sections=tuple(sections))
            headers = self._header_tokens(document)
        return document, headers

    def _header_tokens(self, document: Document) -> Mapping[Headings, int]:
        """Return the tokens of the breadcrumb of each path, and of none."""
        paths = list({(): None} | dict.fromkeys(section.path for section in document.sections))
        lines = [join_headings(document.title, path) for path in paths]
        counts = (tokens + self._counts.special for tokens in self._counts.count(lines))
        return dict(zip(paths, counts, strict=True))

    def _room(self, header: int) -> int:
        """Return the tokens of text that a chunk under a breadcrumb of so many aims at."""
        filled = max(int(self.size * _FILLED), min(self.size, _LEAST_TEXT))
        return max(min(filled, self.limit - header), self.size // 4)

    def _units(self, document: Document, headers: Mapping[Headings, int]) -> Iterator[Unit]:
        """Yield the lines of all sections, and the parts of those that are too long."""
        text = document.text
        places = list(_grouped(_sections(document)))
        program = document.media_type == SOURCE_CODE
        lines = [lines_of(text, s.start, s.end, program=program) for s, _ in places]
        counts = iter(self._counts.count([text[ln.start : ln.end] for of in lines for ln in of]))
        for (section, group), of_section in zip(places, lines, strict=True):
            path, header = section.path, headers[section.path]
            shown, whole = {"": ("", 0)}, self._room(header)
            for (start, end, block, part, columns), tokens in zip(of_section, counts, strict=False):
                if columns not in shown:
                    shown[columns] = self._columns(document, path, columns, header)
                names, above = shown[columns]
                unit = Unit(start, end, path, tokens, group, block, part, names, above)
                room = max(whole - above, self.size // 4)
                if tokens <= room:
                    yield unit
                else:
                    for (left, right), count in _divide(text, (start, end), room, self._counts):
                        yield unit._replace(start=left, end=right, tokens=count)

    def _columns(
        self, document: Document, path: Headings, names: str, header: int
    ) -> tuple[str, int]:
        """Return the names of columns, shortened if need be, and what they add to a breadcrumb."""
        most = max(self.size // 2 - header, self.size // 4)
        while names:
            line = join_headings(document.title, (*path, names))
            above = self._counts.count([line])[0] + self._counts.special - header
            if above <= most:
                return names, max(above, 0)
            names = "".join(_shortened((names,), len(names) // 2))
        return "", 0

    def _pack(
        self, units: Sequence[Unit], headers: Mapping[Headings, int]
    ) -> Iterator[Sequence[Unit]]:
        """Group neighbouring units up to `size`, keeping each section whole where it fits."""
        return pack(units, self._room(max(headers[path] for path in {u.path for u in units})))

    def _chunks(self, document: Document, packed: Sequence[Sequence[Unit]]) -> Iterator[Chunk]:
        """Yield the chunks of these units, those above the limit in parts.

        Sums of unit counts may fall short of the count of the joined text, so the joined text has
        the last word, unless it is known what joining costs.
        """
        chunks = [_chunk(document, units, position) for position, units in enumerate(packed)]
        within = [
            self._surely_within(document.text, chunk, units)
            for chunk, units in zip(chunks, packed, strict=True)
        ]
        unsure = [
            chunk.embedded_text for chunk, sure in zip(chunks, within, strict=True) if not sure
        ]
        fits = iter(self._fit(unsure))
        for chunk, units, sure in zip(chunks, packed, within, strict=True):
            if sure or next(fits):
                yield chunk
            else:
                yield from self._halved(document, units)

    def _fit(self, texts: Sequence[str]) -> list[bool]:
        """Return of each text whether it is within the limit."""
        return [tokens + self._counts.special <= self.limit for tokens in self._counts.count(texts)]

    def _surely_within(self, text: str, chunk: Chunk, units: Sequence[Unit]) -> bool:
        """Return whether sums alone show that a chunk is within the limit."""
        spans = [(unit.start, unit.end) for unit in units]
        more = self._counts.joined(chunk.breadcrumb, text, spans)
        if more is None or sum([unit.tokens for unit in units]) + more > self.limit:
            return False
        # White space between units counts nothing by any measure that parts words there.
        return byte_length(chunk.embedded_text) <= MOST_BYTES * self.limit

    def _halved(self, document: Document, units: Sequence[Unit]) -> Iterator[Chunk]:
        """Yield the chunks of two halves, halving each until its own count is within the limit.

        Positions are given afterwards.
        """
        for half in _in_two(units):
            chunk = _chunk(document, half, 0)
            if all(self._fit([chunk.embedded_text])):
                yield chunk
            else:
                yield from self._halved(document, half)


def _chunk(document: Document, units: Sequence[Unit], position: int) -> Chunk:
    """Return the chunk of these units, not identified yet."""
    start, end = units[0].start, units[-1].end
    path = common_path(list({unit.path for unit in units}))
    if units[0].columns:
        path = (*path, units[0].columns)
    text = document.text[start:end]
    return Chunk(
        "", document.id, document.title, path, start, end, text, position, document.sensitivity
    )


def _divide(
    text: str, span: Span, room: int, counts: TextCounts, level: int = 0
) -> Iterator[tuple[Span, int]]:
    """Cut a span at the mildest boundary that brings every part within `room` tokens."""
    parts = list(visible_spans(text, *span, cut=CUTS[level]))
    sizes = counts.count([text[start:end] for start, end in parts])
    for (start, end), tokens in zip(parts, sizes, strict=True):
        if tokens <= room or end - start == 1:
            yield (start, end), tokens
        else:
            deeper = min(level + 1, len(CUTS) - 1)
            yield from _divide(text, (start, end), room, counts, deeper)


def _in_two(units: Sequence[Unit]) -> Sequence[Sequence[Unit]]:
    """Return two halves of a chunk's units, or of its only one."""
    if len(units) > 1:
        half = len(units) // 2
        return units[:half], units[half:]
    [unit] = units
    if unit.end - unit.start < 2:  # noqa: PLR2004 - one character cannot be cut
        raise UnreadableDocument(
            f"the character at {unit.start} does not fit the embedder's input limit"
        )
    middle = (unit.start + unit.end) // 2
    return [unit._replace(end=middle)], [unit._replace(start=middle)]


def _shortened(headings: Sequence[str], length: int) -> Headings:
    """Return the headings cut to `length` characters, an ellipsis for the rest."""
    cut = (h if len(h) <= length else f"{h[: length - 1].rstrip()}…" for h in headings)
    return tuple(cut) if length else ()


def _grouped(sections: Iterator[Section]) -> Iterator[tuple[Section, int]]:
    """Yield the sections with the ordinal of their run under one outermost heading.

    What stands before the first heading belongs to the run behind it: front matter, an introduction
    of a sentence. In a chunk of its own it would be found for its title, and say nothing.
    """
    group = 0
    outermost: Headings = ()
    for section in sections:
        if outermost and section.path[:1] != outermost:
            group += 1
        outermost = section.path[:1]
        yield section, group


def _sections(document: Document) -> Iterator[Section]:
    """Yield the sections, and text outside of sections under an empty path when there are none."""
    if document.sections:
        yield from document.sections
    else:
        yield Section((), 0, len(document.text))
