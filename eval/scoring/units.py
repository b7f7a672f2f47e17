"""Units of measurement as answers spell them, with their dimension and size.

A table and no library: forty linear units are what stands beside numbers in answers, and what is
not here is compared by its number alone. Sizes are the exact ones of the SI brochure and of NIST
Special Publication 811.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from eval.scoring.currencies import find_currency


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: what it measures, and how many of its dimension's base unit it is.

    Attributes:
        zero: what its zero is in base units: of a degree Fahrenheit, -17.78 degrees Celsius.
        per: what it is divided by: an hour for "km/h"; None for a whole unit.
        money: the currency that the same word may mean, as "pounds" does.
    """

    dimension: str
    size: Decimal
    zero: Decimal = Decimal(0)
    per: Unit | None = None
    money: str | None = None


_SPELLED = {
    "length 0.001": "mm|millimet(?:er|re)s?",
    "length 0.01": "cm|centimet(?:er|re)s?",
    "length 0.3048": "ft|feet|foot",
    "length 0.9144": "yd|yards?",
    "length 1": "(?-i:m)|met(?:er|re)s?",
    "length 1000": "km|kilomet(?:er|re)s?|kms",
    "length 1609.344": "mi|miles?",
    "length 1852": "nm|nmi|nautical miles?",
    "area 1": r"sq\.? ?m|m²|m2|square met(?:er|re)s?",
    "area 4046.8564224": "acres?",
    "area 10000": "ha|hectares?",
    "area 1000000": r"sq\.? ?km|km²|km2|square (?:kilomet(?:er|re)s?|km)",
    "area 2589988.110336": r"sq\.? ?mi|mi²|mi2|square miles?",
    "volume 0.001": "(?-i:[lL])|lit(?:er|re)s?",
    "volume 0.158987294928": "bbl|barrels?",
    "volume 1": "cu m|m³|m3|cubic met(?:er|re)s?",
    "volume 1000000000": "cu km|km³|km3|cubic (?:kilomet(?:er|re)s?|km)",
    "mass 0.001": "(?-i:g)|grams?",
    "mass 0.45359237": "lbs?|pounds?",
    "mass 1": "kg|kilograms?",
    "mass 1000": "(?-i:t|[mM]t)|tonnes?|tons?|metric (?:tons?|tonnes?)",
    "power 1": "W|watts?",
    "power 1000": "kW|kilowatts?",
    "power 1000000": "MW|megawatts?",
    "power 1000000000": "GW|gigawatts?",
    "energy 1": "Wh",
    "energy 1000": "kWh|kilowatt[ -]hours?",
    "energy 1000000": "MWh|megawatt[ -]hours?",
    "energy 1000000000": "GWh|gigawatt[ -]hours?",
    "energy 1000000000000": "TWh|terawatt[ -]hours?",
    "time 1": "(?-i:h)|hours?",
    "speed 1.609344": "mph",
    "time 24": "days?",
    "time 8766": "years?|yrs?",
    "temperature 1": "°\\s?C|℃|degrees? (?:celsius|centigrade|C)|celsius",
    "share 0.01": "%|percent|per cent|pct|percentage points?",
}
_UNITS = {
    spelling: Unit(kind.split()[0], Decimal(kind.split()[1])) for kind, spelling in _SPELLED.items()
}
_FAHRENHEIT = "°\\s?F|℉|degrees? (?:fahrenheit|F)|fahrenheit"
_UNITS[_FAHRENHEIT] = Unit("temperature", Decimal(5) / 9, zero=Decimal(-160) / 9)
_UNITS["kelvins?|°K"] = Unit("temperature", Decimal(1), zero=Decimal("-273.15"))
_HOUR = Unit("time", Decimal(1))
_BELOW = {
    "(?-i:h)|hr|hour": _HOUR,
    "(?-i:s)|sec|second": Unit("time", 1 / Decimal(3600)),
    "(?-i:min)|minute": Unit("time", 1 / Decimal(60)),
    "day": Unit("time", Decimal(24)),
}
"""What a unit may be divided by and is then of another kind; per year or person it is not."""
_RATE = re.compile(
    r"\s{0,3}-?(?:[^\W\d]+\s){0,2}?(?:[^\W\d]+)?\s?(?:/|\bper\s)\s?(?P<of>1,?000,?000|100,?000|10,?000|1,?000|100)\b(?!,\d)"
)
"""As in " deaths/1,000 live births" or " per 100,000": the words, then of how many."""


def _alternatives() -> Iterator[tuple[re.Pattern[str], Unit]]:
    for spelling, unit in _UNITS.items():
        flags = re.NOFLAG if unit.dimension in {"power", "energy"} else re.IGNORECASE
        yield re.compile(rf"\s{{0,3}}-?(?:{spelling})(?![\w²³])", flags), unit


_PATTERNS = tuple(_alternatives())
_DIVISORS = tuple(
    (re.compile(rf"\s?(?:/\s?|\bper\s)(?:{spelling})(?!\w)", re.IGNORECASE), unit)
    for spelling, unit in _BELOW.items()
)


def find_unit(text: str, place: int, *, rates: bool = True) -> tuple[Unit, int] | None:
    """Return the unit that a text spells at a place, behind a little space, and where it ends.

    The longest spelling wins. A rate like "per 1,000" is a share, where rates are wanted. None
    where there is no known one.
    """
    if rates and (rate := _RATE.match(text, place)):
        return Unit("share", 1 / Decimal(rate["of"].replace(",", ""))), rate.end()
    found = [
        (match.end(), unit)
        for pattern, unit in _PATTERNS
        if (match := pattern.match(text, place)) is not None
    ]
    end, unit = max(found, key=lambda one: one[0], default=(place, None))
    if money := find_currency(text, place):
        code, money_end, ambiguous = money
        if unit is None or money_end > end:
            return Unit(code, Decimal(1)), money_end
        if ambiguous:
            unit = replace(unit, money=code)
    return None if unit is None else _divided(unit, text, end)


def _divided(unit: Unit, text: str, end: int) -> tuple[Unit, int]:
    """Return the unit with what it is divided by: "km/h" measures no length."""
    if unit.dimension == "speed":
        return Unit("length", unit.size * 1000, per=_HOUR), end
    for pattern, divisor in _DIVISORS:
        if unit.dimension != "share" and (match := pattern.match(text, end)):
            return replace(unit, per=divisor), match.end()
    return unit, end
