"""Reads the numbers of a text with their units, and tells whether two say the same.

What makes no quantity: citations like [1], numbering of lists, years, dates, ordinals, numbers
inside of words like CO2 or COVID-19, and what stands behind a slash or "per".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise

from eval.scoring.currencies import SIGN, currency_of
from eval.scoring.dates import YEAR, find_dates
from eval.scoring.number_words import find_worded
from eval.scoring.units import Unit, find_unit

_SCALES = {
    "hundred": 2,
    "thousand": 3,
    "k": 3,
    "lakh": 5,
    "million": 6,
    "mln": 6,
    "mn": 6,
    "m": 6,
    "crore": 7,
    "billion": 9,
    "bn": 9,
    "b": 9,
    "trillion": 12,
    "tn": 12,
    "t": 12,
}
_WORDS = (
    r"\s{0,3}-?"
    r"(?:(?P<word>(?a:hundred|thousand|lakh|million|mln|mn|crore|billion|bn|trillion|tn))s?"
)
_SCALE = re.compile(rf"{_WORDS}(?!\w)|(?<=\d)(?P<letter>(?-i:[KMBT]))(?!\w))", re.IGNORECASE)
_SHORT = re.compile(rf"{_WORDS}(?!\w)|(?<=\d)(?P<letter>[KMBT])(?!\w))", re.IGNORECASE)
"""Behind a currency "5m" is millions; elsewhere it is metres."""
_SPACE = "[ \u00a0\u2009\u202f]"
_COMMA = r",\d{1,2}(?![\d,])"
"""A fraction behind a comma; three digits there are thousands."""
_NUMBER = re.compile(
    rf"(?<![\w.,/])(?<![A-Za-z][-\u2010\u2011])"
    rf"(?P<sign>[-\u2212\u2013](?=[\d.]|{SIGN}))?"
    rf"(?:(?P<currency>{SIGN}){_SPACE}?)?(?P<minus>[-\u2212](?=\d))?"
    rf"(?P<number>\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d{{1,2}}(?:,\d{{2}})+,\d{{3}}(?:\.\d+)?"
    rf"|\d{{1,3}}(?:{_SPACE}\d{{3}})+(?:\.\d+|{_COMMA})?(?!\d|,\d)"
    rf"|\d{{1,3}}(?:\.\d{{3}})+{_COMMA}|\d{{1,3}}(?:\.\d{{3}}){{2,}}"
    rf"|\d+{_COMMA}|\d+(?:\.\d+)?|\.\d+)(?!\d)"
)
_GROUPS = re.compile(r"\d{1,3}(?:,\d{2,3})*,\d{3}(?:\.\d+)?")
_MOST_DIGITS = 28
"""What decimals hold exactly; a longer run of digits is no amount of anything."""
_NO_QUANTITY = re.compile(
    r"\[\d{1,6}(?:\s?[,;]\s?\d{1,6})*\]"  # a citation
    rf"|\b{YEAR}\s?[-\u2013/]\s?(?:{YEAR}|\d\d)(?![\w.,]\d|\w)"  # years from to
    r"|\*+|`+"  # Markdown
)
_YEAR = re.compile(rf"(?<![\w.,/$€£\u2212-]){YEAR}(?![\w%])(?!\.\d|,\d\d\d)")
_NUMBERED = re.compile(r"^[ \t]*(?:[-*•]\s+)?(\d{1,3})[.)](?=\s)", re.MULTILINE)
_PER = re.compile(r"(?:/|\bper)\s?$", re.IGNORECASE)
_TO = frozenset({"-", "\u2013", "\u2014", "to"})
_OR = re.compile(
    r"[,;]?\s?or(?:\s(?:about|around|approximately|roughly|perhaps|maybe|possibly|even))?"
)
_BETWEEN = re.compile(r"\bbetween\s{0,3}$", re.IGNORECASE)
_ENOUGH_DIGITS, _ENOUGH_CONVERTED = 3, 2
"""Digits that a rounded value must have: 2.5 million is not 2,460,000, and 10 is not 9.8."""
_CONVERTED = Decimal("0.005")
"""How far a converted value may be off: converters round, and round their factors."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number that a text states.

    Attributes:
        value: with its scale: 1200000 for "1.2 million".
        step: what one more in the last stated digit is worth: 100000 for "1.2 million".
        digits: significant ones.
        ranged: one end of a range or of a choice, as in "5 to 7" or "5 or 7".
        start, end: where it stands in the text, its unit included.
    """

    value: Decimal
    step: Decimal
    digits: int
    unit: Unit | None
    start: int
    end: int
    ranged: bool = False


def find_quantities(text: str) -> tuple[Quantity, ...]:
    """Return what a text states in digits, in its order; in words where it states nothing so."""
    plain = _without_dates(text)
    years = {(year.start, year.end) for year in find_years(text)}
    found = [one for one in _in_digits(plain) if (one.start, one.end) not in years]
    if not found:
        found = list(_in_words(plain))
    return _mark_ranges(plain, found)


def find_years(text: str) -> tuple[Quantity, ...]:
    """Return the bare numbers of a text that could be years, as quantities, in its order.

    "1790" could be one, "1,790" and "1790 km" could not.
    """
    plain = _blanked(text)
    return tuple(
        Quantity(Decimal(match[0]), Decimal(1), 4, None, match.start(), match.end())
        for match in _YEAR.finditer(plain)
        if find_unit(plain, match.end(), rates=False) is None
        and _SCALE.match(plain, match.end()) is None
    )


def _without_dates(text: str) -> str:
    """Return the text with spaces for what looks like a number and is none; places stay true."""
    kept = list(_blanked(text))
    for start, end in (*((date.start, date.end) for date in find_dates(text)), *_numbering(text)):
        kept[start:end] = " " * (end - start)
    return "".join(kept)


def _blanked(text: str) -> str:
    return _NO_QUANTITY.sub(lambda match: " " * len(match[0]), text)


def _numbering(text: str) -> Iterator[tuple[int, int]]:
    """Yield the numbers of a numbered list: 1, 2 and so on, each at the beginning of a line."""
    numbered = list(_NUMBERED.finditer(text))
    if [int(match[1]) for match in numbered] == list(range(1, len(numbered) + 1)) and numbered[1:]:
        yield from (match.span(1) for match in numbered)


def comparable(stated: Quantity, expected: Quantity) -> bool:
    """Return whether two could be of one kind: the units that are known measure the same.

    What is divided by time is another kind, unless the expected one is divided as well.
    """
    one, other = _units(stated, expected)
    if one is None or other is None:
        return True
    if one.per is not None and (other.per is None or one.per.dimension != other.per.dimension):
        return False
    return one.dimension == other.dimension


def agrees(stated: Quantity, expected: Quantity, *, tolerance: Decimal | None = None) -> bool:
    """Return whether a stated quantity says what is expected.

    It does where both are equal, or where the expected value, rounded to the digits that are
    stated, is the stated one, and these are at least three. A unit that is not stated is taken to
    be the expected one; another unit of the same kind is converted.

    Args:
        tolerance: share of the expected value by which it may be off; None for the rule above.
    """
    if not comparable(stated, expected) or (stated.ranged and not expected.ranged):
        return False
    one, other = _units(stated, expected)
    converted = one is not None and other is not None and one != other
    value, ratio = stated.value, Decimal(1)
    if converted and one is not None and other is not None:
        ratio = one.size / other.size
        if one.per is not None and other.per is not None:
            ratio *= other.per.size / one.per.size
        value = value * ratio + (one.zero - other.zero) / other.size
    off = abs(value - expected.value)
    if off == 0 or (tolerance is not None and off <= tolerance * abs(expected.value)):
        return True
    if tolerance is not None or stated.digits < (
        _ENOUGH_CONVERTED if converted else _ENOUGH_DIGITS
    ):
        return False
    allowed = stated.step * ratio / 2
    return off <= (max(allowed, _CONVERTED * abs(expected.value)) if converted else allowed)


def _units(one: Quantity, other: Quantity) -> tuple[Unit | None, Unit | None]:
    """Return the units of two as they are meant: beside another currency, pounds are money."""
    first, second = one.unit, other.unit
    if first is not None and second is not None:
        if first.money == second.dimension:
            first = second
        elif second.money == first.dimension:
            second = first
    return first, second


def _in_digits(text: str) -> Iterator[Quantity]:
    reached = 0
    for match in _NUMBER.finditer(text):
        if match.start() < reached or _PER.search(text, max(0, match.start() - 5), match.start()):
            continue
        found = _read(match, text)
        if found is not None:
            reached = found.end
            yield found


def _read(match: re.Match[str], text: str) -> Quantity | None:
    digits = _plain(match["number"])
    if sum(letter.isdigit() for letter in digits) > _MOST_DIGITS:
        return None
    value, end = Decimal(digits), match.end()
    step = Decimal(1).scaleb(_exponent(value))
    scale = (_SHORT if match["currency"] else _SCALE).match(text, end)
    if scale is not None:
        power = _SCALES[(scale["word"] or scale["letter"]).lower()]
        value, step, end = value.scaleb(power), step.scaleb(power), scale.end()
    elif step == 1:
        step = _thousands(value)
    measured = find_unit(text, end)
    if measured is None and end < len(text) and (text[end].isalnum() or text[end] == "_"):
        return None  # as in "3rd", "4x4" or "5G"
    unit, end = (None, end) if measured is None else measured
    if match["currency"] and (unit is None or unit.dimension != "share"):
        unit = Unit(currency_of(match["currency"]), Decimal(1))
    if match["sign"] or match["minus"]:
        value = -value
    significant = len(str(int(abs(value) / step)))
    return Quantity(value, step, significant, unit, match.start(), end)


def _plain(number: str) -> str:
    """Return a number without what groups its digits, its fraction behind a point."""
    if _GROUPS.fullmatch(number):
        return number.replace(",", "")
    number = re.sub(_SPACE, "", number)
    if "," in number:
        number = number.replace(".", "").replace(",", ".")
    return number.replace(".", "") if number.count(".") > 1 else number


def _in_words(text: str) -> Iterator[Quantity]:
    for worded in find_worded(text):
        measured = find_unit(text, worded.end)
        unit, end = (None, worded.end) if measured is None else measured
        digits = len(str(int(worded.value / worded.step)))
        yield Quantity(worded.value, worded.step, digits, unit, worded.start, end)


def _mark_ranges(text: str, found: list[Quantity]) -> tuple[Quantity, ...]:
    marked = list(found)
    for place, (one, other) in enumerate(pairwise(found)):
        joined = text[one.end : other.start].strip().lower()
        between = joined == "and" and _BETWEEN.search(text, 0, one.start)
        if (
            joined in _TO
            or between
            or (_OR.fullmatch(joined) and not _restates(one, other, apart=joined[0] in ",;"))
        ):
            unit = one.unit or other.unit
            marked[place] = replace(marked[place], ranged=True, unit=unit)
            marked[place + 1] = replace(other, ranged=True)
    return tuple(marked)


def _restates(one: Quantity, other: Quantity, *, apart: bool) -> bool:
    """Return whether the second of two that "or" joins says the first once more.

    So does the same length in miles, a rounder number, and behind a comma a share of something, as
    in "7.1 million, or 14% of all".
    """
    shares = [unit is not None and unit.dimension == "share" for unit in (one.unit, other.unit)]
    if not comparable(other, one) or (apart and shares[0] != shares[1]):
        return True
    return agrees(one, other) or agrees(other, one)


def _thousands(value: Decimal) -> Decimal:
    """Return the step of a whole number: 221,000,000 may be rounded to millions, 80 is 80."""
    step = Decimal(1)
    while value and value % (step * 1000) == 0:
        step *= 1000
    return step


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0
