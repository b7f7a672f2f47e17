"""Brings texts to one spelling, so that what people type is found as it is written."""

from __future__ import annotations

import re
import unicodedata

_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"")
_MARKS = re.compile("[\u0300-\u036f]")


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
    """Return a text without accents and compatibility forms, as many type it: "Cote d'Ivoire"."""
    return unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFKD", text)))
