"""Weighs how far what was found bears out that a question can be answered from it; touches nothing.

Similarity alone does not tell: a question about the railways of a country that has none, or about
a year that was not recorded, is as near to that country's chunks as one with an answer. What tells
is where the words of the question stand. A line that has most of them in another document, and none
like it in the one that is asked about, says that the corpus records such things and not this one.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from chunking.document import Chunk
from retrieval.aspects import EMPTY_WORDS
from retrieval.entities import NameTable
from retrieval.gather import DEGREES
from retrieval.spelling import spelled
from retrieval.terms import split_words

SUFFICIENT = 0.3
"""Support below which a context is called insufficient; see "Support" in docs/retrieval.md."""

_WEIGHED, _WEIGHED_AT_MOST = 50, 200
"""First hits that are looked at, and with what else the prompt holds; more take too long."""
_PREFIX = 2
"""Characters that a word has in common with its stem, nearly always: "dry" becomes "dri"."""
_LETTERS = re.compile(r"[^\W\d_]+")
_LAST_LATIN = "\u024f"
_PARTS_REMEMBERED = 1 << 12
_YEAR = re.compile(r"(?<![\d.,])(?:1[5-9]|20)\d\d(?![\d]|[.,]\d)")
_DEGREE_ASKED = re.compile(rf"\bhow (?:far|many|much|often|{'|'.join(DEGREES)})\b", re.IGNORECASE)
_EMPTY_STEMS = frozenset(stem for word in EMPTY_WORDS for stem in split_words(word))


class Found(Protocol):
    """What a search found, as a hit or as a candidate for a prompt."""

    @property
    def chunk(self) -> Chunk:
        """The chunk, with its text."""

    @property
    def via(self) -> str:
        """The step that brought it."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a question asks for: its words beside names, and its years, which must be met."""

    words: tuple[str, ...]
    years: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Line:
    """What a line has of the question: words, and years, its headings' included."""

    chunk: str
    words: frozenset[str]
    years: frozenset[str]


def measure_support(
    question: str,
    names: NameTable,
    hits: Sequence[Found],
    *,
    kept: Collection[str] | None = None,
) -> float | None:
    """Return how far the kept chunks bear out that the question can be answered, from 0 to 1.

    It is the share of the question's words, weighted by how rare they are among the hits, that one
    place has. Where the question names documents, or a name led to one, that place is a line of
    theirs with every year asked for, and the share is of what the best line of any document has;
    else it is the first hit, or the first that bears the year asked for. It is no probability: it
    puts questions in order, and below `SUFFICIENT` few have an answer. It means the same whatever
    the embedder.

    Words tell only of one language, and which of them say nothing is known of English. So it is
    None where the question or the first kept chunk is not in Latin letters.

    Args:
        names: what the collection's documents may be called.
        hits: what a search found, best first, chunks of other documents included.
        kept: ids of the chunks that the prompt holds; all by default.
    """
    first = [h for n, h in enumerate(hits) if n < _WEIGHED or (kept and h.chunk.id in kept)]
    weighed = first[:_WEIGHED_AT_MOST]
    held = [hit for hit in weighed if kept is None or hit.chunk.id in kept]
    if not held:
        return 0.0
    if not (_latin(question) and _latin(held[0].chunk.text)):
        return None
    asked = _asked(question, names)
    lines = list(_lines(weighed, asked))
    weights = _weights(asked.words, lines, sum(hit.chunk.text.count("\n") + 1 for hit in weighed))
    focus = {*names.find(question), *(h.chunk.document for h in held if h.via.startswith("bridge"))}
    if focus:
        share = _share_of_best_line(held, focus, lines, asked, weights)
    else:
        share = _share_of_first(held, lines, asked, weights)
    return min(1.0, share)


def _latin(text: str) -> bool:
    """Return whether at least half of a text's letters are Latin ones, as in a text without any."""
    letters = "" if text.isascii() else "".join(_LETTERS.findall(text))
    return 2 * sum(letter > _LAST_LATIN for letter in letters) <= len(letters)


