from __future__ import annotations

from pathlib import Path

import pytest

from chunking.errors import InputError
from eval.questions import Evidence, Span
from eval.searching.layouts import load_retrieval_set
from tests.unit.eval.retrieval_sets import write_beir, write_excerpts, write_lines


def test_a_folder_of_beir_holds_documents_and_the_queries_that_are_judged(tmp_path: Path) -> None:
    folder = write_beir(
        tmp_path / "tiny",
        queries={"q-peru": "Lima?", "unjudged": "?"},
        judged={"q-peru": {"peru": 2}},
    )

    found = load_retrieval_set(folder)

    assert (found.name, found.layout) == ("tiny", "beir")
    assert found.documents is not None
    assert [document.id for document in found.documents] == ["peru", "chad", "keys", "doors"]
    assert found.documents[0].title == "Peru"
    [question] = found.questions
    assert (question.id, question.type, question.grades) == ("q-peru", "question", {"peru": 2})


def test_gold_sentences_of_a_query_are_its_evidence_and_its_type_is_kept(tmp_path: Path) -> None:
    stated = {"type": "bridge", "gold_sentences": {"peru": ["Lima."]}}
    folder = write_beir(tmp_path / "tiny", metadata={"q-peru": stated})

    question = load_retrieval_set(folder).questions[0]

    assert (question.type, question.evidence) == ("bridge", (Evidence("peru", "Lima."),))


def test_judgements_without_a_header_and_of_grade_0_are_read(tmp_path: Path) -> None:
    folder = write_beir(tmp_path / "tiny")
    (folder / "qrels" / "test.tsv").write_text("q-peru\tperu\t1\nq-peru\tchad\t0\n")

    [question] = load_retrieval_set(folder).questions

    assert question.grades == {"peru": 1, "chad": 0}
    assert question.relevant == {"peru"}


def test_a_split_is_chosen_by_name_and_a_missing_one_names_those_there_are(tmp_path: Path) -> None:
    folder = write_beir(tmp_path / "tiny", split="dev")

    assert load_retrieval_set(folder, split="dev").questions
    with pytest.raises(InputError, match="no split 'test'") as refused:
        load_retrieval_set(folder)
    assert "dev" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("corpus.jsonl", '{"_id": "a", "text": "x"}\n{"text": "no id"}\n', r"corpus\.jsonl:2: _id"),
        ("corpus.jsonl", '{"_id": "a", "text": "x"}\n{"_id": "a", "text": "y"}\n', ":2.*before"),
        ("corpus.jsonl", "[1]\n", r"corpus\.jsonl:1"),
        ("queries.jsonl", "{\n", r"queries\.jsonl:1: no JSON"),
        ("queries.jsonl", '{"_id": "q-peru", "text": ""}\n', r"queries\.jsonl:1: text"),
        ("queries.jsonl", '{"_id": "other", "text": "x"}\n', "judges 2 queries"),
        ("qrels/test.tsv", "a\tb\tc\nq-peru peru 1\n", r"test\.tsv:2"),
        ("qrels/test.tsv", "a\tb\tc\nq-peru\tperu\tgood\n", r"test\.tsv:2"),
        ("qrels/test.tsv", "q-peru\tnowhere\t1\n", "nowhere"),
        ("qrels/test.tsv", "", "no questions"),
    ],
)
def test_a_wrong_line_of_beir_is_named(tmp_path: Path, file: str, text: str, told: str) -> None:
    folder = write_beir(tmp_path / "tiny")
    (folder / file).write_text(text)

    with pytest.raises(InputError, match=told):
        load_retrieval_set(folder)


TWICE = "Lima is big.\n\nPeru lies in the west.\n\nLima is big.\n"


def test_excerpts_are_spans_so_that_repeated_text_is_told_apart(tmp_path: Path) -> None:
    second = TWICE.rindex("Lima")
    rows = [("How big?", "notes", [(second, second + 12)])]

    found = load_retrieval_set(write_excerpts(tmp_path / "tiny", {"notes": TWICE}, rows))

    assert found.layout == "excerpts"
    assert found.documents is not None
    assert found.documents[0].text == TWICE
    [question] = found.questions
    assert question.spans == (Span("notes.md", second, second + 12),)
    assert question.type == "notes"


@pytest.mark.parametrize(
    ("corpus", "references", "told"),
    [
        ("absent", [(0, 4)], r"questions_df\.csv:2: no corpora/absent\.md"),
        ("notes", [{"content": "Lima", "start_index": 1, "end_index": 5}], "1:5 of notes"),
        ("notes", [{"content": "Lima", "start_index": "x"}], r"questions_df\.csv:2: 0"),
        ("notes", [(3, 3)], "3:3 of notes"),
    ],
)
def test_a_wrong_row_of_excerpts_is_named(
    tmp_path: Path, corpus: str, references: list[object], told: str
) -> None:
    folder = write_excerpts(tmp_path / "tiny", {"notes": TWICE}, [("How?", corpus, references)])

    with pytest.raises(InputError, match=told):
        load_retrieval_set(folder)


def test_a_corpus_whose_places_ingestion_would_move_is_refused(tmp_path: Path) -> None:
    folder = write_excerpts(tmp_path / "tiny", {"notes": "one\r\ntwo"}, [("?", "notes", [(0, 3)])])

    with pytest.raises(InputError, match="line ends"):
        load_retrieval_set(folder)


def test_a_file_of_questions_brings_no_documents(tmp_path: Path) -> None:
    line = {"id": "1", "type": "t", "question": "?", "evidence": [{"doc": "a", "text": "b"}]}
    found = load_retrieval_set(write_lines(tmp_path / "qa.jsonl", [line]))

    assert (found.name, found.layout, found.documents) == ("qa", "questions", None)


def test_two_questions_of_one_id_are_refused(tmp_path: Path) -> None:
    line = {"id": "1", "type": "t", "question": "?", "evidence": []}

    with pytest.raises(InputError, match="two questions have the id '1'"):
        load_retrieval_set(write_lines(tmp_path / "qa.jsonl", [line, line]))


@pytest.mark.parametrize(("name", "told"), [("absent", "does not exist"), ("", "known layout")])
def test_what_lies_otherwise_is_refused_with_the_layouts_there_are(
    tmp_path: Path, name: str, told: str
) -> None:
    with pytest.raises(InputError, match=told) as refused:
        load_retrieval_set(tmp_path / name)
    assert "corpora/*.md" in str(refused.value.hint)
