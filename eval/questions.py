"""Questions with known answers, and the gold that supports them: documents, texts or spans."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chunking.errors import InputError


@dataclass(frozen=True, slots=True)
class Evidence:
    """A text that must stand in the context, and the document it stands in."""

    document: str
    text: str


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start:end` of a document; text that occurs twice is told apart by its place."""

    document: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a set with its gold; without any it cannot be answered from the corpus.

    Attributes:
        evidence: texts that must stand word for word in what is retrieved.
        grades: how relevant documents are, by id; 0 and below is judged and not relevant.
        spans: excerpts that must be covered.
    """

    id: str
    type: str
    question: str
    evidence: tuple[Evidence, ...] = ()
    grades: Mapping[str, int] = field(default_factory=dict, hash=False)
    spans: tuple[Span, ...] = ()

    @property
    def relevant(self) -> frozenset[str]:
        """The ids of the documents graded above 0."""
        return frozenset(document for document, grade in self.grades.items() if grade > 0)

    @property
    def answerable(self) -> bool:
        """Whether the corpus holds anything to find."""
        return bool(self.evidence or self.relevant or self.spans)


class _EvidenceLine(BaseModel):
    model_config = ConfigDict(extra="ignore")
    document: str = Field(alias="doc")
    text: str


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore")
    id: str
    type: str
    question: str
    evidence: tuple[_EvidenceLine, ...] = ()


def load_questions(path: Path) -> tuple[Question, ...]:
    """Return the questions of a JSON-lines file: `{id, type, question, evidence: [{doc, text}]}`.

    Raises:
        InputError: the file cannot be read, or a line is no such object; names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read questions from {path}", param="questions") from error
    return tuple(
        _parse(line, place=f"{path.name}:{number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    )


def _parse(line: str, *, place: str) -> Question:
    try:
        parsed = _Line.model_validate(json.loads(line))
    except (ValueError, ValidationError) as error:
        raise InputError(f"{place} is no question", param="questions") from error
    evidence = tuple(Evidence(item.document, item.text) for item in parsed.evidence)
    return Question(parsed.id, parsed.type, parsed.question, evidence)


def sample_questions(
    questions: Sequence[Question], *, type_name: str | None, size: int | None, seed: int
) -> tuple[Question, ...]:
    """Return a random sample of the questions of one type; the same seed draws the same ones.

    Raises:
        InputError: there are fewer such questions than asked for, or none of the type.
    """
    wanted = [question for question in questions if type_name in (None, question.type)]
    if type_name is not None and not wanted:
        types = sorted({question.type for question in questions})
        hint = f"its types: {', '.join(types)}"
        raise InputError(f"no question of type {type_name!r}", hint=hint, param="type")
    if size is None:
        return tuple(wanted)
    if size > len(wanted):
        raise InputError(
            f"{len(wanted)} questions of type {type_name or 'any'}, {size} wanted", param="sample"
        )
    return tuple(random.Random(seed).sample(wanted, size))  # noqa: S311 - a sample, no secret
