"""What a text is known by when it comes back, whole or in part; pure.

Two texts that have `RUN_LETTERS` letters and digits in a row in common have a print in common, by
the winnowing of Schleimer, Wilkerson and Aiken 2003, "Local Algorithms for Document
Fingerprinting": of every window of hashes the least is chosen, which the window alone decides.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterator
from hashlib import blake2b
from itertools import accumulate
from typing import Final

import numpy as np
import numpy.typing as npt

from serve.abstention import abstains, without_citations
from serve.json_texts import canonical, json_in, texts_in

RUN_LETTERS: Final = 64
"""Letters and digits in a row by which a text is known for certain, wherever they stand."""
LINE_LETTERS: Final = 12
"""A text shorter than that is known where it stands alone; "Yes" is a line of many texts."""
INNER_LETTERS: Final = 32
"""A line of a longer text is known on its own from here on; shorter ones are often headings."""

_GRAM: Final = 40
"""Letters that a print stands for: texts with fewer in common never have one in common."""
_WINDOW: Final = RUN_LETTERS - _GRAM + 1
_BASE: Final = 0x9E3779B97F4A7C15  # odd, so that it has an inverse among the integers modulo 2**64
_INVERSE: Final = pow(_BASE, -1, 1 << 64)
_SHORT_LINES: Final = 8
_SYMBOLS: Final = str.maketrans("", "", string.punctuation + string.whitespace)
_THOUGHTS_END: Final = "</think>"
_LONGEST_DECLINING: Final = 400
_DECLINING_WORDS: Final = frozenset(
    "a able about an and answer any are asked based be been can cannot contain contained contains "
    "context could data detail details determine did do document documents does enough evidence "
    "excerpts find for found from give given have hold i in include included information "
    "insufficient is it know materials mention mentioned no not of on or passages provide provided "
    "question record records say says sorry source sources specify state stated sufficient t tell "
    "text that the there these this those to unable unfortunately unknown was were with "
    "your".split()
)
"""Words that say that nothing was found, and what nothing else can be said with."""


def prints_of(text: str, *, lines: bool = True) -> Iterator[bytes]:
    """Yield what a text that was said is known by; nothing of one that says it knows nothing.

    What a model thought before it answered is known like text, and its answer as if it stood alone.

    Args:
        lines: whether lines of a longer text are known on their own.
    """
    thoughts, closed, said = text.rpartition(_THOUGHTS_END)
    if closed:
        yield from map(_digest, _runs(_letters(thoughts)))
    yield from _plain_prints(said)
    for value in _values_in_json(said):
        if len(_known_by(value)) >= LINE_LETTERS:
            yield from _plain_prints(value)
    if lines:
        yield from map(_digest, _inner_lines(said))


def prints_in(text: str) -> Iterator[bytes]:
    """Yield what may be known of a text that a request brings, each by which it may be known.

    A text of some words is known on lines of its own, a longer one wherever a run of its letters
    stands, and the shortest where it is all of the text. Time is linear in the text.
    """
    thoughts, closed, said = text.rpartition(_THOUGHTS_END)
    if closed:
        yield from prints_in(said)
        text = thoughts
    known_by = _known_by(text)
    if not known_by or _declines(text):
        return
    if len(known_by) < RUN_LETTERS:
        yield _digest(known_by)
    lines = [letters for line in text.splitlines() if (letters := _letters(line))]
    whole = "".join(lines)
    ends = [*accumulate(map(len, lines), initial=0)]
    for line, start in enumerate(ends[:-1]):
        for end in ends[line + 1 : line + 1 + _SHORT_LINES]:
            if LINE_LETTERS <= end - start < RUN_LETTERS:
                yield _digest(whole[start:end])
    # Both: a citation that goes over the end of a line is one in the whole alone.
    for letters in dict.fromkeys((known_by, whole)):
        yield from map(_digest, _runs(letters))


def count_letters(text: str) -> int:
    """Return how many letters and digits a text is known by, without what a model thought."""
    return len(_known_by(text.rpartition(_THOUGHTS_END)[2]))


def _plain_prints(text: str) -> Iterator[bytes]:
    """Yield what a text is known by that is taken as it stands."""
    known_by = _known_by(text)
    if not known_by or _declines(text):
        return
    if len(known_by) < RUN_LETTERS:
        yield _digest(known_by)
    yield from map(_digest, _runs(known_by))


def _values_in_json(text: str) -> Iterator[str]:
    """Yield the one form and the texts of a JSON object or list, without the names of its fields.

    The names are those of a schema, which says nothing of what fills it.
    """
    value = json_in(text)
    if value is not None:
        yield canonical(value)
        yield from texts_in(value, names=False)


def _runs(letters: str) -> Iterator[str]:
    """Yield the grams that winnowing chooses of a text with at least `RUN_LETTERS` letters."""
    if len(letters) < RUN_LETTERS:
        return
    hashes = _rolling(letters)
    windows = np.lib.stride_tricks.sliding_window_view(hashes, _WINDOW)
    chosen = np.unique(windows.argmin(axis=1) + np.arange(len(windows)))
    for start in chosen.tolist():
        yield letters[start : start + _GRAM]


def _rolling(letters: str) -> npt.NDArray[np.uint64]:
    """Return a hash of the `_GRAM` letters from each place on; integers wrap at 2**64."""
    codes = np.frombuffer(letters.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    size = len(codes) - _GRAM + 1
    sums = np.zeros(len(codes) + 1, dtype=np.uint64)
    np.cumsum(codes * _powers(_BASE, len(codes)), out=sums[1:])
    # The low bits of such a hash know the last letters alone: the product brings the others there.
    found: npt.NDArray[np.uint64] = (sums[_GRAM:] - sums[:-_GRAM]) * _powers(_INVERSE, size)
    return (found ^ (found >> np.uint64(29))) * np.uint64(_BASE)


def _powers(base: int, size: int) -> npt.NDArray[np.uint64]:
    factors = np.full(size, base, dtype=np.uint64)
    factors[:1] = 1
    found: npt.NDArray[np.uint64] = np.multiply.accumulate(factors)
    return found


def _inner_lines(text: str) -> Iterator[str]:
    """Yield the lines of a longer text that say something by themselves."""
    first, *others = text.splitlines() or [""]
    for line in (first, *others) if others else ():
        letters = _letters(line)
        leads_in = line.rstrip("* \t").endswith(":")
        if INNER_LETTERS <= len(letters) < RUN_LETTERS and not leads_in and not _declines(line):
            yield letters


def _known_by(text: str) -> str:
    """Return the letters of a text; one of brackets alone may be a list of numbers, no citation.

    A text without any letter or digit is known by its symbols.
    """
    return _letters(text) or text.translate(_FOLDED) or text.translate(_SYMBOLS)


def _letters(text: str) -> str:
    return without_citations(text).translate(_FOLDED)


class _Folded(dict[int, str]):
    """Letters and digits without accents, form and case; everything else as nothing."""

    def __missing__(self, code: int) -> str:
        """Return what stands for a character, each looked up once."""
        # One character at a time: to normalize a long run of marks takes the square of its length.
        parts = unicodedata.normalize("NFKD", chr(code)).casefold()
        self[code] = plain = "".join(part for part in parts if part.isalnum())
        return plain


_FOLDED = _Folded()


def _declines(text: str) -> bool:
    """Return whether a text says in stock words alone that nothing was found: it holds nothing."""
    if len(text) > _LONGEST_DECLINING:
        return False
    words = re.findall(r"\w+", without_citations(text).casefold())
    return bool(words) and _DECLINING_WORDS.issuperset(words) and abstains(text)


def _digest(letters: str) -> bytes:
    return blake2b(letters.encode("utf-8", "surrogatepass"), digest_size=16).digest()
