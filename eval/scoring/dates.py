"""Reads the dates of a text, to compare them and to take them for no amounts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
YEAR = r"(?:1[5-9]|20)\d\d"
# "may" is a verb far more often than a month, unless it has a capital.
_MONTH = (
    r"(?a:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|(?-i:May)|june?|july?|aug(?:ust)?"
    r"|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DAY = r"(?:[12]\d|3[01]|0?[1-9])"
_DAY_OF = rf"(?P<day>{_DAY})"
_NUMBER_OF = "(?P<number>1[0-2]|0?[1-9])"
_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"\b(?P<year>{YEAR})-(?P<number>0[1-9]|1[0-2])-(?P<day>{_DAY})\b",
        rf"\b(?P<day>{_DAY})(?:st|nd|rd|th)?\s(?:of\s)?(?P<month>{_MONTH})\b\.?"
        rf"(?:,?\s(?P<year>{YEAR})\b)?",
        rf"\b(?P<month>{_MONTH})\b\.?\s(?P<day>{_DAY})(?:st|nd|rd|th)?\b(?![.,]\d|\s?%)"
        rf"(?:,?\s(?P<year>{YEAR})\b)?",
        rf"\b(?P<month>{_MONTH})\b\.?,?\s(?P<year>{YEAR})\b",
        rf"\b(?P<day>{_DAY})-(?P<month>{_MONTH})-(?P<year>{YEAR})\b",
        rf"(?<![\w.,]){_DAY_OF}\.{_NUMBER_OF}\.(?P<year>{YEAR})\b",
        # With slashes, only where the larger of both can be no month: 28/07/1821, 07/28/1821.
        rf"(?<![\w/])(?P<day>1[3-9]|2\d|3[01])/{_NUMBER_OF}/(?P<year>{YEAR})\b(?!/)",
        rf"(?<![\w/]){_NUMBER_OF}/(?P<day>1[3-9]|2\d|3[01])/(?P<year>{YEAR})\b(?!/)",
    )
)


@dataclass(frozen=True, slots=True)
class Day:
    """A date as far as a text states it; what is not stated is None.

    Attributes:
        start, end: where it stands in the text.
    """

    year: int | None
    month: int | None
    day: int | None
    start: int
    end: int

    def says(self, expected: Day) -> bool:
        """Return whether this states everything of the expected date, and nothing else."""
        pairs = (
            (expected.year, self.year),
            (expected.month, self.month),
            (expected.day, self.day),
        )
        return all(wanted is None or wanted == stated for wanted, stated in pairs)


def find_dates(text: str) -> tuple[Day, ...]:
    """Return the dates that a text states with a month, in its order."""
    return tuple(sorted(_dates(text), key=lambda date: date.start))


def _dates(text: str) -> Iterator[Day]:
    taken = [False] * len(text)
    for form in _FORMS:
        for match in form.finditer(text):
            if any(taken[match.start() : match.end()]):
                continue
            taken[match.start() : match.end()] = [True] * (match.end() - match.start())
            parts = match.groupdict()
            month = parts.get("number") or _MONTHS.index(parts["month"][:3].lower()) + 1
            year, day = parts.get("year"), parts.get("day")
            yield Day(
                int(year) if year else None,
                int(month),
                int(day) if day else None,
                match.start(),
                match.end(),
            )
