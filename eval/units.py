"""Units of measurement as answers spell them, with their dimension and size.

A table and no library: forty linear units are what stands beside numbers in answers, and what is
not here is compared by its number alone. Sizes are the exact ones of the SI brochure and of NIST
Special Publication 811.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: what it measures, and how many of its dimension's base unit it is."""

    dimension: str
    size: Decimal


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
    "time 24": "days?",
    "time 8766": "years?|yrs?",
    "celsius 1": "°C|degrees? celsius",
    "fahrenheit 1": "°F|degrees? fahrenheit",
    "share 0.01": "%|percent|per cent|pct|percentage points?",
    "dollars 1": "US dollars?|dollars?|USD|US\\$",
    "euros 1": "euros?|EUR",
    "pounds 1": "pounds? sterling|GBP",
}
_UNITS = {
    spelling: Unit(kind.split()[0], Decimal(kind.split()[1])) for kind, spelling in _SPELLED.items()
}
CURRENCIES = {
    "$": "dollars",
    "US$": "dollars",
    "USD": "dollars",
    "€": "euros",
    "EUR": "euros",
    "£": "pounds",
    "GBP": "pounds",
}
_RATE = re.compile(
    r"\s{0,3}-?(?:[^\W\d]+\s){0,2}?(?:[^\W\d]+)?\s?(?:/|\bper\s)\s?(?P<of>1,?000,?000|100,?000|10,?000|1,?000|100)\b(?!,\d)"
)
"""As in " deaths/1,000 live births" or " per 100,000": the words, then of how many."""


def _alternatives() -> Iterator[tuple[re.Pattern[str], Unit]]:
    for spelling, unit in _UNITS.items():
        flags = re.NOFLAG if unit.dimension in {"power", "energy"} else re.IGNORECASE
        yield re.compile(rf"\s{{0,3}}-?(?:{spelling})(?![\w²³])", flags), unit


_PATTERNS = tuple(_alternatives())


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
    if not found:
        return None
    end, unit = max(found, key=lambda one: one[0])
    return unit, end
