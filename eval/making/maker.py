"""Makes questions with exact evidence from what documents state; pure, and the same for a seed.

Every question is checked before it is kept: its evidence stands word for word in the document that
is named, its answer stands in the evidence, and what is compared has one unit and one year.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, TypeVar

from chunking.document import Document, content_id
from eval.making.measured_facts import Measured, comparable, measure
from eval.making.questions import MadeQuestion, MadeQuestions, is_proved
from eval.making.stated_facts import Fact, find_facts

TYPES = ("single_field", "multi_field", "bridge", "comparison", "unanswerable_field")
_FIELDS_ASKED = (2, 3)
_FEWEST_HOLDERS = 3
"""Documents that hold a field, at least, before another is asked for it in vain."""
_COMMON_SHARE = 0.2
"""Share of the subjects that hold it, at least: a field that few have is nobody's lack."""
_HOLDERS_LIMIT = 40
"""Values of one field that are compared, each with each."""
_NAME_WORDS = 3
"""Words of a value by which a subject is known instead of by its name."""
_TEXT_LIMIT = 60
"""Characters of a value in words."""
_NO_VALUE = re.compile(
    r"(?:(?:none|nil|n/?a|unknown|not (?:applicable|available|known))(?: \([^)]*\))?|see .+)\W*",
    re.IGNORECASE,
)
"""Values that say that there is none, or where else to look: no answer can be held to them."""
Item = TypeVar("Item")


def make_questions(
    documents: Sequence[Document],
    *,
    count: int,
    types: Iterable[str] = TYPES,
    seed: int = 0,
    about: int | None = None,
) -> MadeQuestions:
    """Return at most `count` questions of each type, drawn over all fields and documents alike.

    The same documents, seed and count give the same questions, in whatever order documents come.

    Args:
        about: so many documents, drawn at random, are asked about; None asks about all.
    """
    ordered = sorted(documents, key=lambda document: document.id)
    facts, left = _facts(ordered)
    texts = {document.id: document.text for document in ordered}
    chosen = _drawn(sorted({fact.document for fact in facts}), about, seed)
    made: list[MadeQuestion] = []
    short: dict[str, int] = {}
    for type_name in types:
        drawn = random.Random(f"{seed} {type_name}")  # noqa: S311 - a sample, no secret
        asked: dict[str, MadeQuestion] = {}
        for question in _MAKERS[type_name](facts, texts, drawn, left):
            if not question.documents <= chosen:
                continue
            if question.question in asked:
                left["a question that was made before"] += 1
            elif is_proved(question, texts):
                asked[question.question] = question
            else:
                left["a question whose check failed"] += 1
            if len(asked) == count:
                break
        made += sorted(asked.values(), key=lambda question: question.id)
        if len(asked) < count:
            short[type_name] = count - len(asked)
    return MadeQuestions(tuple(made), len(facts), dict(sorted(left.items())), short)


def _drawn(documents: Sequence[str], size: int | None, seed: int) -> frozenset[str]:
    if size is None or size >= len(documents):
        return frozenset(documents)
    return frozenset(random.Random(f"{seed} documents").sample(documents, size))  # noqa: S311


def _facts(documents: Sequence[Document]) -> tuple[list[Fact], Counter[str]]:
    """Return the facts of all documents whose subjects no other document has."""
    left: Counter[str] = Counter()
    found: list[Fact] = []
    for document in documents:
        facts, without = find_facts(document)
        found += facts
        left += without
        left["a document without a line that states a field"] += not facts
    owners: dict[str, set[str]] = defaultdict(set)
    for fact in found:
        owners[fact.subject].add(fact.document)
    kept = [fact for fact in found if len(owners[fact.subject]) == 1]
    left["a fact of a subject that several documents have"] += len(found) - len(kept)
    return kept, +left


