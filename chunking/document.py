"""Documents, their sections and their chunks: the vocabulary every package shares."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from chunking.sensitivity import UNLABELLED, Sensitivity

BREADCRUMB_SEPARATOR = " > "


def content_id(*parts: str) -> str:
    """Return a 128-bit hexadecimal id that depends on the parts alone.

    Parts are length-prefixed, so that ("ab", "c") and ("a", "bc") differ.
    """
    prefixed: list[bytes] = []
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        prefixed += (len(data).to_bytes(8, "big"), data)
    return hashlib.blake2b(b"".join(prefixed), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Section:
    """A titled span of a document: `text[start:end]` under the headings of `path`.

    Sections of one document are disjoint and in document order. `start` and `end` count
    characters. `path` holds the headings from the outermost inwards, without the document title.
    """

    path: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """A whole text with its origin; its id depends on collection-wide identity, not on content.

    Attributes:
        id: stable name of the document inside a collection (a path or a key), unique there.
        text: the full text that spans point into.
        title: what a reader calls it; the first part of every breadcrumb.
        source: where it came from (file path or package member), for people.
        media_type: media type of the source bytes.
        sections: titled spans; empty for a text without structure.
        aliases: other names a question may use for it ("Republic of India").
        date: ISO 8601 date or time that the source states for the document, if any.
        digest: sha256 of the bytes it was read from, together with what parsed them.
        sensitivity: how far its text may travel; no part of `version`, as no chunk depends on it.
    """

    id: str
    text: str
    title: str
    source: str
    media_type: str = "text/plain"
    sections: tuple[Section, ...] = ()
    aliases: tuple[str, ...] = ()
    date: str | None = None
    digest: str = ""
    sensitivity: Sensitivity = UNLABELLED

    @property
    def version(self) -> str:
        """Content hash over everything a chunk is made from; equal versions give equal chunks."""
        spans = (content_id(*s.path, str(s.start), str(s.end)) for s in self.sections)
        return content_id(self.id, self.title, self.text, *self.aliases, *spans)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of one document that is embedded, ranked, packed and cited as a unit.

    `text == document.text[start:end]`, always. The id is made from content, so that the same
    document split the same way gives the same ids on every machine, and a chunk that a new version
    of its document only moves keeps its id.

    Attributes:
        id: 32 hexadecimal digits, see `Chunk.of` and `identified`.
        document: id of the document.
        title: title of the document, shortened where it would fill the chunk.
        path: headings above the span, outermost first, without the title; shortened likewise.
        start, end: character span in the document's text.
        text: the span itself.
        position: ordinal of the chunk in its document, from 0.
        sensitivity: that of its document; no part of the id.
    """

    id: str
    document: str
    title: str
    path: tuple[str, ...]
    start: int
    end: int
    text: str
    position: int
    sensitivity: Sensitivity = UNLABELLED

    @classmethod
    def of(
        cls, document: Document, *, start: int, end: int, path: tuple[str, ...], position: int
    ) -> Self:
        """Cut the span `start:end` out of a document."""
        text = document.text[start:end]
        return cls(
            id=content_id(document.id, document.title, *path, text),
            document=document.id,
            title=document.title,
            path=path,
            start=start,
            end=end,
            text=text,
            position=position,
            sensitivity=document.sensitivity,
        )

    @property
    def breadcrumb(self) -> str:
        """The title and headings above the chunk, see `join_headings`."""
        return join_headings(self.title, self.path)

    @property
    def embedded_text(self) -> str:
        """What the embedder sees: the breadcrumb on a line of its own, then the text."""
        return f"{self.breadcrumb}\n{self.text}"


def join_headings(title: str, path: Sequence[str]) -> str:
    """Return the breadcrumb of these, as in "India > Communications".

    An outermost heading that is the title, as in most Markdown, stands once.
    """
    below = path[1:] if path and path[0] == title else path
    return BREADCRUMB_SEPARATOR.join((title, *below))


def identified(chunks: Iterable[Chunk], *, splitter: str) -> tuple[Chunk, ...]:
    """Return the chunks of one document with ids that are distinct, and the splitter's own.

    Chunks of the same headings and text are told apart by their order.
    """
    seen: Counter[str] = Counter()
    distinct = []
    for chunk in chunks:
        content = _content(chunk)
        distinct.append(replace(chunk, id=content_id(splitter, content, str(seen[content]))))
        seen[content] += 1
    return tuple(distinct)


def numbered_id(chunk: Chunk, number: int, *, splitter: str) -> str:
    """Return the id of the chunk that is the n-th of its content in its document, from 0."""
    return content_id(splitter, _content(chunk), str(number))


def _content(chunk: Chunk) -> str:
    return content_id(chunk.document, chunk.title, *chunk.path, chunk.text)


def gap_between(document: Document, earlier: Chunk, later: Chunk) -> str | None:
    """Return the white space between two chunks of a document; None where there is more."""
    gap = document.text[earlier.end : later.start]
    return None if earlier.end > later.start or gap.strip() else gap


def common_path(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the headings that all paths begin with."""
    # What the first and the last in order begin with, all between them begin with, too.
    first, last = min(paths), max(paths)
    pairs = enumerate(zip(first, last, strict=False))
    return next((first[:level] for level, (one, other) in pairs if one != other), first)
