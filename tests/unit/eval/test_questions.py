from __future__ import annotations

import json
from pathlib import Path

import pytest

from chunking.errors import InputError
from eval.questions import Evidence, Question, load_questions, sample_questions

LINE = {
    "id": "q-1",
    "type": "single_field",
    "question": "What is the median age in India?",
    "answer": "30.1 years",
    "evidence": [{"doc": "in.json", "path": "People|Median age", "text": "30.1 years"}],
}


def write(folder: Path, *lines: str) -> Path:
    path = folder / "questions.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_question_keeps_its_evidence_and_may_have_more_fields(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps(LINE), "", json.dumps({**LINE, "id": "q-2", "evidence": []}))

    first, second = load_questions(path)

    assert first.evidence == (Evidence("in.json", "30.1 years"),)
    assert (second.id, second.evidence) == ("q-2", ())


@pytest.mark.parametrize("line", ["{", "[]", '{"id": "q-1"}', '"text"'])
def test_a_line_that_is_no_question_is_named(tmp_path: Path, line: str) -> None:
    path = write(tmp_path, json.dumps(LINE), line)

    with pytest.raises(InputError, match=r"questions\.jsonl:2"):
        load_questions(path)


def test_a_missing_file_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.jsonl"):
        load_questions(tmp_path / "absent.jsonl")


def made(count: int) -> tuple[Question, ...]:
    return tuple(
        Question(str(number), "even" if number % 2 == 0 else "odd", "?", ())
        for number in range(count)
    )


def test_the_same_seed_draws_the_same_sample_of_the_wanted_type() -> None:
    questions = made(40)

    drawn = sample_questions(questions, type_name="even", size=5, seed=3)

    assert drawn == sample_questions(questions, type_name="even", size=5, seed=3)
    assert drawn != sample_questions(questions, type_name="even", size=5, seed=4)
    assert len(set(drawn)) == 5
    assert {question.type for question in drawn} == {"even"}


def test_without_a_size_all_questions_of_the_type_are_taken_in_order() -> None:
    drawn = sample_questions(made(6), type_name=None, size=None, seed=0)

    assert drawn == made(6)


def test_a_sample_larger_than_the_set_is_refused_with_both_numbers() -> None:
    with pytest.raises(InputError, match=r"3 questions of type odd, 4 wanted"):
        sample_questions(made(6), type_name="odd", size=4, seed=0)
