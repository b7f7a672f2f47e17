"""Reads data sets in the layout of BEIR: corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from chunking.document import Document
from chunking.errors import InputError
from eval.datasets import RetrievalSet, read_lines, read_text
from eval.questions import Evidence, Question

CORPUS = "corpus.jsonl"
QUERIES = "queries.jsonl"
JUDGEMENTS = "qrels"
_COLUMNS = 3
_TYPE = "question"
"""The type of a query that states none."""


class _DocumentLine(BaseModel):
    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)
    id: str = Field(alias="_id", min_length=1)
    text: str
    title: str = ""


class _Metadata(BaseModel):
    """What some sets state of a query besides: its type, and the sentences that answer it."""

    model_config = ConfigDict(extra="ignore")
    type: str = _TYPE
    gold_sentences: Mapping[str, tuple[str, ...]] = {}


class _QueryLine(BaseModel):
    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)
    id: str = Field(alias="_id", min_length=1)
    text: str = Field(min_length=1)
    metadata: _Metadata | None = None


def is_beir(folder: Path) -> bool:
    """Return whether a folder lies as BEIR's data sets do."""
    return (
        (folder / CORPUS).is_file()
        and (folder / QUERIES).is_file()
        and any((folder / JUDGEMENTS).glob("*.tsv"))
    )


def load_beir(folder: Path, *, split: str) -> RetrievalSet:
    """Return the data set of a folder; only queries with judgements of the split are asked.

    Raises:
        InputError: a file cannot be read, a line is wrong (named with its file), there is no such
            split, or a judgement is of a document or query that is not there.
    """
    documents = _documents(folder)
    judged = _judgements(folder, split)
    questions = []
    for place, line in read_lines(folder / QUERIES, _QueryLine):
        if (grades := judged.pop(line.id, None)) is not None:
            _check_graded(grades, documents, place=place)
            questions.append(_question(line, grades))
    if judged:
        raise InputError(
            f"{JUDGEMENTS}/{split}.tsv judges {len(judged)} queries that {QUERIES} does not hold, "
            f"the first {next(iter(judged))!r}",
            param="dataset",
        )
    return RetrievalSet(folder.name, "beir", tuple(documents.values()), tuple(questions))


def _documents(folder: Path) -> dict[str, Document]:
    found: dict[str, Document] = {}
    for place, line in read_lines(folder / CORPUS, _DocumentLine):
        if line.id in found:
            raise InputError(f"{place}: the id {line.id!r} is that of a line before")
        title = " ".join(line.title.split())
        # A document of a title alone is found by it, as in BEIR's own runs.
        text = line.text if line.text.strip() else title or line.id
        found[line.id] = Document(line.id, text, title or line.id, source=place)
    return found


def _question(line: _QueryLine, grades: Mapping[str, int]) -> Question:
    metadata = line.metadata or _Metadata()
    evidence = tuple(
        Evidence(document, sentence)
        for document, sentences in metadata.gold_sentences.items()
        for sentence in sentences
    )
    return Question(line.id, metadata.type, line.text, evidence, grades)


def _check_graded(
    grades: Mapping[str, int], documents: Mapping[str, Document], *, place: str
) -> None:
    missing = [document for document in grades if document not in documents]
    if missing:
        raise InputError(
            f"{place}: judged by document {missing[0]!r}, which {CORPUS} does not hold",
            param="dataset",
        )


def _judgements(folder: Path, split: str) -> dict[str, dict[str, int]]:
    """Return the grades of documents by query."""
    path = folder / JUDGEMENTS / f"{split}.tsv"
    if not path.is_file():
        there = sorted(one.stem for one in path.parent.glob("*.tsv"))
        raise InputError(
            f"{folder.name} has no split {split!r}",
            hint=f"its splits: {', '.join(there)}",
            param="split",
        )
    judged: dict[str, dict[str, int]] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        fields = line.split("\t")
        if not line.strip() or (number == 1 and not _is_grade(fields[-1])):
            continue  # the header
        if len(fields) != _COLUMNS or not _is_grade(fields[-1]):
            raise InputError(
                f"{path.name}:{number}: not query, document and grade between tabs",
                param="dataset",
            )
        query, document, grade = fields
        judged.setdefault(query, {})[document] = int(grade)
    return judged


def _is_grade(field: str) -> bool:
    return field.strip().removeprefix("-").isdecimal()
