"""Takes a question apart into the aspects it asks about, by its words alone."""

from __future__ import annotations

import re

ASPECT_LIMIT = 6
"""Most aspects of one question; each costs a search."""

_SHORTEST_ASPECT = 3
_BOUNDARY = re.compile(
    r"[,;:?!()]|\.(?:\s|$)|\b(?:and|or|for|in|on|at|with|between|versus|vs|from)\b", re.IGNORECASE
)
_POSSESSIVE = re.compile(r"^['\u2019]s?\s")
EMPTY_WORDS = frozenset(
    "a about among an any are as be been called can compare could create did do does each give "
    "has have higher highest how i if is it its larger largest list lower lowest make many me "
    "more most much my name new of one our please shall should show smaller smallest specifically "
    "spend tell than that the their them then there these they this those to us was we were what "
    "when where which who whom whose why will would you your".split()
)
"""Words that name nothing, at the beginning or end of a phrase or of a question."""


def find_aspects(question: str) -> tuple[str, ...]:
    """Return the phrases of a question that name what is asked about, in its order.

    "Give the population and the capital of Chad" asks about "population" and "capital". Names of
    documents, question words and numbers are no aspects.

    Args:
        question: with a comma in the place of every document's name; those are searched on their
            own.
    """
    found: dict[str, str] = {}
    for phrase in find_phrases(question):
        aspect = strip_phrase(phrase)
        if len(aspect) >= _SHORTEST_ASPECT and not aspect.isdecimal():
            found.setdefault(aspect.lower(), aspect)
    return tuple(found.values())[:ASPECT_LIMIT]


def find_phrases(question: str) -> list[str]:
    """Return the pieces of a question between marks and the words that join phrases."""
    return _BOUNDARY.split(question)


def strip_phrase(phrase: str) -> str:
    """Return a phrase without the words at its ends that name nothing."""
    words = _POSSESSIVE.sub("", phrase).split()
    while words and words[0].lower() in EMPTY_WORDS:
        words.pop(0)
    while words and words[-1].lower() in EMPTY_WORDS:
        words.pop()
    return " ".join(words)
