"""Compares texts as people read them: case, accents, quotation marks and commas do not count."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from eval.scoring.negation import denied
from retrieval.spelling import UNSPACED

_IN_WORD = rf"[^\W{UNSPACED}]"
_WORD = re.compile(
    rf"(?<!\w)\.{_IN_WORD}+|[{UNSPACED}]"
    rf"|{_IN_WORD}+(?:[-.'/]{_IN_WORD}+)*(?:\+{{1,2}}|\#)?(?!{_IN_WORD})|[%$€£]"
)
_ODD = str.maketrans({"\u2019": "'", "\u02bc": "'", "\u2018": "'", "\u2010": "-", "\u2011": "-"})
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_REMARK = re.compile(r"\s?\([^()]*\)")
_JOINING = frozenset("a an the and at of is in its it with on to by elevation height".split())
"""Words that may stand between those of a text without changing what it says."""
_LONGEST_DENIAL = 6
_CONCLUDING = re.compile(
    r"\banswer\s?(?:is\b|:)|\b(?:therefore|thus|hence)\b|(?:^|[.,;]\s)so\b", re.IGNORECASE
)


def words(text: str) -> tuple[str, ...]:
    """Return the words of a text, folded; "semi-official" is one, and so is ".fk".

    Where words are written without spaces, each letter is one.
    """
    decomposed = unicodedata.normalize("NFKD", text.translate(_ODD))
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return tuple(_WORD.findall(_GROUPED.sub("", plain.casefold())))


def states(text: str, wanted: str) -> bool:
    """Return whether a text holds what is wanted, word for word.

    A remark in brackets may be left out, "Aruban(s)" is singular or plural, and joining words may
    stand in between. What follows "not" is not stated.
    """
    said = words(text)
    bare = _REMARK.sub("", wanted).strip()
    forms = {words(wanted.replace("(", " ").replace(")", " ")), words(bare)}
    if "(s)" in wanted:
        forms.add(words(wanted.replace("(s)", "s")))
    return any(_stands(form, said) for form in forms if form)


def _stands(wanted: Sequence[str], said: Sequence[str]) -> bool:
    needed = [word for word in wanted if word not in _JOINING] or list(wanted)
    for start, word in enumerate(said):
        before = " ".join([*said[max(0, start - _LONGEST_DENIAL) : start], ""])
        if word != needed[0] or denied(before, len(before)):
            continue
        if _follows(needed, said[start:]):
            return True
    return False


def _follows(needed: Sequence[str], said: Sequence[str]) -> bool:
    place = 0
    for word in said:
        if word == needed[place]:
            place += 1
            if place == len(needed):
                return True
        elif word not in _JOINING:
            return False
    return False


def conclusion(text: str) -> str:
    """Return what follows the last word of a conclusion, where something does."""
    *_, last = (None, *_CONCLUDING.finditer(text))
    rest = "" if last is None else text[last.end() :].strip()
    return rest if any(letter.isalnum() for letter in rest) else text
