"""Reads data sets of excerpts: questions_df.csv and corpora/*.md, as in Chroma's benchmark.

Source: Smith and Troynikov, "Evaluating Chunking Strategies for Retrieval", Chroma, 2024,
<https://research.trychroma.com/evaluating-chunking>.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, RootModel

from chunking.document import Document
from chunking.errors import InputError
from eval.datasets import RetrievalSet, parse, read_text
from eval.questions import Question, Span
from ingest.readers.plain import read_markdown

QUESTIONS = "questions_df.csv"
CORPORA = "corpora"
_COLUMNS = ("question", "references", "corpus_id")


class _Reference(BaseModel):
    model_config = ConfigDict(extra="ignore")
    content: str
    start_index: int
    end_index: int


class _References(RootModel[tuple[_Reference, ...]]):
    """The JSON list of the column `references`."""


def is_excerpts(folder: Path) -> bool:
    """Return whether a folder lies as the benchmark of chunking does."""
    return (folder / QUESTIONS).is_file() and any((folder / CORPORA).glob("*.md"))


def load_excerpts(folder: Path) -> RetrievalSet:
    """Return the data set of a folder; a question's type is the corpus it is about.

    Raises:
        InputError: a file cannot be read, or an excerpt does not stand where its row says.
    """
    paths = sorted((folder / CORPORA).glob("*.md"))
    documents = {path.stem: _document(path) for path in paths}
    reader = csv.DictReader(io.StringIO(read_text(folder / QUESTIONS), newline=""), strict=True)
    questions = []
    try:
        for ordinal, row in enumerate(reader):
            questions.append(_question(row, documents, ordinal, f"{QUESTIONS}:{reader.line_num}"))
    except csv.Error as error:
        message = f"{QUESTIONS}:{reader.line_num}: no CSV: {error}"
        raise InputError(message, param="dataset") from error
    return RetrievalSet(folder.name, "excerpts", tuple(documents.values()), tuple(questions))


def _document(path: Path) -> Document:
    """Return a corpus as ingestion of its folder would: named as the file, and of its very text."""
    text = read_text(path)
    reading = read_markdown(text.encode(), name=path.name)
    if reading.text != text:
        # Ingestion makes line ends alike; the places of excerpts would point beside them.
        raise InputError(
            f"{path.name}: has a byte order mark, NUL or other line ends than \\n",
            hint="make its line ends \\n, and its excerpts' places those of that text",
            param="dataset",
        )
    return Document(
        path.name,
        text,
        reading.title or path.stem,
        source=path.name,
        media_type="text/markdown",
        sections=reading.sections,
    )


def _question(
    row: Mapping[str, str | None], documents: Mapping[str, Document], ordinal: int, place: str
) -> Question:
    text, stated, corpus = (row.get(column) for column in _COLUMNS)
    if text is None or stated is None or corpus is None:
        raise InputError(f"{place}: not the columns {', '.join(_COLUMNS)}", param="dataset")
    if corpus not in documents:
        raise InputError(f"{place}: no {CORPORA}/{corpus}.md", param="dataset")
    whole = documents[corpus].text
    spans = []
    for one in parse(stated, _References, place=place).root:
        if not one.content or whole[one.start_index : one.end_index] != one.content:
            raise InputError(
                f"{place}: {one.start_index}:{one.end_index} of {corpus} is not the excerpt",
                param="dataset",
            )
        spans.append(Span(documents[corpus].id, one.start_index, one.end_index))
    return Question(f"{corpus}-{ordinal:04}", corpus, text, spans=tuple(spans))
