"""Sketches of texts, by which near-duplicates find each other without comparing every pair.

The one module that imports `rensa`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

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
_DIGIT = re.compile(r"\d")
_FEWEST_WORDS = 20
"""Shorter texts are duplicates only when they are equal: one word more is another statement."""


def sketch_of(chunk: Chunk) -> Sketch:
    """Return the keys of a chunk; none for a text too short to have near-duplicates.

    What must be the same in near-duplicates, headings and numbers, is part of every key.
    """
    words = _WORD.findall(chunk.text.casefold())
    if len(words) < _FEWEST_WORDS:
        return ()
    sketch = RMinHash(num_perm=_KEYS * _MINIMA_PER_KEY, seed=_SEED)
    sketch.update(words)
    minima = sketch.digest()
    same = (*_letters(chunk.breadcrumb), *_numbers(words))
    starts = range(0, len(minima), _MINIMA_PER_KEY)
    parts = [map(str, minima[start : start + _MINIMA_PER_KEY]) for start in starts]
    return tuple(content_id(str(n), *part, *same)[:16] for n, part in enumerate(parts))


def near_duplicates(one: Chunk, other: Chunk) -> bool:
    """Return whether two chunks state the same: one heading, one set of numbers and names.

    At least `NEAR` of their distinct words are common, their numbers are the same in the same
    order, and no word that only one of them has begins with a capital letter: texts that differ in
    a number or a name state different facts, however alike they are. Headings may differ in digits
    and marks ("report", "report (1)"), but not in words: what a field says, it says of its title.
    """
    if _letters(one.breadcrumb) != _letters(other.breadcrumb):
        return False
    left, right = _WORD.findall(one.text), _WORD.findall(other.text)
    if _numbers(left) != _numbers(right):
        return False
    ours, theirs = set(left), set(right)
    if any(word[0].isupper() for word in ours ^ theirs):
        return False
    return len(ours & theirs) >= NEAR * len(ours | theirs)


def _letters(breadcrumb: str) -> list[str]:
    return [word for word in _WORD.findall(breadcrumb.casefold()) if not _DIGIT.search(word)]


def _numbers(words: Iterable[str]) -> list[str]:
    return [word for word in words if _DIGIT.search(word)]
