"""What a text is known by when it comes back, whole or in part; pure.

Two texts that have `RUN_LETTERS` letters and digits in a row in common have a print in common, by
the winnowing of Schleimer, Wilkerson and Aiken 2003, "Local Algorithms for Document
Fingerprinting": of every window of hashes the least is chosen, which the window alone decides.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate, chain
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from serve.abstention import abstains, without_citations
from serve.json_texts import canonical, json_in

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
_THOUGHT_TAG: Final = re.compile("</?think>")
_LINK: Final = re.compile(r"\]\([^()\s]{1,2000}\)")
_QUOTE: Final = re.compile(r'\\.|"', re.DOTALL)
_NAMES: Final = re.compile(r"\s*:")
_ESCAPE: Final = re.compile(r'\\(u[0-9a-fA-F]{4}|["\\/bfnrt])')
_ESCAPES: Final = {"b": " ", "f": " ", "n": "\n", "r": "\n", "t": " "}
_ESCAPINGS: Final = 3
"""JSON in JSON in JSON: what is looked at as it stands, and as it was before that."""
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
    *thoughts, said = _THOUGHT_TAG.split(text)
    for thought in thoughts:
        yield from _long_prints(thought)
    yield from _plain_prints(said)
    for value in _values_in_json(said):
        yield from _long_prints(value)
    if lines:
        yield from map(_digest, _inner_lines(said))


@dataclass(frozen=True, slots=True)
class Brought:
    """Texts that a request brings, and the prints by which they may be known.

    A text of some words is known on lines of its own, a longer one wherever a run of its letters
    stands, and the shortest where it is all of the text. What JSON has escaped, once or more often,
    is looked at as it was, too.

    Attributes:
        runs: prints of all runs.
        short_prints: of what is shorter than a run.
    """

    texts: tuple[str, ...] = ()
    runs: frozenset[bytes] = frozenset()
    short_prints: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, texts: tuple[str, ...]) -> Self:
        """Return the texts, taken apart, in time that is linear in them."""
        runs: set[bytes] = set()
        short_prints: set[bytes] = set()
        for part in chain.from_iterable(map(_parts, texts)):
            known_by, (lines, ends) = _known_by(part), _joined_lines(part)
            if 0 < len(known_by) < RUN_LETTERS:
                short_prints.add(_digest(known_by))
            short_prints.update(map(_digest, _short_lines(lines, ends)))
            # Both: a citation that goes over the end of a line is one in the whole alone.
            for letters in {known_by, lines}:
                runs.update(map(_digest, _runs(letters)))
        return cls(texts, frozenset(runs), frozenset(short_prints))

    @property
    def prints(self) -> frozenset[bytes]:
        """All of them."""
        return self.runs | self.short_prints


def _parts(text: str) -> Iterator[str]:
    """Yield what stands between the tags of thoughts, as it is and as it was before escaping."""
    for _ in range(_ESCAPINGS):
        for part in _THOUGHT_TAG.split(text):
            if not _declines(part):
                yield part
        if "\\" not in text:
            return
        text = _unescaped(text)


def _joined_lines(text: str) -> tuple[str, list[int]]:
    """Return the letters of the lines of a text, and where lines end, from 0 on."""
    lines = [letters for line in text.splitlines() if (letters := _letters(line))]
    return "".join(lines), [*accumulate(map(len, lines), initial=0)]


def _short_lines(letters: str, ends: Sequence[int]) -> Iterator[str]:
    """Yield the letters of some lines that follow each other, where they are fewer than a run."""
    for line, start in enumerate(ends[:-1]):
        for end in ends[line + 1 : line + 1 + _SHORT_LINES]:
            if LINE_LETTERS <= end - start < RUN_LETTERS:
                yield letters[start:end]


def count_letters(text: str) -> int:
    """Return how many letters and digits a text is known by, without what a model thought."""
    return len(_known_by(_THOUGHT_TAG.split(text)[-1]))


def _long_prints(text: str) -> Iterator[bytes]:
    """Yield what a part of a text is known by, if it says something by itself."""
    if len(_known_by(text)) >= LINE_LETTERS:
        yield from _plain_prints(text)


def _plain_prints(text: str) -> Iterator[bytes]:
    """Yield what a text is known by that is taken as it stands."""
    known_by = _known_by(text)
    if not known_by or _declines(text):
        return
    if len(known_by) < RUN_LETTERS:
        yield _digest(known_by)
    yield from map(_digest, _runs(known_by))


def _values_in_json(text: str, depth: int = _ESCAPINGS) -> Iterator[str]:
    """Yield the values of JSON in a text, without the names of fields, which are a schema's.

    The JSON may be cut, or stand between marks of code, or one object on each line. What is in JSON
    in a value is yielded, too, down to a depth.
    """
    for value in _texts_in_json(text):
        yield value
        if depth > 1:
            yield from _values_in_json(value, depth - 1)


def _texts_in_json(text: str) -> Iterator[str]:
    value = json_in(text)
    if value is not None:
        yield canonical(value)
    if "{" not in text and '["' not in text:
        return
    start: int | None = None
    for found in _QUOTE.finditer(text):
        if found[0] != '"':
            continue
        if start is None:
            start = found.end()
            continue
        if not _NAMES.match(text, found.end()):
            yield _unescaped(text[start : found.start()])
        start = None
    if start is not None:
        yield _unescaped(text[start:])


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: _escaped_character(found[1]), text)


def _escaped_character(escape: str) -> str:
    return chr(int(escape[1:], 16)) if len(escape) > 1 else _ESCAPES.get(escape, escape)


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
    return without_citations(_LINK.sub("]", text)).translate(_FOLDED)


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
