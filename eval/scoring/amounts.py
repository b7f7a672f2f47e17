"""The rules for answers that are a number, an amount or a date: which of those stated counts."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace

from eval.cells import AskedQuestion
from eval.scoring.dates import YEAR, find_dates
from eval.scoring.negation import denied
from eval.scoring.quantities import Quantity, agrees, comparable, find_quantities, find_years
from eval.scoring.wording import conclusion

_SAID_OF = re.compile(rf"[^\d:;,]{{0,30}}\b(?:in|for|during|as of)\s({YEAR})\b", re.IGNORECASE)
_SHARE = re.compile(r"%|\b(?:percent|per cent|percentage|share|rate|proportion)\b", re.IGNORECASE)
"""Words of a question that is answered by a share, where what is expected has no unit."""
_FALL = re.compile(
    r"\b(?:fell|falls?|falling|declin\w+|decreas\w+|contract\w+|shrank|shrunk|shrink\w*|"
    r"dropp\w+|drops?|negative|minus|los[st]\w*|losing|reduc\w+)\b",
    re.IGNORECASE,
)
_SETTLED = r"\b(?:to|from|is|was|were|are|has|had|but|while|reach\w*|st(?:ands?|ood)|(?<=, )at)\b"
_FALLING = re.compile(
    rf"{_FALL.pattern}(?:(?!{_SETTLED})(?:[^.;\d]|(?<!\d){YEAR}(?!\d)))*$", re.IGNORECASE
)
"""Behind it, an amount is how much less: "fell by 5.2%", and not "fell to 5.2%"."""
_BEFORE = 60
_DOLLARS = re.compile(rf"\b{YEAR}\s(?:US\s)?(?:dollars|prices)", re.IGNORECASE)
"""The year of a price level is not the year that an amount is of."""
_CHOICE = re.compile(r"[,;]?\sor\s(?:on\s)?", re.IGNORECASE)


def wrong_number(question: AskedQuestion, text: str, wanted: str) -> str:
    """Return why the first amount of the kind that a text states is not the wanted one.

    Empty where it is. What the question says itself, and what is said of another year than the one
    asked for, is passed over.
    """
    amount = find_quantities(wanted)
    expected = (amount or find_years(wanted))[0]
    stated = conclusion(text)
    if not _amounts(stated, amount):
        stated = text
    found = [one for one in _amounts(stated, amount) if not denied(stated, one.start)]
    if not found:
        return "no value"
    shared = expected.unit is not None or _SHARE.search(question.question) is not None
    comparables = [
        one for one in found if comparable(one, expected) and (shared or not _is_share(one))
    ]
    if not comparables:
        return "another unit"
    asked = _values(find_quantities(question.question))
    if expected.value < 0 or not _FALL.search(question.question):
        comparables = [_signed(one, stated) for one in comparables]
    said = [one for one in comparables if one.value not in asked or one.value == expected.value]
    wanted_years = _values(find_years(question.question))
    if wanted_years and amount:
        said = [one for one in said if _of_years(one, stated, found, wanted_years)]
        if not said:
            return "another year"
    if not said:
        return "no value"
    if agrees(said[0], expected, tolerance=question.tolerance):
        return ""
    later = any(agrees(one, expected, tolerance=question.tolerance) for one in said[1:])
    return "another value first" if later else "another value"


def wrong_date(text: str, wanted: str) -> str:
    """Return why the first date that a text states is not the wanted one; empty where it is."""
    expected = find_dates(wanted)
    stated = conclusion(text)
    said = [one for one in find_dates(stated) if not denied(stated, one.start)]
    if not said:
        return "no value"
    if said[1:] and _CHOICE.fullmatch(stated[said[0].end : said[1].start]):
        return "a choice"
    return "" if said[0].says(expected[0]) else "another value"


def _of_years(one: Quantity, text: str, found: Sequence[Quantity], wanted: set[object]) -> bool:
    """Return whether a quantity is not said of other years than the wanted ones."""
    line_start = text.rfind("\n", 0, one.start) + 1
    line_end = text.find("\n", one.end)
    line_end = len(text) if line_end < 0 else line_end
    # By its place: what a fall has made negative is no longer equal to what was found.
    place = bisect_left(found, one.start, key=lambda other: other.start)
    previous = found[place - 1].end if place and found[place - 1].start >= line_start else None
    following = found[place + 1].start if place + 1 < len(found) else line_end
    last = following >= line_end
    after = text[one.end : line_end if last else following]
    before = text[line_start if previous is None else previous : one.start]
    remark = re.match(r"[^()\d]{0,40}\(([^()]*)\)", after) or _SAID_OF.match(after)
    years = find_years(_DOLLARS.sub("", remark[1])) if remark else ()
    years = years or find_years(before.rpartition(")")[2]) or (find_years(after) if last else ())
    return not years or bool(_values(years) & wanted)


def _signed(one: Quantity, text: str) -> Quantity:
    """Return a quantity as negative where the words before it say so: "fell by 5.2%"."""
    falling = _FALLING.search(text, max(0, one.start - _BEFORE), one.start)
    return replace(one, value=-one.value) if falling and one.value > 0 else one


def _is_share(one: Quantity) -> bool:
    return one.unit is not None and one.unit.dimension == "share"


def _amounts(text: str, amount: Sequence[Quantity]) -> Sequence[Quantity]:
    """Return what a text states that could be an amount, or a year where a year is expected."""
    return (find_quantities(text) if amount else ()) or find_years(text)


def _values(found: Iterable[Quantity]) -> set[object]:
    return {one.value for one in found}
