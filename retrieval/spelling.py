"""Brings texts to one spelling, so that what people type is found as it is written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import groupby

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\ua9e0-\ua9ff\uaa60-\uaa7f"  # Thai to Khmer
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # kana and Han
)
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese, which put no spaces between words; for `re`."""

_FORMS = frozenset(map(chr, range(0xFE00, 0xFE10)))


def _marks() -> Iterator[str]:
    """Yield the ranges of combining marks but those that choose between forms of an emoji."""
    codes = [
        code
        for code in range(0x300, 0x20000)
        if unicodedata.category(chr(code)) in {"Mn", "Mc"} and chr(code) not in _FORMS
    ]
    for _, run in groupby(enumerate(codes), key=lambda place: place[1] - place[0]):
        (_, first), *others = run
        yield f"{chr(first)}-{chr(others[-1][1] if others else first)}"


MARKS = "".join(_marks())
"""Vowels and tones written above, below or beside a letter, which part no word; for `re`."""

_IN_WORD = re.compile(rf"(?![{UNSPACED}])[\w{MARKS}]")
_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"")
_POINTS = re.compile(
    "(?!(?<=[\u0438\u0418])\u0306)"  # the short i of Russian is a letter of its own
    "[\u0300-\u036f"  # accents
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u065f\u0670]"  # Hebrew, Arabic
)


def spelled(text: str) -> str:
    """Return a text with letters composed and quotes straight, as names are compared."""
    return unicodedata.normalize("NFC", text).translate(_QUOTES)


def folded(text: str) -> str:
    """Return a text of the same length in which letters that differ in case alone are equal."""
    if text.isascii():
        return text.lower()
    return "".join(
        plain if len(plain := letter.casefold()) == 1 else letter.lower()[0] for letter in text
    )


def unmarked(text: str) -> str:
    """Return a text without accents and compatibility forms, as many type it: "Cote d'Ivoire".

    The vowel points of Hebrew and Arabic are left out as well, and what makes an alef another one.
    """
    return unicodedata.normalize("NFC", _POINTS.sub("", unicodedata.normalize("NFKD", text)))


def parted(text: str, place: int) -> bool:
    """Return whether words part at a place; where they are written without spaces, always."""
    before, after = text[max(place - 1, 0) : place], text[place : place + 1]
    return not (_IN_WORD.match(before) and _IN_WORD.match(after))


def stands(name: str, text: str) -> bool:
    """Return whether a text has a name in it, word for word."""
    return any(
        parted(text, found.start()) and parted(text, found.end())
        for found in re.finditer(re.escape(name), text)
    )
