from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Document
from eval.making.maker import TYPES, make_questions
from eval.making.questions import MadeQuestion, is_proved
from eval.making.stated_facts import Fact

COUNTRIES = {
    "Peru": ("Lima", "1,285,216 sq km", "34.4 million (2025 est.)"),
    "Chad": ("N'Djamena", "1,284,000 sq km", "19.3 million (2025 est.)"),
    "Mali": ("Bamako", "1,240,192 sq km", "22.4 million (2024 est.)"),
    "Laos": ("Vientiane", "236,800 sq km", "7.9 million (2025 est.)"),
}


def documents(countries: Mapping[str, tuple[str, str, str]] = COUNTRIES) -> list[Document]:
    made = []
    for name, (capital, area, people) in countries.items():
        text = f"Capital: {capital}\nArea: {area}\nPopulation: {people}\n"
        if name != "Laos":
            text += "Railways: 100 km\n"
        made.append(Document(f"world/{name.lower()}.txt", text, name, name))
    return made


def of_type(name: str) -> dict[str, MadeQuestion]:
    made = make_questions(documents(), count=50, types=[name])
    return {question.question: question for question in made.questions}


def test_a_single_field_is_asked_with_its_line_as_evidence() -> None:
    asked = of_type("single_field")["What is the Area of Chad?"].as_json()
    assert asked["answer"] == "1,284,000 sq km"
    assert asked["answer_type"] == "number"
    assert asked["evidence"] == [
        {"doc": "world/chad.txt", "path": "Area", "text": "Area: 1,284,000 sq km"}
    ]
    assert of_type("single_field")["What is the Capital of Mali?"].answer_type == "string"


def test_several_fields_of_one_document_are_asked_together() -> None:
    for question in of_type("multi_field").values():
        assert question.answer_type == "list"
        assert question.answer is not None
        assert len(question.answer) == len(question.evidence) > 1
        assert len({fact.document for fact in question.evidence}) == 1


@pytest.mark.parametrize(
    "nothing", ["none", "NA", "N/A (2023)", "not available", "unknown.", "see United Kingdom"]
)
def test_a_value_that_says_there_is_none_is_not_asked_for(nothing: str) -> None:
    given = documents({**COUNTRIES, "Guam": (nothing, "540 sq km", "0.2 million (2025 est.)")})

    for name in ("single_field", "multi_field", "bridge"):
        made = make_questions(given, count=99, types=[name])
        assert made.questions
        assert not any(nothing in str(question.answer) for question in made.questions)
    single = make_questions(given, count=99, types=["single_field"])
    assert single.left_out["a value that says there is none, or where to look"] == 1
    lacks = make_questions(given, count=99, types=["unanswerable_field"]).questions
    assert not any("Capital of Guam" in question.question for question in lacks)


def test_a_bridge_asks_of_a_subject_by_a_name_that_it_alone_has() -> None:
    asked = of_type("bridge")

    question = asked["What is the Area where the Capital is Lima?"]
    assert question.answer == "1,285,216 sq km"
    assert question.more["bridge"] == {"doc": "world/peru.txt", "text": "Capital: Lima"}
    # What several share tells none of them apart, and neither does a number.
    shared = make_questions(
        documents({**COUNTRIES, "Gran Colombia": ("Lima", "2,500,000 sq km", "2.6 million")}),
        count=50,
        types=["bridge"],
    ).questions
    assert shared
    assert not any("is Lima?" in one.question for one in shared)
    assert not any("Area is" in one.question for one in shared)
    assert not any("Peru" in one.question for one in asked.values())


def test_questions_about_some_documents_ask_about_no_others() -> None:
    drawn = [make_questions(documents(), count=50, about=2, seed=seed) for seed in range(6)]

    held = [frozenset().union(*(one.documents for one in made.questions)) for made in drawn]
    assert all(len(names) == 2 for names in held)
    assert len(set(held)) > 1


