"""Finds the other names that a text gives what it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator

_READ = 5000
"""Characters at the beginning of a text in which its subject is introduced."""
_LONGEST_TITLE = 200
_LONGEST = 60
_SAID = (
    r"(?:also|formerly|previously|officially|commonly|often|sometimes|or|aka|a\.k\.a\.)?\s*"
    r"(?:known\s+as|called|named|abbreviated(?:\s+(?:as|to))?|abbreviation:?|abbr\.?)?"
)
_SAYS = re.compile(rf"(?P<said>{_SAID})\s*(?P<names>\S.*)", re.IGNORECASE | re.DOTALL)
_BETWEEN = re.compile(r",\s*|\s+or\s+|\s*;\s*")
_WORD = re.compile(r"[^\W\d_]+")
_ABBREVIATION = re.compile(r"(?:[A-Z]\.?){2,8}")


def find_aliases(title: str, text: str) -> tuple[str, ...]:
    """Return the names that a text says its title goes by as well, in its order.

    "Democratic Republic of the Congo (DRC)": an abbreviation of the title's own words in brackets
    behind it; "Eswatini (formerly Swaziland)" and "Eswatini, also known as Swaziland, …": what the
    text itself calls a name. Anything else in brackets is not one: "Paris (France)".
    """
    if not _WORD.search(title) or len(title) > _LONGEST_TITLE:
        return ()
    found = dict.fromkeys(_names(title, text[:_READ]))
    return tuple(name for name in found if name != title)


def _names(title: str, text: str) -> Iterator[str]:
    named = rf"(?<!\w){re.escape(title)}(?!\w)"
    behind = rf"{named}(?:\s?\((?P<brackets>[^()]{{2,200}})\)|,\s(?P<clause>[^,.;:()]{{2,100}}))"
    for place in re.finditer(behind, text):
        inside = place["brackets"] or place["clause"]
        if place["brackets"] and _abbreviates(inside.strip(), title):
            yield inside.strip()
        elif (says := _SAYS.match(inside.strip())) and says["said"].strip():
            yield from filter(_is_name, _BETWEEN.split(says["names"]))


def _abbreviates(name: str, title: str) -> bool:
    """Return whether a name is made of the first letters of a title's words."""
    if not _ABBREVIATION.fullmatch(name):
        return False
    words = _WORD.findall(title)
    capitals = [word[0] for word in words if word[0].isupper()]
    letters = name.replace(".", "")
    return letters in ("".join(capitals), "".join(word[0].upper() for word in words))


def _is_name(name: str) -> bool:
    return len(name) <= _LONGEST and name[:1].isupper() and not name.isdigit()
