from __future__ import annotations

import json
from pathlib import Path

import pytest

from chunking.errors import InputError
from eval.results import read_results, write_results
from eval.searching.retrieval import QuestionResult

RESULT = QuestionResult("q-1", "t", True, {"recall@5": 0.5}, 0.7, 12.0, 9.0, ("a",))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write_results([RESULT], path)

    assert read_results(path) == {"q-1": {"recall@5": 0.5}}
    assert json.loads(path.read_text())["documents"] == ["a"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.jsonl"
    write_results([RESULT], path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match="No space left"):
        write_results([], path)

    assert read_results(path) == {"q-1": {"recall@5": 0.5}}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"id": "1", "metrics": {}}\n{"id": "1", "metrics": {}}\n', ":2: the question '1'"),
        ('{"id": "1"}\n', ":1: metrics"),
        ("no json\n", ":1: no JSON"),
    ],
)
def test_a_line_that_is_no_result_is_named(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text(text)

    with pytest.raises(InputError, match=told):
        read_results(path)