def _single(
    facts: Sequence[Fact], texts: Mapping[str, str], drawn: random.Random, left: Counter[str]
) -> Iterator[MadeQuestion]:
    del texts
    for fact in _in_turn(_askable(facts, left), drawn, key=lambda fact: fact.field):
        question = f"What is the {fact.field} of {fact.subject}?"
        kind = "string" if measure(fact) is None else "number"
        yield _made("single_field", question, fact.value, kind, (fact,))


def _multi(
    facts: Sequence[Fact], texts: Mapping[str, str], drawn: random.Random, left: Counter[str]
) -> Iterator[MadeQuestion]:
    del texts, left
    subjects = _by(_askable(facts, Counter()), lambda fact: fact.subject)
    names = sorted(subjects)
    drawn.shuffle(names)
    for name in names:
        held = subjects[name]
        size = min(drawn.choice(_FIELDS_ASKED), len(held))
        if size < _FIELDS_ASKED[0]:
            continue
        chosen = drawn.sample(held, size)
        fields = [f"the {fact.field}" for fact in chosen]
        question = f"For {name}, give {', '.join(fields[:-1])} and {fields[-1]}."
        answers = tuple(fact.value for fact in chosen)
        yield _made("multi_field", question, answers, "list", tuple(chosen))


def _bridge(
    facts: Sequence[Fact], texts: Mapping[str, str], drawn: random.Random, left: Counter[str]
) -> Iterator[MadeQuestion]:
    """Ask of a subject by what is true of it alone, as in "where the Capital is Lima"."""
    del texts, left
    worded = [fact for fact in facts if measure(fact) is None and _names(fact.value)]
    shared = Counter((fact.field, fact.value.casefold()) for fact in worded)
    known = _by(
        (fact for fact in worded if shared[fact.field, fact.value.casefold()] == 1),
        lambda fact: fact.subject,
    )
    askable = [fact for fact in _askable(facts, Counter()) if fact.subject in known]
    for fact in _in_turn(askable, drawn, key=lambda fact: fact.field):
        others = [one for one in known[fact.subject] if _apart(one, fact)]
        if not others:
            continue
        by = drawn.choice(others)
        question = f"What is the {fact.field} where the {by.field} is {by.value}?"
        kind = "string" if measure(fact) is None else "number"
        more = {"bridge": {"doc": by.document, "text": by.line}}
        yield _made("bridge", question, fact.value, kind, (fact,), more=more)


def _names(value: str) -> bool:
    """Return whether a value is a name of few words, by which a subject could be known."""
    words = value.split()
    return len(words) <= _NAME_WORDS and all(word[0].isupper() and word.isalpha() for word in words)


def _apart(one: Fact, other: Fact) -> bool:
    """Return whether two facts of a subject say different things, and none names the subject."""
    if one.field == other.field or one.headings[-2:-1] == other.headings[-2:-1] != ():
        return False
    said = {one.value.casefold(), one.subject.casefold(), other.value.casefold()}
    return len(said) == len({one.value, one.subject, other.value}) and not any(
        word in one.subject.casefold() for word in one.value.casefold().split()
    )


def _comparison(
    facts: Sequence[Fact], texts: Mapping[str, str], drawn: random.Random, left: Counter[str]
) -> Iterator[MadeQuestion]:
    del texts
    by_field = _by(facts, lambda fact: fact.field)
    pairs: list[tuple[Fact, Fact]] = []
    for name in sorted(by_field):
        measured = [fact for fact in by_field[name] if measure(fact) is not None]
        drawn.shuffle(measured)
        some = combinations(measured[:_HOLDERS_LIMIT], 2)
        fitting = [pair for pair in some if comparable(*pair)]
        if not fitting:
            left["a field of which no two values have one unit and year"] += 1
        pairs += drawn.sample(fitting, min(len(fitting), _HOLDERS_LIMIT))
    for one, other in _in_turn(pairs, drawn, key=lambda pair: pair[0].field):
        values = {fact.subject: found.quantity.value for fact, found in _measured(one, other)}
        question = f"Which has the higher {one.field}, {one.subject} or {other.subject}?"
        more = {"values": {name: float(value) for name, value in values.items()}}
        answer = max(values, key=lambda name: values[name])
        yield _made("comparison", question, answer, "entity", (one, other), more=more)


