"""Finds the lines of the sources that answer a question best, by the words they share."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from chunking.document import Chunk
from retrieval.spelling import UNSPACED, stands

PASSAGE_LIMIT = 8
"""Most passages of an answer."""
_RELEVANT_SHARE = 0.4
"""A passage is quoted if its score is at least this share of the best one's."""
_EMPTY_WORDS = frozenset(
    "a about also an and any are as at be been being both by can could create did do does each for "
    "from give had has have higher how i if in into is it its larger largest lower make many me "
    "more most much my new no not of on one or our please shall should show smaller specifically "
    "tell than that the their them then there these they this those to two us was we were what "
    "when where which who whom whose why will with would you your".split()
)
_WORD = re.compile(rf"(?P<unspaced>[{UNSPACED}]+)|(?:(?![{UNSPACED}])[^\W_])+")


@dataclass(frozen=True, slots=True)
class Passage:
    """A line of a source, verbatim, with the marker under which the prompt shows the source."""

    text: str
    marker: int
    score: float


@dataclass(frozen=True, slots=True)
class _Line:
    """A line with the words of its label (before the colon), its value, and its breadcrumb."""

    text: str
    marker: int
    document: str
    label: frozenset[str]
    value: frozenset[str]
    above: frozenset[str]


def find_passages(question: str, sources: Sequence[Chunk]) -> list[Passage]:
    """Return the passages that answer best, best first, each a line of one source.

    Words and pairs of words that few lines hold count most; in the label of a field they count
    double, and a label that the question names whole beats one that says more. If the question
    names documents by their titles, only these are quoted, each once before any is quoted twice.
    """
    named = [c.document for c in sources if _names(question, c.title)]
    lines = [
        line
        for marker, chunk in enumerate(sources, start=1)
        if not named or chunk.document in named
        for line in _lines(chunk, marker)
    ]
    titles = {word for chunk in sources for word in _words(chunk.title)}
    wanted = frozenset(_terms(question)) - (titles if named else set())
    weights = _weights(lines, wanted)
    scored = [(line, _score(line, wanted, weights)) for line in lines]
    return _in_rounds([(line, score) for line, score in scored if score > 0])


def _lines(chunk: Chunk, marker: int) -> Iterable[_Line]:
    above = frozenset(_terms(chunk.breadcrumb))
    for text in filter(None, map(str.strip, chunk.text.split("\n"))):
        label, colon, value = text.partition(": ")
        if not colon:
            label, value = "", text
        yield _Line(
            text, marker, chunk.document, frozenset(_terms(label)), frozenset(_terms(value)), above
        )


def _weights(lines: Sequence[_Line], wanted: frozenset[str]) -> Mapping[str, float]:
    spread = Counter(term for line in lines for term in (line.label | line.value) & wanted)
    return {term: math.log(1 + len(lines) / count) for term, count in spread.items()}


def _score(line: _Line, wanted: frozenset[str], weights: Mapping[str, float]) -> float:
    """Return how well a line answers; 0 if it shares nothing with the question."""
    in_label = sum(weights[term] for term in line.label & wanted)
    in_value = sum(weights[term] for term in (line.value - line.label) & wanted)
    own = 2 * in_label + in_value
    if not own:
        return 0.0
    above = sum(weights.get(term, 0.0) for term in line.above & wanted - line.label - line.value)
    coverage = len(line.label & wanted) / len(line.label) if line.label else 0.0
    return (own + above / 2) * (1 + coverage)


def _in_rounds(scored: Sequence[tuple[_Line, float]]) -> list[Passage]:
    """Return the relevant passages so that every document speaks before any speaks again."""
    ranked = sorted(scored, key=lambda pair: (-pair[1], pair[0].marker))
    if not ranked:
        return []
    floor = ranked[0][1] * _RELEVANT_SHARE
    turns: Counter[str] = Counter()
    rounds: list[tuple[int, Passage]] = []
    for line, score in ranked:
        if score >= floor:
            rounds.append((turns[line.document], Passage(line.text, line.marker, score)))
            turns[line.document] += 1
    rounds.sort(key=lambda pair: (pair[0], -pair[1].score))
    return [passage for _, passage in rounds[:PASSAGE_LIMIT]]


def _names(question: str, title: str) -> bool:
    return bool(title) and stands(title.lower(), question.lower())


def _terms(text: str) -> list[str]:
    """Return the telling words of a text and their neighbouring pairs."""
    words = _words(text)
    return [*words, *(f"{left} {right}" for left, right in pairwise(words))]


def _words(text: str) -> list[str]:
    """Return the telling words of a text in lower case, plural endings removed.

    Where words are written without spaces, every pair of letters is one.
    """
    words: list[str] = []
    for found in _WORD.finditer(text.lower()):
        if (unspaced := found["unspaced"]) and len(unspaced) > 1:
            words += map("".join, pairwise(unspaced))
        elif found[0] not in _EMPTY_WORDS:
            words.append(_singular(found[0]))
    return words


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > len("flies"):
        return f"{word[:-3]}y"
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > len("gas"):
        return word[:-1]
    return word
