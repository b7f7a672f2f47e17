"""The rules by which an answer is right, one for each type of answer; pure, and without a model.

An answer is read as it stands, and what it says first counts: a list of every value that there is
contains the right one, and is no answer. `docs/compare.md` states the rules for users.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from chunking.cuts import boundaries
from eval.cells import AnswerType, AskedQuestion
from eval.dates import YEAR, find_dates
from eval.quantities import Quantity, agrees, comparable, find_quantities, find_years
from eval.wording import states, words
from serve.abstention import abstains, without_citations

FindNames = Callable[[str], Sequence[str]]
"""Returns keys of the known names in a text, in its order; two names of one thing share a key."""
_CONCLUDING = re.compile(
    r"\banswer\s?(?:is\b|:)|\b(?:therefore|thus|hence)\b|(?:^|[.,;]\s)so\b", re.IGNORECASE
)
_SAID_OF = re.compile(rf"[^\d:;,]{{0,30}}\b(?:in|for|during|as of)\s({YEAR})\b", re.IGNORECASE)
_SUPERLATIVE = re.compile(r"\b(?:more|most|less|least|[a-z]{2,}(?:er|est))\b", re.IGNORECASE)
_NO_SUPERLATIVE = frozenset("number other border per under over after water whether ever".split())
_SHARE = re.compile(r"%|\b(?:percent|per cent|percentage|share|rate|proportion)\b", re.IGNORECASE)
"""Words of a question that is answered by a share, where what is expected has no unit."""
_FALLING = re.compile(
    r"\b(?:fell|falls?|declin\w+|decreas\w+|contract\w+|shrank|shrunk|shrinking|dropp\w+|drop|"
    r"negative|minus|los[st]\w*)\b[^.;\d]*$",
    re.IGNORECASE,
)
_BEFORE = 60
_DOLLARS = re.compile(rf"\b{YEAR}\s(?:US\s)?(?:dollars|prices)", re.IGNORECASE)
"""The year of a price level is not the year that an amount is of."""
_AMOUNT = re.compile(r"\s*(?:US)?[-\u2212$€£.]*\d")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rules say of an answer's text; see `Score`."""

    correct: bool
    reason: str
    abstained: bool = False
    f1: float | None = None
    stale: bool | None = None


def score_answer(question: AskedQuestion, answer: str, *, find_names: FindNames) -> Judgement:
    """Return whether an answer is right, and why.

    Args:
        find_names: finds the names of things that an answer could name instead of the right ones,
            such as the titles of the collection's documents.
    """
    text = without_citations(answer)
    declined = abstains(answer)
    known_stale = None if question.stale is None else False
    has_members = question.answer_type in {"set", "list"}
    if question.answer_type == "abstain":
        return Judgement(declined, "declines" if declined else "answers", declined)
    if declined:
        return Judgement(
            False, "declines", True, f1=0.0 if has_members else None, stale=known_stale
        )
    if has_members:
        rule = _score_set if question.answer_type == "set" else _score_list
        f1, reason = rule(question, text, find_names)
        return Judgement(f1 == 1.0, reason, f1=f1, stale=known_stale)
    reason = _RULES[question.answer_type](question, text, find_names)
    if reason and question.stale is not None:
        other = replace(question, expected=question.stale)
        known_stale = not _RULES[question.answer_type](other, text, find_names)
    return Judgement(not reason, reason or "agrees", stale=known_stale)


def _number(question: AskedQuestion, text: str, find_names: FindNames) -> str:
    wanted = _text_of(question)
    if not find_quantities(wanted) and not find_years(wanted):
        return _wording(question, text, find_names)
    return _wrong_number(question, text, wanted)


def _wrong_number(question: AskedQuestion, text: str, wanted: str) -> str:
    """Return why the first amount of the kind that a text states is not the wanted one.

    Empty where it is. What the question says itself, and what is said of another year than the one
    asked for, is passed over.
    """
    amount = find_quantities(wanted)
    expected = (amount or find_years(wanted))[0]
    stated = _conclusion(text)
    if not _amounts(stated, amount):
        stated = text
    found = _amounts(stated, amount)
    if not found:
        return "no value"
    shared = expected.unit is not None or _SHARE.search(question.question) is not None
    comparables = [
        one for one in found if comparable(one, expected) and (shared or not _is_share(one))
    ]
    if not comparables:
        return "another unit"
    asked = _values(find_quantities(question.question))
    if expected.value < 0:
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


