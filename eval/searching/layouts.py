"""Recognises a retrieval data set by how its files lie."""

from __future__ import annotations

from pathlib import Path

from chunking.errors import InputError
from eval.datasets import RetrievalSet
from eval.questions import load_questions
from eval.searching.beir import is_beir, load_beir
from eval.searching.excerpts import is_excerpts, load_excerpts

DEFAULT_SPLIT = "test"

_HINT = (
    "give a folder with corpus.jsonl, queries.jsonl and qrels/*.tsv (BEIR), a folder with "
    "questions_df.csv and corpora/*.md (excerpts), or a .jsonl file of questions with evidence"
)


def load_retrieval_set(path: Path, *, split: str = DEFAULT_SPLIT) -> RetrievalSet:
    """Return the data set of a folder or file.

    Raises:
        InputError: it is of no known layout, has no questions, or a file or line of it is wrong.
    """
    found = _load(path, split)
    if not found.questions:
        raise InputError(f"{path} holds no questions", param="dataset")
    seen: set[str] = set()
    for question in found.questions:
        if question.id in seen:
            raise InputError(f"{path.name}: two questions have the id {question.id!r}")
        seen.add(question.id)
    return found


def _load(path: Path, split: str) -> RetrievalSet:
    if path.is_file() and path.suffix == ".jsonl":
        return RetrievalSet(path.stem, "questions", None, load_questions(path))
    folder = path.resolve()  # so that "." has a name, too
    if is_beir(folder):
        return load_beir(folder, split=split)
    if is_excerpts(folder):
        return load_excerpts(folder)
    what = "is of no known layout" if path.exists() else "does not exist"
    raise InputError(f"data set {path} {what}", hint=_HINT, param="dataset")
