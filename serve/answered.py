"""Remembers the labels of questions and answers, so that what comes back keeps them.

An answer quotes what it was made from. A client sends it back as a turn of the conversation, as a
question or as instructions, and that text may go to another model.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import accumulate
from threading import Lock
from typing import Final

from chunking.sensitivity import Sensitivity
from serve.abstention import abstains, without_citations

TEXT_LIMIT: Final = 400_000
"""Texts that are remembered, some 50 MB of digests; the oldest are forgotten first."""
OPENING_LETTERS: Final = 64
"""By so many letters and digits at its beginning a text is known; a shorter one by all of them."""
LINE_LETTERS: Final = 12
"""A text shorter than that is known where it stands alone; "Yes" is a line of many texts."""

_SHORT_LINES: Final = 8
_SYMBOLS: Final = str.maketrans("", "", string.punctuation + string.whitespace)
_LONGEST_DECLINING: Final = 400
_DECLINING_WORDS: Final = frozenset(
    "a able about an and answer any are asked based be been can cannot contain contained contains "
    "context could data detail details determine did do document documents does enough evidence "
    "excerpts find for found from give given have hold i in include included information "
    "insufficient is it know materials mention mentioned no not of on or passages provide provided "
    "question records say says sorry source sources specify state stated sufficient t tell text "
    "that the there these this those to unable unfortunately unknown was were with your".split()
)
"""Words that say that nothing was found, and what nothing else can be said with."""


class AnsweredLabels:
    """The label of every question and answer of this process, by digests; no text is kept.

    A text is known by its opening of letters and digits. White space, punctuation, case, emphasis
    and citations do not count, as clients change them, and the rest may be missing: a client that
    left a stream sends back its beginning.
    """

    def __init__(self, limit: int = TEXT_LIMIT) -> None:
        self._limit = limit
        self._labels: OrderedDict[bytes, Sensitivity] = OrderedDict()
        self._lock = Lock()

    def note(self, text: str, label: Sensitivity) -> bool:
        """Remember the label of a text, of two labels the higher; return whether that was all.

        That is: whatever may be written after this text, the whole of it is known already.
        """
        opening = _opening(text)
        if not opening or label is Sensitivity.PUBLIC or _declines(text):
            return False
        key = _digest(opening)
        with self._lock:
            self._labels[key] = max(label, self._labels.pop(key, label))
            if len(self._labels) > self._limit:
                self._labels.popitem(last=False)
        return len(opening) == OPENING_LETTERS

    def labels_in(self, texts: Iterable[str]) -> list[Sensitivity]:
        """Return the labels of what this process was asked or has answered, and these texts hold.

        A text of some words is known where it stands on lines of its own, a long one at the
        beginning of any line, whatever stands before and after it, and the shortest where it is all
        of one of these texts. Time is linear in the texts.
        """
        if not self._labels:
            return []
        keys = {_digest(opening) for text in texts for opening in _openings(text)}
        with self._lock:
            return [self._labels[key] for key in keys if key in self._labels]


def _openings(text: str) -> Iterator[str]:
    """Yield by what a text, and what stands in it from the beginning of a line, may be known."""
    opening = _opening(text)
    if not opening or _declines(text):
        return
    yield opening
    lines = [letters for line in text.splitlines() if (letters := _letters(line))]
    whole = "".join(lines)
    ends = [*accumulate(map(len, lines), initial=0)]
    for line, start in enumerate(ends[:-1]):
        if start + OPENING_LETTERS <= len(whole):
            yield whole[start : start + OPENING_LETTERS]
        for end in ends[line + 1 : line + 1 + _SHORT_LINES]:
            if LINE_LETTERS <= end - start < OPENING_LETTERS:
                yield whole[start:end]


def _opening(text: str) -> str:
    """Return what a text is known by; one of brackets alone may be a list of numbers, no citation.

    A text without any letter or digit is known by its symbols.
    """
    letters = _letters(text) or text.translate(_FOLDED)
    return (letters or text.translate(_SYMBOLS))[:OPENING_LETTERS]


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


def _digest(opening: str) -> bytes:
    return blake2b(opening.encode("utf-8", "surrogatepass"), digest_size=16).digest()