def _of_years(one: Quantity, text: str, found: Sequence[Quantity], wanted: set[object]) -> bool:
    """Return whether a quantity is not said of other years than the wanted ones."""
    line_start = text.rfind("\n", 0, one.start) + 1
    line_end = text.find("\n", one.end)
    line_end = len(text) if line_end < 0 else line_end
    beside = [other for other in found if line_start <= other.start < line_end]
    place = beside.index(one)
    last = place + 1 == len(beside)
    after = text[one.end : line_end if last else beside[place + 1].start]
    before = text[beside[place - 1].end if place else line_start : one.start]
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


def _date(question: AskedQuestion, text: str, find_names: FindNames) -> str:
    expected = find_dates(_text_of(question))
    if not expected:
        return _number(question, text, find_names)
    said = find_dates(_conclusion(text))
    if not said:
        return "no value"
    return "" if said[0].says(expected[0]) else "another value"


def _wording(question: AskedQuestion, text: str, find_names: FindNames) -> str:
    del find_names
    return "" if states(text, _text_of(question)) else "not stated"


def _entity(question: AskedQuestion, text: str, find_names: FindNames) -> str:
    """Return why the name that an answer chooses is not the expected one; empty where it is."""
    expected = _text_of(question)
    keys = set(find_names(expected))
    if not keys:
        return _wording(question, text, find_names)
    asked = set(find_names(question.question))
    others = asked - keys if keys & asked else set()
    chosen = _chosen(question.question, text, find_names, ignored=asked - keys - others)
    if chosen is None:
        return "no name"
    return "" if chosen in keys else "another name"


def _chosen(
    question: str, text: str, find_names: FindNames, *, ignored: Iterable[str]
) -> str | None:
    """Return the name that an answer settles on.

    The first one of its conclusion; else of the first sentence that takes up the question's
    "larger" or "highest"; else of all. A question that offers names to choose from ignores none.
    """
    offered = set(find_names(question))
    ignored = set() if re.search(r"\bor\b", question) else set(ignored) & offered

    def first(part: str) -> str | None:
        return next((name for name in find_names(part) if name not in ignored), None)

    concluded = _conclusion(text)
    if concluded != text and (name := first(concluded)):
        return name
    compared = {
        word.lower()
        for word in _SUPERLATIVE.findall(question)
        if word.lower() not in _NO_SUPERLATIVE
    }
    for sentence in _sentences(text):
        if compared & set(words(sentence)) and (name := first(sentence)):
            return name
    return first(text)


def _score_set(question: AskedQuestion, text: str, find_names: FindNames) -> tuple[float, str]:
    """Return F1 of the names that an answer gives; what the question names is not counted."""
    members = _members(question)
    keys = {member: set(find_names(member)) for member in members}
    said = list(dict.fromkeys(find_names(text)))
    expected = set().union(*keys.values())
    held = [
        member
        for member in members
        if (keys[member] & set(said) if keys[member] else states(text, member))
    ]
    extra = [
        one for one in said if one not in expected and one not in find_names(question.question)
    ]
    f1 = 2 * len(held) / (len(members) + len(held) + len(extra))
    return f1, f"{len(held)} of {len(members)}, {len(extra)} others"


def _score_list(question: AskedQuestion, text: str, find_names: FindNames) -> tuple[float, str]:
    """Return the share of the members that an answer states, each by the rule of its own kind."""
    members = _members(question)
    held = sum(_states_member(question, text, member, find_names) for member in members)
    return held / len(members), f"{held} of {len(members)}"


def _states_member(question: AskedQuestion, text: str, member: str, find_names: FindNames) -> bool:
    expected = find_quantities(member) if _AMOUNT.match(member) else ()
    if expected:
        found = (*find_quantities(text), *find_years(text))
        return any(agrees(one, expected[0], tolerance=question.tolerance) for one in found)
    keys = set(find_names(member))
    return states(text, member) or bool(keys & set(find_names(text)))


def _conclusion(text: str) -> str:
    """Return what follows the last word of a conclusion, where something does."""
    *_, last = (None, *_CONCLUDING.finditer(text))
    rest = "" if last is None else text[last.end() :].strip()
    return rest if any(letter.isalnum() for letter in rest) else text


def _sentences(text: str) -> list[str]:
    ends = [0, *boundaries(text), len(text)]
    return [text[start:end] for start, end in pairwise(ends)]


def _values(found: Iterable[Quantity]) -> set[object]:
    return {one.value for one in found}


def _text_of(question: AskedQuestion) -> str:
    return question.expected if isinstance(question.expected, str) else " ".join(_members(question))


def _members(question: AskedQuestion) -> tuple[str, ...]:
    expected = question.expected
    return (expected,) if isinstance(expected, str) else expected or ()


_RULES: Mapping[AnswerType, Callable[[AskedQuestion, str, FindNames], str]] = {
    "number": _number,
    "date": _date,
    "string": _wording,
    "entity": _entity,
}
