"""Finds the other names that a text gives what it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator

_READ = 5000
"""Characters at the beginning of a text in which its subject is introduced."""
_PLACES = 3
"""Places of the title that are looked at: a subject is introduced where it is named first."""
_LONGEST_TITLE = 200
_LONGEST, _MOST_WORDS = 60, 6
_SAID_IN_BRACKETS = re.compile(
    r"(?:(?:also|formerly|previously|officially|commonly|better) (?:known as|called|spelled|named)"
    r"|formerly|aka|a\.k\.a\.|abbreviated(?: as| to)?|abbr\.|abbreviation:)\s+(?P<names>.+)",
    re.IGNORECASE,
)
_SAID_IN_A_CLAUSE = re.compile(
    r"(?:also|formerly|officially|commonly|better) (?:known as|called)\s+(?P<names>.+)",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r",\s*|\s+or\s+|\s+and\s+|\s*;\s*")
_WORD = re.compile(r"[^\W\d_]+")
_ABBREVIATION = re.compile(r"(?:[A-Z]\.?){2,8}")
_JOINING = frozenset("of the and de del da di du la le el al van von y".split())


def find_aliases(title: str, text: str) -> tuple[str, ...]:
    """Return the names that a text says its title goes by as well, in its order.

    "Democratic Republic of the Congo (DRC)": an abbreviation of the title's own words in brackets
    behind it; "Eswatini (formerly Swaziland)" and "Eswatini, also known as Swaziland, …": what the
    text itself calls a name. Anything else is not one: "Paris (France)", "Java, or Python".
    """
    if not _WORD.search(title) or len(title) > _LONGEST_TITLE:
        return ()
    found = dict.fromkeys(_names(title, " ".join(text[:_READ].split())))
    return tuple(name for name in found if name.casefold() != title.casefold())


def _names(title: str, text: str) -> Iterator[str]:
    spaced = r"\s".join(map(re.escape, title.split()))
    named = re.compile(rf"(?<!\w){spaced}(?!\w)", re.IGNORECASE)
    for _, place in zip(range(_PLACES), named.finditer(text), strict=False):
        rest = text[place.end() : place.end() + 4 * _LONGEST]
        if bracket := re.match(r"\s?\(\s*([^()]{2,200}?)\s*\)", rest):
            if _abbreviates(bracket[1], title):
                yield bracket[1]
            elif said := _SAID_IN_BRACKETS.fullmatch(bracket[1]):
                yield from _listed(said["names"])
        elif (clause := re.match(r",\s([^,.;:()]{2,150})[,.;:()]", rest)) and (
            said := _SAID_IN_A_CLAUSE.fullmatch(clause[1])
        ):
            yield from _listed(said["names"])


def _listed(names: str) -> Iterator[str]:
    """Yield the names up to the first thing in a list that is none."""
    for name in _BETWEEN.split(names):
        bare = name.removeprefix("the ")
        if not _is_name(bare):
            return
        yield bare


def _abbreviates(name: str, title: str) -> bool:
    """Return whether a name is made of the first letters of a title's words."""
    if not _ABBREVIATION.fullmatch(name):
        return False
    words = _WORD.findall(title)
    capitals = [word[0] for word in words if word[0].isupper()]
    letters = name.replace(".", "")
    return letters in ("".join(capitals), "".join(word[0].upper() for word in words))


def _is_name(name: str) -> bool:
    """Return whether a phrase is a name: a few words, each with a capital or joining others."""
    words = name.split()
    return (
        0 < len(words) <= _MOST_WORDS
        and len(name) <= _LONGEST
        and name[0].isupper()
        and not any(letter.isdigit() for letter in name)
        and all(word[0].isupper() or word in _JOINING for word in words)
    )
