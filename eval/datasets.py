"""What a retrieval data set is, whatever files it came from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from chunking.document import Document, content_id
from chunking.errors import InputError
from eval.questions import Evidence, Question, Span
from retrieval.fingerprint import IndexFingerprint

Layout = Literal["beir", "excerpts", "questions"]
"""How the files lie, and with that, what is gold: graded documents, character spans, or texts."""

Line = TypeVar("Line", bound=BaseModel)

_NAME_LIMIT = 64
_DIGEST_DIGITS = 12


@dataclass(frozen=True, slots=True)
class RetrievalSet:
    """Questions with their gold, and the documents they are asked of.

    Attributes:
        name: that of its folder or file.
        documents: what to ingest; None where the questions are about a collection that is there.
    """

    name: str
    layout: Layout
    documents: tuple[Document, ...] | None
    questions: tuple[Question, ...]

    def collection_name(self, fingerprint: IndexFingerprint) -> str:
        """Return the name of the set's own collection: another for each content and fingerprint.

        So that a second run finds what the first one embedded, and two configurations lie side by
        side to be compared.
        """
        versions = sorted(f"{one.id} {one.version}" for one in self.documents or ())
        made_by = tuple(map(str, astuple(fingerprint)))
        digest = content_id(*made_by, *versions)[:_DIGEST_DIGITS]
        name = re.sub(r"[^A-Za-z0-9-]+", "-", self.name)[:_NAME_LIMIT].strip("-")
        return f"eval-{name}-{digest}"


def gold_documents(questions: Iterable[Question]) -> frozenset[str]:
    """Return the ids of all documents that hold gold."""
    found: set[str] = set()
    for question in questions:
        found |= question.relevant
        found.update(evidence.document for evidence in question.evidence)
        found.update(span.document for span in question.spans)
    return frozenset(found)


def resolve_gold(
    questions: Iterable[Question], documents: Iterable[str]
) -> tuple[tuple[Question, ...], frozenset[str]]:
    """Return the questions with gold named as a collection names it, and the gold it lacks.

    A collection may put folders before the names that the questions use.
    """
    asked = tuple(questions)
    held = _by_ending(documents)
    named = {name: held[name] for name in gold_documents(asked) if name in held}
    return tuple(_renamed(question, named) for question in asked), gold_documents(asked) - set(held)


def _by_ending(documents: Iterable[str]) -> dict[str, str]:
    """Return documents by every end of their ids that begins after a slash; whole ids win."""
    exact = {document: document for document in documents}
    ends = {
        document[place + 1 :]: document
        for document in sorted(exact, reverse=True)
        for place, character in enumerate(document)
        if character == "/"
    }
    return {**ends, **exact}


def _renamed(question: Question, named: Mapping[str, str]) -> Question:
    def name(document: str) -> str:
        return named.get(document, document)

    return replace(
        question,
        evidence=tuple(Evidence(name(one.document), one.text) for one in question.evidence),
        grades={name(document): grade for document, grade in question.grades.items()},
        spans=tuple(Span(name(one.document), one.start, one.end) for one in question.spans),
    )


def read_text(path: Path) -> str:
    """Return a file's text with its line ends as they are, so that places in it stay true.

    Raises:
        InputError: it cannot be read, or is no UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", param="dataset") from error
    except UnicodeDecodeError as error:
        message = f"{path}: no UTF-8 at byte {error.start}"
        raise InputError(message, param="dataset") from error


def read_lines(path: Path, kind: type[Line]) -> Iterator[tuple[str, Line]]:
    """Yield the objects of a JSON-lines file with their places, as in "corpus.jsonl:3".

    Raises:
        InputError: a line is no such object; names the file and the line.
    """
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            place = f"{path.name}:{number}"
            yield place, parse(line, kind, place=place)


def parse(line: str, kind: type[Line], *, place: str) -> Line:
    """Return the object of a line of JSON.

    Raises:
        InputError: it is no such object; names the place and the field.
    """
    try:
        value: Any = json.loads(line)
        return kind.model_validate(value)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, problem["loc"])) or "the line"
        raise InputError(f"{place}: {field}: {problem['msg']}", param="dataset") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: no JSON", param="dataset") from error
