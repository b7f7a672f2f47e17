"""Results by question as JSON lines: written whole or not at all, and read back to be compared."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from chunking.errors import InputError
from eval.datasets import read_lines
from eval.searching.retrieval import QuestionResult
from eval.written import write_text


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore")
    id: str
    metrics: Mapping[str, float]


def write_results(results: Sequence[QuestionResult], path: Path) -> None:
    """Write one line for each question; a process that dies leaves what was there before.

    Raises:
        InputError: the file cannot be written.
    """
    lines = (json.dumps(asdict(result), ensure_ascii=False) + "\n" for result in results)
    write_text("".join(lines), path)


def read_results(path: Path) -> dict[str, Mapping[str, float]]:
    """Return the metrics of a file of results, by question.

    Raises:
        InputError: it cannot be read, or a line is no result (named with the file).
    """
    found: dict[str, Mapping[str, float]] = {}
    for place, line in read_lines(path, _Line):
        if line.id in found:
            raise InputError(f"{place}: the question {line.id!r} has a line already")
        found[line.id] = line.metrics
    return found
