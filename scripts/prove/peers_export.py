"""Exports the cases of the peer suite: Factbook questions with the hits of Windowfit's search."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from chunking.document import Chunk
from chunking.errors import StoreError
from chunking.sensitivity import read_sensitivity
from eval.questions import Question, load_questions
from retrieval.records import Hit
from retrieval.settings import IndexSettings
from scripts.prove.peers_cases import Case, Source, write_cases
from serve.runtime import Runtime
from serve.settings import ServeSettings

CANDIDATE_COUNT: Final = 200
_LOCK_TRIES: Final = 30
_LOCK_SECONDS: Final = 10.0
"""The embedded engine lets one process in at a time; another check may hold it for minutes."""


def export_cases(path: Path, questions: Path, *, size: int, seed: int) -> None:
    """Write `size` questions, all types in turn, each with the chunks that search ranks first.

    Raises:
        StoreError: the index is missing, or stays held by another process.
    """
    drawn = draw_evenly(load_questions(questions), size=size, seed=seed)
    runtime = _open_runtime()
    try:
        searcher = runtime.searcher(ServeSettings.load().collection)
        cases = [
            _case(question, searcher.search(question.question, limit=CANDIDATE_COUNT))
            for question in drawn
        ]
    finally:
        runtime.engine.close()
    write_cases(path, cases)


def draw_evenly(questions: Iterable[Question], *, size: int, seed: int) -> list[Question]:
    """Return a sample in which every type takes turns; the same seed draws the same questions."""
    by_type: dict[str, list[Question]] = {}
    for question in questions:
        by_type.setdefault(question.type, []).append(question)
    for members in by_type.values():
        random.Random(seed).shuffle(members)
    drawn: list[Question] = []
    while len(drawn) < size and any(by_type.values()):
        drawn += [members.pop() for _, members in sorted(by_type.items()) if members]
    return drawn[:size]


def hit_of(source: Source) -> Hit:
    """Return the hit that a source was exported from."""
    fields: dict[str, Any] = {name: _frozen(value) for name, value in source.hit.items()}
    chunk = fields["chunk"]
    label = read_sensitivity(chunk.get("sensitivity"))
    return Hit(**{**fields, "chunk": Chunk(**{**chunk, "sensitivity": label})})


def _case(question: Question, hits: Sequence[Hit]) -> Case:
    sources = tuple(
        Source(hit.chunk.id, hit.chunk.breadcrumb, hit.chunk.text, asdict(hit)) for hit in hits
    )
    return Case(question.id, question.type, question.question, sources)


def _frozen(value: object) -> object:
    """Return a JSON value as the frozen dataclasses hold it: lists are tuples."""
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    if isinstance(value, Mapping):
        return {key: _frozen(held) for key, held in value.items()}
    return value


def _open_runtime() -> Runtime:
    for attempt in range(_LOCK_TRIES):
        try:
            return Runtime.open(IndexSettings.load(), ServeSettings.load(), secrets=os.environ)
        except StoreError:
            if attempt == _LOCK_TRIES - 1:
                raise
            time.sleep(_LOCK_SECONDS)
    raise AssertionError("the loop returns or raises")
