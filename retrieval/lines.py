"""Ranks hits by the line of theirs that says most of a phrase in fewest words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from retrieval.aspects import EMPTY_WORDS
from retrieval.records import Hit

_WORD = re.compile(r"\w+")
_PLURAL = re.compile(r"(?<=\w{2})(ies|s)$")
_FEWEST_MATCHED = 0.5
"""Share of a phrase's words that a line must have; one word of three says something else."""


def rank_by_lines(hits: Sequence[Hit], phrase: str) -> list[Hit]:
    """Return the hits with a line that has most of a phrase's words, the tersest line first.

    A vector blurs a chunk of many facts. "Area - total: 30,355 sq km" among twenty other lines is
    near no question; as a line it answers the one for the "total area".
    """
    wanted = _words_of(phrase)
    scored = [(_best_line(hit.chunk.text, wanted), place) for place, hit in enumerate(hits)]
    ranked = sorted((-share, -density, place) for (share, density), place in scored)
    return [hits[place] for share, _, place in ranked if -share >= _FEWEST_MATCHED]


def has_line(hits: Sequence[Hit], phrase: str) -> bool:
    """Return whether a line of a hit has all words of a phrase."""
    wanted = _words_of(phrase)
    return any(_best_line(hit.chunk.text, wanted)[0] == 1 for hit in hits)


def _words_of(phrase: str) -> frozenset[str]:
    return frozenset(_stems(phrase)) - EMPTY_WORDS


def _best_line(text: str, wanted: frozenset[str]) -> tuple[float, float]:
    """Return the share of the wanted words in a line, and of that line's words, at best.

    Numbers make no line longer: they are what a line is read for.
    """
    # What a wanted word begins with stands in every line that has it: most lines need no stemming.
    beginnings = [word.removesuffix("y") for word in wanted]
    lines = [
        _stems(line)
        for line in text.splitlines()
        if any(map(line.lower().__contains__, beginnings))
    ]
    return max(
        (
            (matched / len(wanted), matched / sum(word.isalpha() for word in [*words, "a"]))
            for words in lines
            if (matched := len(wanted.intersection(words)))
        ),
        default=(0.0, 0.0),
    )


def _stems(text: str) -> list[str]:
    """Return the words of a text in lower case and, roughly, in the singular."""
    return [_PLURAL.sub(_singular, word) for word in _WORD.findall(text.lower())]


def _singular(ending: re.Match[str]) -> str:
    return "y" if ending[0] == "ies" else ""