def test_only_values_of_one_unit_and_year_that_differ_enough_are_compared() -> None:
    asked = of_type("comparison").values()
    pairs = {
        (fact.field, frozenset(one.subject for one in question.evidence))
        for question in asked
        for fact in question.evidence
    }
    assert pairs == {
        ("Area", frozenset({"Peru", "Laos"})),
        ("Area", frozenset({"Chad", "Laos"})),
        ("Area", frozenset({"Mali", "Laos"})),
        ("Population", frozenset({"Peru", "Chad"})),
        ("Population", frozenset({"Peru", "Laos"})),
        ("Population", frozenset({"Chad", "Laos"})),
    }
    areas = [question for question in asked if "Area" in question.question]
    assert all(question.answer != "Laos" for question in areas)


def test_a_field_that_one_document_lacks_cannot_be_answered() -> None:
    asked = of_type("unanswerable_field")
    assert list(asked) == ["What is the Railways of Laos?"]
    line = asked["What is the Railways of Laos?"].as_json()
    assert (line["answer"], line["evidence"], line["answer_type"]) == (None, [], "abstain")


def test_a_lack_that_the_text_makes_up_for_is_no_question() -> None:
    laos = documents()[-1]
    told = replace(laos, text=laos.text + "\nIt has few railways, 3 km in all.\n")
    made = make_questions([*documents()[:-1], told], count=5, types=["unanswerable_field"])
    assert made.questions == ()
    assert made.short == {"unanswerable_field": 5}
    assert made.left_out["a lack that the document may make up for elsewhere"] == 1


def test_subjects_of_several_documents_are_left_out_and_counted() -> None:
    twins = [*documents(), Document("world/peru-2.txt", "Capital: Cusco\n", "Peru", "x")]
    made = make_questions(twins, count=50)
    assert not any("Peru" in question.question for question in made.questions)
    assert made.left_out["a fact of a subject that several documents have"] == 5


@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_the_same_seed_makes_the_same_questions_each_once_and_proved(
    seed: int, order: random.Random
) -> None:
    shuffled = documents()
    order.shuffle(shuffled)
    made = make_questions(shuffled, count=4, seed=seed)
    assert made == make_questions(documents(), count=4, seed=seed)
    assert len({question.id for question in made.questions}) == len(made.questions)
    assert len({question.question for question in made.questions}) == len(made.questions)
    texts = {one.id: one.text for one in shuffled}
    assert all(is_proved(question, texts) for question in made.questions)
    json.dumps([question.as_json() for question in made.questions])


@pytest.mark.parametrize("type_name", TYPES[:3])
def test_a_question_whose_evidence_is_not_word_for_word_in_its_document_is_not_proved(
    type_name: str,
) -> None:
    question = next(iter(of_type(type_name).values()))
    texts = {one.id: one.text.replace(",", "").replace(":", "") for one in documents()}
    assert not is_proved(question, texts)


def test_an_answer_that_is_not_in_the_evidence_is_not_proved() -> None:
    question = of_type("single_field")["What is the Capital of Peru?"]
    texts = {one.id: one.text for one in documents()}
    assert is_proved(question, texts)
    assert not is_proved(replace(question, answer="Cusco"), texts)


def test_fields_take_turns_however_many_documents_have_them() -> None:
    many = [
        Document(f"{n:03}", f"Rank: {n}\n" + ("Motto: peace\n" if n == 7 else ""), f"No {n}", "x")
        for n in range(100)
    ]
    made = make_questions(many, count=2, types=["single_field"], seed=random.randrange(99))
    assert {question.evidence[0].field for question in made.questions} == {"Rank", "Motto"}


def test_a_bare_number_with_decimals_is_not_compared_for_want_of_its_unit() -> None:
    rates = [Document(n, f"Exchange rate: {v}\n", n, n) for n, v in (("A", "1.5"), ("B", "33.1"))]
    assert make_questions(rates, count=5, types=["comparison"]).questions == ()


def test_the_path_of_evidence_names_its_headings() -> None:
    fact = Fact("d", "Peru", "Area", ("Geography",), "5", "Area: 5")
    made = next(iter(of_type("single_field").values()))
    assert replace(made, evidence=(fact,)).as_json()["evidence"][0]["path"] == "Geography|Area"
