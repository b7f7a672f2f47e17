"""The comparison of orders can fail: answers are judged, pairs are counted, runs go on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.measure_order import ask_both, is_right, read_answers, sign_test, summarise
from scripts.order_cases import Case, read_factbook, read_hotpot, remembered, short_answer

CASE = Case(
    "q1",
    "single_field",
    ("Lima",),
    (),
    prompts={
        "relevance": [{"role": "user", "content": "[1] a [2] b"}],
        "document": [{"role": "user", "content": "[1] b [2] a"}],
    },
    places={"relevance": 0.0, "document": 1.0},
    found=True,
    same_kept=True,
)


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("6.43 deaths/1,000 population (2025 est.)", "6.43"),
        ("$955.016 billion (2022 est.)", "955.016"),
        ("3,142 (2021)", "3,142"),
        ("Stanley", "Stanley"),
        ("New Delhi; note: the seat of government", "New Delhi"),
        ("Group of 20", "Group of 20"),
    ],
)
def test_a_short_answer_is_the_first_number_of_a_figure_or_the_words(text: str, short: str) -> None:
    assert short_answer(text) == short


@pytest.mark.parametrize(
    ("text", "answers", "right"),
    [
        ("The capital is LIMA [1].", ("Lima",), True),
        ("Limassol [1]", ("Lima",), False),
        ("It has 3142 people [2].", ("3,142",), True),
        ("It has 13,142 people.", ("3,142",), False),
        ("It is 6.43.", ("6.4",), False),
        ("Lima and .pe", ("Lima", ".pe"), True),
        ("Lima", ("Lima", ".pe"), False),
        ("See source [7].", ("7",), False),
        ("The Beatles", ("Beatles",), True),
    ],
)
def test_an_answer_is_right_when_all_short_answers_stand_in_it_as_words(
    text: str, answers: tuple[str, ...], *, right: bool
) -> None:
    assert is_right(text, answers) is right


def test_naming_the_rival_first_is_wrong_though_the_answer_follows() -> None:
    assert is_right("Bolivia is larger than Lesotho.", ("Bolivia",), ("Lesotho",))
    assert not is_right("Lesotho is larger than Bolivia.", ("Bolivia",), ("Lesotho",))


def test_the_sign_test_is_exact_and_symmetric() -> None:
    assert sign_test(0, 0) == 1.0
    assert sign_test(0, 5) == pytest.approx(2 / 32)
    assert sign_test(1, 7) == sign_test(7, 1) == pytest.approx(18 / 256)
    assert sign_test(4, 4) == 1.0


def test_pairs_are_counted_and_only_complete_ones() -> None:
    cases = [replace(CASE, id=name) for name in ("both", "relevance", "document", "half")]
    answers = {
        "both": {"relevance": "Lima", "document": "Lima"},
        "relevance": {"relevance": "Lima", "document": "Quito"},
        "document": {"relevance": "Quito", "document": "Lima"},
        "half": {"relevance": "Lima"},
    }
    figures = summarise(cases, answers)
    assert figures["asked"] == 3
    assert figures["right"] == {"relevance": 2, "document": 2}
    assert figures["only_right"] == {"relevance": 1, "document": 1}
    assert figures["difference"] == 0.0
    assert figures["gold_place"] == {"relevance": 0.0, "document": 1.0}


def test_a_question_is_asked_only_where_the_order_can_matter() -> None:
    same = replace(CASE, prompts=dict.fromkeys(CASE.prompts, CASE.prompts["relevance"]))
    assert CASE.asked
    assert not same.asked
    assert not replace(CASE, found=False).asked
    assert not replace(CASE, same_kept=False).asked


def test_a_run_goes_on_where_it_was_and_asks_nothing_twice(tmp_path: Path) -> None:
    asked: list[str] = []

    def answering(messages: Sequence[Mapping[str, str]]) -> str:
        asked.append(messages[-1]["content"])
        return "Lima"

    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps({"id": "q1", "order": "relevance", "text": "Lima"}) + "\n")
    ask_both(CASE, path, answering, document_first=False)
    ask_both(CASE, path, answering, document_first=True)
    assert asked == ["[1] b [2] a"]
    assert read_answers(path) == {"q1": {"relevance": "Lima", "document": "Lima"}}


def test_a_line_cut_short_by_a_kill_costs_its_own_answer_only(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps({"id": "q1", "order": "relevance", "text": "Lima"}) + '\n{"id": "q')
    ask_both(CASE, path, lambda _: "Quito", document_first=False)
    assert read_answers(path) == {"q1": {"relevance": "Lima", "document": "Quito"}}


def test_cases_are_made_once_and_read_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    assert remembered(path, lambda: [CASE]) == [CASE]
    assert remembered(path, list) == [CASE]


def test_factbook_types_take_turns_and_a_comparison_has_its_rival(tmp_path: Path) -> None:
    kinds = ("comparison", "single_field", "multi_field", "paraphrase_bridge", "border_list")
    lines = [
        {
            "id": f"{kind}-{number}",
            "type": kind,
            "question": "?",
            "answer": ["Peru"] if kind == "multi_field" else "Peru",
            "evidence": [{"doc": "pe.json", "text": "Peru"}],
            "values": {"Peru": 1, "Chile": 2} if kind == "comparison" else {},
        }
        for kind in kinds
        for number in range(3)
    ]
    (tmp_path / "dev.jsonl").write_text("\n".join(map(json.dumps, lines)))
    items = read_factbook(tmp_path, 8, seed=0)
    types = [item.question.type for item in items]
    assert types == ["single_field", "multi_field", "comparison", "paraphrase_bridge"] * 2
    assert {item.rivals for item in items if item.question.type == "comparison"} == {("Chile",)}
    assert {item.answers for item in items} == {("Peru",)}


def test_hotpot_questions_need_their_passages_and_a_short_answer(tmp_path: Path) -> None:
    passages = [{"_id": f"p{n}", "title": f"T{n}", "text": f"Text {n}."} for n in range(3)]
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, passages)))
    queries = [
        {
            "_id": name,
            "text": "?",
            "metadata": {
                "answer": answer,
                "type": "bridge",
                "gold_sentences": {passage: [" Text. "]},
            },
        }
        for name, answer, passage in (
            ("kept", "Lima", "p1"),
            ("yes", "yes", "p1"),
            ("beyond", "Lima", "p2"),
        )
    ]
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    items, documents = read_hotpot(tmp_path, 2, 10)
    assert [item.question.id for item in items] == ["kept"]
    assert items[0].question.evidence[0].text == "Text."
    assert [document.id for document in documents] == ["p0", "p1"]
