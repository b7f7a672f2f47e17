from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from chunking.errors import InputError
from eval.asked import load_asked, sample_asked
from tests.unit.eval.retrieval_sets import write_lines

LINE: dict[str, Any] = {
    "id": "1",
    "type": "t",
    "question": "How long is it?",
    "answer": "5 km",
    "answer_type": "number",
    "evidence": [{"doc": "b", "text": "5 km"}],
}


def lines(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Return lines with changes; `...` takes a field away."""
    made = [{**LINE, "id": str(place), **change} for place, change in enumerate(changes)]
    return [{name: value for name, value in line.items() if value is not ...} for line in made]


def test_questions_on_the_same_documents_follow_each_other(tmp_path: Path) -> None:
    path = tmp_path / "qa.jsonl"
    of = [{"evidence": [{"doc": name, "text": "x"}]} for name in "bab"]
    write_lines(path, lines(*of))

    loaded = load_asked(path)

    assert [question.id for question in loaded.asked] == ["1", "0", "2"]
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert loaded.evidence["1"].evidence[0].document == "a"


def test_the_type_of_an_answer_is_told_from_it_where_none_is_stated(tmp_path: Path) -> None:
    path = tmp_path / "qa.jsonl"
    answers: list[Any] = [None, "Lima", ["Chad", "Peru"]]
    write_lines(path, lines(*({"answer": answer, "answer_type": ...} for answer in answers)))

    types = [question.answer_type for question in load_asked(path).asked]

    assert types == ["abstain", "string", "set"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"answer": ...}, "qa.jsonl:2: answer"),
        ({"question": " "}, "qa.jsonl:2: question"),
        ({"id": "0"}, "qa.jsonl:2: the id '0' stands in qa.jsonl:1"),
        ({"answer": "many"}, "without one"),
        ({"answer": ["5 km"]}, "another form"),
        ({"answer": None}, "abstain"),
        ({"answer_type": "charm"}, "qa.jsonl:2: answer_type"),
        ({"tolerence": 0.5}, "unknown field 'tolerence': did you mean 'tolerance'"),
        ({"stale_anwser": "4 km"}, "did you mean 'stale_answer'"),
        ({"evidence": ..., "evidense": []}, "did you mean 'evidence'"),
        ({"answer_type": ..., "answertype": "number"}, "did you mean 'answer_type'"),
        ({"evidence": [{"doc": "a"}]}, r"qa.jsonl:2: evidence\.0\.text"),
        ({"tolerance": 1}, "qa.jsonl:2: tolerance"),
        ({"stale_answer": ["4 km"]}, "stale_answer has another form than answer"),
    ],
)
def test_a_line_that_cannot_be_scored_is_named_with_its_field(
    tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    path = tmp_path / "qa.jsonl"
    write_lines(path, lines({}, change))

    with pytest.raises(InputError, match=told):
        load_asked(path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "qa.jsonl"
    path.write_text("\n")

    with pytest.raises(InputError, match="no question"):
        load_asked(path)


def test_so_many_of_each_type_are_drawn_and_the_order_stays(tmp_path: Path) -> None:
    path = tmp_path / "qa.jsonl"
    write_lines(path, lines(*({"type": "ab"[place % 2]} for place in range(20))))
    loaded = load_asked(path)

    drawn = sample_asked(loaded, types=(), size=3, seed=1)
    one_type = sample_asked(loaded, types=("a",), size=None, seed=1)

    assert sorted(question.type for question in drawn) == ["a"] * 3 + ["b"] * 3
    assert drawn == sample_asked(loaded, types=(), size=3, seed=1)
    assert list(drawn) == [question for question in loaded.asked if question in drawn]
    assert len(one_type) == 10
    with pytest.raises(InputError, match="no question of type 'c'"):
        sample_asked(loaded, types=("c",), size=None, seed=1)


def test_fields_of_others_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "qa.jsonl"
    others = {"path": "a|b", "values": [1], "year": 2025, "answers": ["5 km"], "answer_text": "x"}
    evidence = [{"doc": "b", "text": "5 km", "path": "a|b", "docs": 1}]
    write_lines(path, lines({**others, "evidence": evidence}))

    assert [question.id for question in load_asked(path).asked] == ["0"]