def _asked(question: str, names: NameTable) -> _Asked:
    question = spelled(question)
    bare = names.replace(question, " , ")
    stems = dict.fromkeys(split_words(_DEGREE_ASKED.sub(" ", bare)))
    years = frozenset(_YEAR.findall(bare))
    return _Asked(tuple(w for w in stems if w not in _EMPTY_STEMS and w not in years), years)


def _lines(hits: Iterable[Found], asked: _Asked) -> Iterator[_Line]:
    """Yield the lines with what they have of the question; some that have nothing are left out."""
    words = frozenset(asked.words)
    begins = {r"\d" if word[0].isdigit() else re.escape(word[:_PREFIX]) for word in words}
    beginning = re.compile(rf"\n|(?<![^\W_])(?:{'|'.join(sorted(begins))})[\w.,'-]*")
    for hit in hits:
        text = hit.chunk.text.casefold()
        lines = text.split("\n")
        # Stemming costs most: of plain letters, only what begins like a word is looked at.
        dated = asked.years.intersection(_YEAR.findall(hit.chunk.breadcrumb))
        likely = " ".join(beginning.findall(text)).split("\n") if text.isascii() else lines
        for line, part in zip(lines, likely, strict=True):
            if asked.years or part.strip():
                years = dated.union(_YEAR.findall(line)) if asked.years else dated
                yield _Line(hit.chunk.id, words & _stems(part), years)


@lru_cache(_PARTS_REMEMBERED)
def _stems(part: str) -> frozenset[str]:
    return frozenset(split_words(part))


def _weights(words: Sequence[str], lines: Sequence[_Line], total: int) -> Mapping[str, float]:
    """Return the share of each word in the question, by how rare it is among the lines."""
    having = Counter(word for line in lines for word in line.words)
    weights = {word: math.log((total + 1) / (having[word] + 0.5)) for word in words}
    everything = sum(weights.values())
    return {word: weight / everything for word, weight in weights.items()} if everything else {}


def _best(lines: Iterable[_Line], weights: Mapping[str, float]) -> float:
    return max((sum(weights[word] for word in line.words) for line in lines), default=0.0)


def _share_of_best_line(
    held: Sequence[Found],
    focus: Collection[str],
    lines: Sequence[_Line],
    asked: _Asked,
    weights: Mapping[str, float],
) -> float:
    """Return what the best line of the documents asked about has of what any document's has."""
    own = {hit.chunk.id for hit in held if hit.chunk.document in focus}
    inside = [line for line in lines if line.chunk in own]
    most = _best(lines, weights)
    if not most:
        return 0.0
    dated = ([line for line in inside if year in line.years] for year in asked.years)
    return min(_best(some, weights) for some in (inside, *dated)) / most


def _share_of_first(
    held: Sequence[Found], lines: Sequence[_Line], asked: _Asked, weights: Mapping[str, float]
) -> float:
    """Return what the first kept hit and its headings have of the question.

    Of years asked for, it is the first hit that bears the year; the least share of all counts.
    """
    years = {hit.chunk.id: set[str]() for hit in held}
    for line in lines:
        if line.chunk in years:
            years[line.chunk] |= line.years
    bearing = [
        next((hit.chunk for hit in held if year in years[hit.chunk.id]), None)
        for year in asked.years
    ]
    return min(_share(chunk, lines, asked, weights) for chunk in bearing or [held[0].chunk])


def _share(
    chunk: Chunk | None, lines: Sequence[_Line], asked: _Asked, weights: Mapping[str, float]
) -> float:
    """Return what the lines and headings of a chunk have of the question."""
    if chunk is None:
        return 0.0
    heading = frozenset(split_words(chunk.breadcrumb)).intersection(asked.words)
    words = heading.union(*(line.words for line in lines if line.chunk == chunk.id))
    return sum(weights.get(word, 0.0) for word in words)
