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
from eval.scoring.amounts import wrong_date, wrong_number
from eval.scoring.dates import find_dates
from eval.scoring.negation import denied, without_denied_names
from eval.scoring.quantities import agrees, find_quantities, find_years
from eval.scoring.wording import conclusion, states, words
from serve.abstention import abstains, is_empty, without_citations

FindNames = Callable[[str], Sequence[str]]
"""Returns keys of the known names in a text, in its order; two names of one thing share a key."""
_SUPERLATIVE = re.compile(r"\b(?:more|most|less|least|[a-z]{2,}(?:er|est))\b", re.IGNORECASE)
_NO_SUPERLATIVE = frozenset("number other border per under over after water whether ever".split())
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
    if is_empty(answer):
        return _unanswered(question, "no answer")
    text = without_citations(answer)
    declined = abstains(answer)
    if question.answer_type == "abstain":
        return Judgement(declined, "declines" if declined else "answers", declined)
    if declined and not _is_what_declines(question, text, find_names):
        return _unanswered(question, "declines")
    reason, f1 = _wrong(question, text, find_names)
    stale = None
    if question.stale is not None:
        other = replace(question, expected=question.stale)
        stale = bool(reason) and not _wrong(other, text, find_names)[0]
    return Judgement(not reason, reason or "agrees", f1=f1, stale=stale)


def score_failure(question: AskedQuestion, error: str) -> Judgement:
    """Return the judgement of a call that gave no answer: wrong, and F1 is 0.

    Args:
        error: the code of the error.
    """
    return replace(_unanswered(question, error), abstained=False)


def _unanswered(question: AskedQuestion, reason: str) -> Judgement:
    f1 = 0.0 if question.answer_type in _MANY else None
    return Judgement(False, reason, True, f1, None if question.stale is None else False)


def _is_what_declines(question: AskedQuestion, text: str, find_names: FindNames) -> bool:
    """Return whether what reads as declining is the right answer: "No data" may be a value."""
    expected = question.expected
    return (
        isinstance(expected, str)
        and abstains(expected)
        and not _wrong(question, text, find_names)[0]
    )


def _wrong(question: AskedQuestion, text: str, find_names: FindNames) -> tuple[str, float | None]:
    """Return why an answer is wrong, empty where it is right, and F1 of sets and lists."""
    rule = _MANY.get(question.answer_type)
    if rule is None:
        return _RULES[question.answer_type](question, text, find_names), None
    f1, reason = rule(question, text, find_names)
    return "" if f1 == 1.0 else reason, f1


def _number(question: AskedQuestion, text: str, find_names: FindNames) -> str:
    wanted = _text_of(question)
    if not find_quantities(wanted) and not find_years(wanted):
        return _wording(question, text, find_names)
    return wrong_number(question, text, wanted)


def _date(question: AskedQuestion, text: str, find_names: FindNames) -> str:
    wanted = _text_of(question)
    if not find_dates(wanted):
        return _number(question, text, find_names)
    return wrong_date(text, wanted)


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
    text = without_denied_names(text, find_names)
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

    concluded = conclusion(text)
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
    said = list(dict.fromkeys(find_names(without_denied_names(text, find_names))))
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
        return any(
            agrees(one, expected[0], tolerance=question.tolerance)
            for one in found
            if not denied(text, one.start)
        )
    keys = set(find_names(member))
    named = find_names(without_denied_names(text, find_names)) if keys else ()
    return states(text, member) or bool(keys & set(named))


def _sentences(text: str) -> list[str]:
    ends = [0, *boundaries(text), len(text)]
    return [text[start:end] for start, end in pairwise(ends)]


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
_MANY: Mapping[AnswerType, Callable[[AskedQuestion, str, FindNames], tuple[float, str]]] = {
    "set": _score_set,
    "list": _score_list,
}