def _unanswerable(
    facts: Sequence[Fact], texts: Mapping[str, str], drawn: random.Random, left: Counter[str]
) -> Iterator[MadeQuestion]:
    subjects = _by(facts, lambda fact: fact.subject)
    by_field = _by(facts, lambda fact: fact.field)
    fewest = max(_FEWEST_HOLDERS, _COMMON_SHARE * len(subjects))
    common = [name for name in sorted(by_field) if len(by_field[name]) >= fewest]
    left["a field that too few subjects have to miss it in another"] += len(by_field) - len(common)
    lacking = [
        (name, subject)
        for name in common
        for subject in sorted(subjects.keys() - {fact.subject for fact in by_field[name]})
    ]
    for name, subject in _in_turn(lacking, drawn, key=lambda pair: pair[0]):
        near = subjects[subject][0]
        if _may_state(name, texts[near.document], subjects[subject]):
            left["a lack that the document may make up for elsewhere"] += 1
            continue
        question = f"What is the {name} of {subject}?"
        more = {"near": {"doc": near.document}}
        yield _made("unanswerable_field", question, None, "abstain", more=more)


def _askable(facts: Sequence[Fact], left: Counter[str]) -> list[Fact]:
    """Return the facts whose value an answer can be held to."""
    valued = [fact for fact in facts if not _NO_VALUE.fullmatch(fact.value)]
    kept = [fact for fact in valued if measure(fact) is not None or _is_short(fact.value)]
    left["a value that says there is none, or where to look"] += len(facts) - len(valued)
    left[f"a text of several parts, or of more than {_TEXT_LIMIT} characters"] += len(valued) - len(
        kept
    )
    return kept


def _is_short(value: str) -> bool:
    return len(value) <= _TEXT_LIMIT and not re.search(r"[;:]", value)


def _may_state(name: str, text: str, held: Sequence[Fact]) -> bool:
    """Return whether a document speaks of a field in some other way than by a line of its own.

    Where rows of one document have several subjects, only the row itself counts.
    """
    parts = [part for part in re.split(r" - | \(|\)", name) if part]
    if any(part.casefold() in fact.field.casefold() for part in parts for fact in held):
        return True
    own = " ".join(fact.line for fact in held) if _is_row(held) else text
    return parts[-1].casefold() in own.casefold()


def _is_row(held: Sequence[Fact]) -> bool:
    return len(held) > 1 and len({fact.line for fact in held}) == 1


def _made(
    type_name: str,
    question: str,
    answer: str | tuple[str, ...] | None,
    answer_type: str,
    evidence: tuple[Fact, ...] = (),
    *,
    more: Mapping[str, Any] | None = None,
) -> MadeQuestion:
    name = f"{type_name}-{content_id(type_name, question)[:10]}"
    return MadeQuestion(name, type_name, question, answer, answer_type, evidence, more or {})


def _measured(*facts: Fact) -> Iterator[tuple[Fact, Measured]]:
    for fact in facts:
        found = measure(fact)
        if found is not None:
            yield fact, found


def _by(facts: Iterable[Fact], key: Callable[[Fact], str]) -> dict[str, list[Fact]]:
    found: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        found[key(fact)].append(fact)
    return found


def _in_turn(
    items: Iterable[Item], drawn: random.Random, *, key: Callable[[Item], str]
) -> Iterator[Item]:
    """Yield the items in a drawn order, the keys taking turns, so that none outweighs others."""
    queues: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        queues[key(item)].append(item)
    for queue in queues.values():
        drawn.shuffle(queue)
    names = sorted(queues)
    drawn.shuffle(names)
    while names:
        for name in names:
            yield queues[name].pop()
        names = [name for name in names if queues[name]]


_MAKERS = dict(zip(TYPES, (_single, _multi, _bridge, _comparison, _unanswerable), strict=True))
