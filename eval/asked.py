"""Reads questions with their right answers, and refuses those that could not be scored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from chunking.errors import InputError
from eval.cells import AnswerType, AskedQuestion
from eval.datasets import read_lines, read_text
from eval.questions import Evidence, Question, sample_questions
from eval.scoring.quantities import find_quantities, find_years

_Text = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]
_NEAR = 0.85
"""From this likeness on a field is a slip of another: "tolerence", and not "answer_text"."""
_Members = Annotated[tuple[_Text, ...], Field(min_length=1)]


class _Lenient(BaseModel):
    """Fields that others have added are passed over; one that is nearly ours is a slip."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _name_slips(cls, value: Any) -> Any:
        known = {field.alias or name for name, field in cls.model_fields.items()}
        given = set(value) if isinstance(value, dict) else set()
        for key in sorted(given - known):
            # What stands beside the field that it is near to is a field of its own.
            near = get_close_matches(key, known - given, n=1, cutoff=_NEAR)
            if near:
                raise ValueError(f"unknown field {key!r}: did you mean {near[0]!r}?")
        return value


class _Evidence(_Lenient):
    document: _Text = Field(alias="doc")
    text: _Text


class _Near(_Lenient):
    document: _Text = Field(alias="doc")


class _Line(_Lenient):
    id: _Text
    type: _Text
    question: _Text
    answer: _Text | _Members | None
    answer_type: AnswerType | None = None
    stale_answer: _Text | _Members | None = None
    tolerance: Annotated[Decimal, Field(ge=0, lt=1)] | None = None
    evidence: tuple[_Evidence, ...] = ()
    near: _Near | None = None

    @property
    def documents(self) -> tuple[str, ...]:
        """The documents that it asks about."""
        stated = (one.document for one in self.evidence)
        return tuple(dict.fromkeys(stated)) or ((self.near.document,) if self.near else ())

    @property
    def kind(self) -> AnswerType:
        """The type that is stated, or the one that the answer looks like."""
        if self.answer_type is not None:
            return self.answer_type
        if self.answer is None:
            return "abstain"
        return "string" if isinstance(self.answer, str) else "set"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.kind == "abstain") != (self.answer is None):
            raise ValueError("answer_type abstain goes with the answer null, and no other does")
        if (self.kind in {"set", "list"}) != isinstance(self.answer, tuple):
            raise ValueError(f"answer_type {self.kind} goes with another form of answer")
        if self.kind == "number" and not _has_number(self.answer):
            raise ValueError("answer_type number has an answer without one")
        if self.stale_answer is not None and isinstance(self.stale_answer, tuple) != isinstance(
            self.answer, tuple
        ):
            raise ValueError("stale_answer has another form than answer")
        return self


def _has_number(answer: object) -> bool:
    return isinstance(answer, str) and bool(find_quantities(answer) or find_years(answer))


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions with what is right, in the order in which they are asked.

    Attributes:
        sha256: of the file.
        evidence: by question, what must stand in the context.
    """

    name: str
    sha256: str
    asked: tuple[AskedQuestion, ...]
    evidence: dict[str, Question]


def load_asked(path: Path) -> QuestionSet:
    """Return the questions of a JSON-lines file, those on the same documents next to each other.

    A line is `{id, type, question, answer}`, where no answer is null, and may have `answer_type`,
    `stale_answer`, `tolerance`, `evidence: [{doc, text}]` and, where nothing answers, the document
    in which that is missing, `near: {doc}`. Questions are grouped by these documents, so that a
    server that remembers prompts reads each of them once.

    Raises:
        InputError: the file cannot be read, holds nothing, or a line is no such object or repeats
            an id; names the line and the field.
    """
    digest = hashlib.sha256(read_text(path).encode()).hexdigest()
    pairs = list(_read(path))
    if not pairs:
        raise InputError(f"{path} holds no question", param="questions")
    # Sorted as documents stand in a prompt, so that those of one question begin another's.
    pairs.sort(key=lambda pair: (sorted(pair[0].documents), pair[0].id))
    asked = tuple(one for one, _ in pairs)
    return QuestionSet(path.name, digest, asked, {question.id: question for _, question in pairs})


def sample_asked(
    questions: QuestionSet, *, types: Sequence[str], size: int | None, seed: int
) -> tuple[AskedQuestion, ...]:
    """Return so many questions of each of the types, drawn at random; all of them without a size.

    Raises:
        InputError: there are fewer of a type, or none.
    """
    known = dict.fromkeys(question.type for question in questions.asked)
    drawn: set[str] = set()
    for type_name in types or known:
        of_type = sample_questions(
            tuple(questions.evidence.values()), type_name=type_name, size=size, seed=seed
        )
        drawn.update(question.id for question in of_type)
    return tuple(question for question in questions.asked if question.id in drawn)


def _read(path: Path) -> Iterator[tuple[AskedQuestion, Question]]:
    places: dict[str, str] = {}
    for place, line in read_lines(path, _Line):
        if line.id in places:
            raise InputError(
                f"{place}: the id {line.id!r} stands in {places[line.id]} already",
                hint="give every question an id of its own",
                param="questions",
            )
        places[line.id] = place
        evidence = tuple(Evidence(one.document, one.text) for one in line.evidence)
        asked = AskedQuestion(
            id=line.id,
            type=line.type,
            question=line.question,
            answer_type=line.kind,
            expected=line.answer,
            stale=line.stale_answer,
            documents=line.documents,
            tolerance=line.tolerance,
        )
        yield asked, Question(line.id, line.type, line.question, evidence)
