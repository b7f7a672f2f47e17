"""Reads the value of a fact as a measurement, and tells which of two can be compared; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from eval.making.stated_facts import Fact
from eval.scoring.quantities import Quantity, find_quantities

RATIO = 1.05
"""How far apart compared values are at least, so that a rounded answer still tells them apart."""
_NUMBER_FIRST = re.compile(r"(?:US)?[-\u2212$€£~]*\s?\d")
_NUMBER = re.compile(r"[-\u2212~]?\d[\d.,]*")
_REMARK = re.compile(r"\([^()]*\)")
_YEAR = re.compile(r"\b(?:1[5-9]\d\d|20\d\d)\b")


@dataclass(frozen=True, slots=True)
class Measured:
    """What a value measures.

    Attributes:
        unit: the words around the number, for units that are not known as such.
        years: those that the field or the value names.
    """

    quantity: Quantity
    unit: str
    years: tuple[str, ...]


@lru_cache(maxsize=1 << 17)
def measure(fact: Fact) -> Measured | None:
    """Return what the value of a fact measures; None unless it begins with the only number of it.

    Numbers in brackets, of years mostly, and those of another unit are beside the point.
    """
    if not _NUMBER_FIRST.match(fact.value):
        return None
    bare = _REMARK.sub("", fact.value)
    found = find_quantities(bare)
    if not found or any(one.unit == found[0].unit for one in found[1:]):
        return None
    words = " ".join(_NUMBER.sub("#", bare).casefold().split())
    return Measured(found[0], words, tuple(_YEAR.findall(f"{fact.field} {fact.value}")))


def comparable(one: Fact, other: Fact) -> bool:
    """Return whether two facts have one field, unit and year, and values that differ enough."""
    first, second = measure(one), measure(other)
    if first is None or second is None or one.field != other.field:
        return False
    if first.quantity.unit != second.quantity.unit or first.years != second.years:
        return False
    if first.quantity.unit is None and (first.unit != second.unit or not _counts(first, second)):
        return False
    low, high = sorted((first.quantity.value, second.quantity.value))
    return low > 0 and float(high) >= RATIO * float(low)


def _counts(*measured: Measured) -> bool:
    """Return whether numbers have a unit in words, or are whole: 4.125 alone has one elsewhere."""
    return all(
        one.unit.strip("# ") or one.quantity.value == int(one.quantity.value) for one in measured
    )
