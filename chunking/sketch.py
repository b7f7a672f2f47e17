"""Sketches of texts, by which near-duplicates find each other without comparing every pair.

The one module that imports `rensa`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from rensa import RMinHash

from chunking.document import Chunk, content_id

Sketch = tuple[str, ...]
"""Keys of a text; two texts that share one may be near-duplicates, others are not compared."""

NEAR = 0.9
"""Share of distinct words that two near-duplicates have in common, at least."""

# Twelve minima in four keys of three: texts that share 90 % of their words share a key with a
# probability of 99.5 %, texts that share half of them with 41 %, and are then told apart.
_KEYS = 4
_MINIMA_PER_KEY = 3
_SEED = 20_260_122
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\b[^\W\d]*+\d\w*")
"""A word with a digit in it; possessive, so that a long word without one is read once."""
_DIGIT = re.compile(r"\d")
_FEWEST_WORDS = 20
"""Shorter texts are duplicates only when they are equal: one word more is another statement."""


def sketch_of(chunk: Chunk) -> Sketch:
    """Return the keys of a chunk; none for a text too short to have near-duplicates.

    What must be the same in near-duplicates, headings and numbers, is part of every key.
    """
    text = chunk.text.casefold()
    words = _WORD.findall(text)
    if len(words) < _FEWEST_WORDS:
        return ()
    sketch = RMinHash(num_perm=_KEYS * _MINIMA_PER_KEY, seed=_SEED)
    sketch.update(words)
    minima = sketch.digest()
    same = (*heading_words(chunk), *_NUMBER.findall(text))
    starts = range(0, len(minima), _MINIMA_PER_KEY)
    parts = [map(str, minima[start : start + _MINIMA_PER_KEY]) for start in starts]
    return tuple(content_id(str(n), *part, *same)[:16] for n, part in enumerate(parts))


@dataclass(frozen=True)
class Wording:
    """A chunk and its distinct words, as they are written: what decides whether another says it.

    The rest is taken out of the text only where nearly all words are common, and once.
    """

    chunk: Chunk
    words: frozenset[str]

    @classmethod
    def of(cls, chunk: Chunk) -> Self:
        """Return the wording of a chunk."""
        return cls(chunk, frozenset(_WORD.findall(chunk.text)))

    @cached_property
    def heading(self) -> tuple[str, ...]:
        """The words of the breadcrumb, see `heading_words`."""
        return heading_words(self.chunk)

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """The words with a digit, in order."""
        return tuple(_NUMBER.findall(self.chunk.text))


def near_duplicates(one: Wording, other: Wording) -> bool:
    """Return whether two chunks state the same: one heading, one set of numbers and names.

    At least `NEAR` of their distinct words are common, their numbers are the same in the same
    order, and no word that only one of them has begins with a capital letter: texts that differ in
    a number or a name state different facts, however alike they are. Headings may differ in digits
    and marks ("report", "report (1)"), but not in words: what a field says, it says of its title.
    """
    common = len(one.words & other.words)
    if common < NEAR * (len(one.words) + len(other.words) - common):
        return False
    if any(word[0].isupper() for word in one.words ^ other.words):
        return False
    return (one.heading, one.numbers) == (other.heading, other.numbers)


def heading_words(chunk: Chunk) -> tuple[str, ...]:
    """Return the words of a chunk's breadcrumb, without those with a digit."""
    words = _WORD.findall(chunk.breadcrumb.casefold())
    return tuple(word for word in words if not _DIGIT.search(word))
