"""Tells what an answer denies: what stands directly behind "not", "nor", "unlike" and the like.

English alone, and only what stands before: of "24.6 is wrong" nothing is known here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_DENYING = (
    r"(?:\b(?:not|never|neither|nor|no\slonger|rather\sthan|instead\sof|unlike|except(?:\sfor)?|"
    r"excluding|other\sthan|apart\sfrom)|n['\u2019]t)"
)
_SMALL = (
    r"(?:\s(?:the|a|an|in|on|at|by|of|from|to|with|as|for|exactly|about|around|approximately|"
    r"actually|equal))"
)
_DENIED = re.compile(rf"{_DENYING}{_SMALL}{{0,3}}\s$", re.IGNORECASE)
_DENIES = re.compile(rf"{_DENYING}{_SMALL}{{0,3}}\s(?=\w)", re.IGNORECASE)
_GOES_ON = re.compile(r"\s?(?:,\s)?(?:or|nor|and)\s(?:the\s)?", re.IGNORECASE)
_BEFORE = 60
_NAME_WORDS = 8
_WORD_END = re.compile(r"\w(?!\w)")


def denied(text: str, place: int) -> bool:
    """Return whether what stands at a place of a text is said not to be so."""
    return _DENIED.search(text[max(0, place - _BEFORE) : place]) is not None


def without_denied_names(text: str, find_names: Callable[[str], Sequence[str]]) -> str:
    """Return a text with spaces for the names that it denies; places stay true.

    "Neither Peru nor Chile" names none, "Unlike Chile, Peru" one. "Not landlocked is Peru" does not
    deny Peru.
    """
    kept, reached = list(text), 0
    for match in _DENIES.finditer(text):
        start = max(match.end(), reached)
        while (end := _name_end(text, start, find_names)) is not None:
            kept[start:end] = " " * (end - start)
            further = _GOES_ON.match(text, end)
            reached = start = end if further is None else further.end()
            if further is None:
                break
    return "".join(kept)


def _name_end(text: str, start: int, find_names: Callable[[str], Sequence[str]]) -> int | None:
    """Return where the name ends that begins at a place; None where none does.

    Names are known by their keys alone. The shortest piece that has one holds it; it begins there
    if the piece without its first word has another one, or none.
    """
    part = text[start : start + 200]
    ends = [match.end() for match in _WORD_END.finditer(part)][:_NAME_WORDS]
    for end in ends:
        if found := list(find_names(part[:end])):
            return None if list(find_names(part[ends[0] : end])) == found else start + end
    return None
