"""Questions with known answers and the exact evidence that supports them."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chunking.errors import InputError


@dataclass(frozen=True, slots=True)
class Evidence:
    """A text that must stand in the context, and the document it stands in."""

    document: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a set; without evidence it cannot be answered from the corpus."""

    id: str
    type: str
    question: str
    evidence: tuple[Evidence, ...]


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
        InputError: there are fewer such questions than asked for.
    """
    wanted = [question for question in questions if type_name in (None, question.type)]
    if size is None:
        return tuple(wanted)
    if size > len(wanted):
        raise InputError(
            f"{len(wanted)} questions of type {type_name or 'any'}, {size} wanted", param="sample"
        )
    return tuple(random.Random(seed).sample(wanted, size))  # noqa: S311 - a sample, no secret
