"""What a question consists of, and where its hits lead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Chunk
from retrieval.entities import NameTable
from retrieval.gather import MEMBER_LIMIT, Passage, find_passages, holds, take_apart
from retrieval.records import Hit
from retrieval.spelling import spelled
from tests.records import record

TITLES = ("Larder", "Kettle", "Samovar", "Teapot", "Sugar Bowl")
NAMES = NameTable.of(
    [
        *(record(title, name=title.lower()) for title in TITLES),
        record("Coffee Grinder", "CG", name="coffee grinder"),
    ]
)


def hit(title: str, text: str, name: str = "") -> Hit:
    chunk = Chunk(name or f"{title}{text}", title.lower(), title, (), 0, len(text), text, 0)
    return Hit(chunk, 1.0)


# --- parts


@pytest.mark.parametrize(
    ("question", "relation", "measure"),
    [
        (
            "Of the packages that need Kettle, which one has the largest wheel?",
            "packages that need",
            "wheel",
        ),
        (
            "Which package needed by Kettle has the most downloads?",
            "package needed by",
            "downloads",
        ),
        ("Among the reports of Kettle, who leads the biggest team?", "reports", "team"),
        ("Which of Kettle's dependencies is the oldest release?", "dependencies", "release"),
        ("Which packages need Kettle and what are their licences?", "packages need", "licences"),
        ("What is the licence of Kettle?", "", ""),
        ("Which has the larger wheel, Kettle or Teapot?", "", ""),
        ("What is the largest wheel of Kettle?", "", ""),
        ("Kettle?", "", ""),
    ],
)
def test_a_comparison_has_a_relation_and_a_measure(
    question: str, relation: str, measure: str
) -> None:
    parts = take_apart(question, NAMES)
    assert (parts.relation, parts.measure) == (relation, measure)


@pytest.mark.parametrize(
    ("question", "unknown"),
    [
        ("How large is the package kept by Ada Byron?", ["Ada Byron"]),
        ("How many files has the project named after Port of Lisbon?", ["Port of Lisbon"]),
        ("Ada keeps which package?", ["Ada"]),
        ("What is Ada's package, and who is Grace?", ["Ada", "Grace"]),
        ("What is the API of Kettle?", ["API"]),
        ("Is the Sugar Bowl larger than the Coffee Grinder?", []),
        ("Describe the licence of Kettle", []),
        ("Give me the licence. Then the size.", []),
        ("what does ada keep?", []),
        ("WHAT DOES ADA KEEP?", []),
        ("In 2023, how many were there?", []),
    ],
)
def test_names_that_no_document_bears_are_told_from_those_one_does(
    question: str, unknown: list[str]
) -> None:
    assert [one.name for one in take_apart(question, NAMES).unknown] == unknown


def test_an_unknown_name_comes_with_its_clause() -> None:
    (unknown,) = take_apart("In the package kept by Ada, how many files are there?", NAMES).unknown
    assert unknown.clause == "In the package kept by Ada"


@given(st.text(max_size=60))
def test_any_question_can_be_taken_apart(question: str) -> None:
    parts = take_apart(question, NAMES)
    assert all(one.name in spelled(question) for one in parts.unknown)
    assert bool(parts.relation) == bool(parts.measure)


# --- words


@pytest.mark.parametrize(
    ("text", "name", "held"),
    [
        ("kept by Ada.", "Ada", True),
        ("kept by Adam", "Ada", False),
        ("kept by ada", "Ada", False),
        ("a (.*) b", "(.*)", True),
        ("kept by O\u2019Hara", "O'Hara", True),
        ("", "Ada", False),
    ],
)
def test_a_text_holds_a_name_word_for_word(text: str, name: str, *, held: bool) -> None:
    assert holds(text, name) is held


# --- passages


def found_passages(document: str, inside: list[Hit], around: list[Hit]) -> list[Passage]:
    everything = {one for held in NAMES.documents.values() for one in held}
    return find_passages(document, inside, around, NAMES, allowed=everything)


def test_a_passage_leads_to_the_documents_it_names() -> None:
    text = "Licence: MIT\nNeeds: Teapot 2.1; Sugar Bowl 3; Kettle; CG 1\nOld as Methuselah"
    (passage,) = found_passages("kettle", [hit("Kettle", text)], [])
    assert passage.members == ("teapot", "sugar bowl", "coffee grinder")
    assert passage.text in text


def test_the_points_of_a_list_are_one_passage() -> None:
    text = "It needs:\n\n- Teapot\n- Sugar Bowl\n\nIt replaced Samovar."
    passages = found_passages("kettle", [hit("Kettle", text)], [])
    assert [one.members for one in passages] == [("teapot", "sugar bowl"), ("samovar",)]


def test_documents_that_name_it_are_led_to_where_it_names_none() -> None:
    around = [
        hit("Teapot", "Needs: Kettle"),
        hit("Samovar", "Needs nothing"),
        hit("Larder", "Needs: Kettle"),
        hit("Teapot", "See also Kettle"),
    ]
    (passage,) = found_passages("kettle", [hit("Kettle", "Boils water.")], around)
    assert passage.members == ("teapot", "larder")


def test_nothing_leads_nowhere() -> None:
    assert found_passages("kettle", [], [hit("Teapot", "Pours.")]) == []


def test_a_hop_leads_to_only_so_many_documents() -> None:
    names = NameTable.of([record(f"Pot {number}", name=f"pot {number}") for number in range(40)])
    text = ", ".join(f"Pot {number}" for number in range(40))
    (passage,) = find_passages("kettle", [hit("Kettle", text)], [], names, allowed=names.documents)
    assert len(passage.members) == MEMBER_LIMIT


def test_documents_that_may_not_be_looked_at_take_no_places() -> None:
    names = NameTable.of([record(f"Pot {number}", name=f"pot {number}") for number in range(40)])
    text = ", ".join(f"Pot {number}" for number in range(40))
    (passage,) = find_passages(
        "kettle", [hit("Kettle", text)], [], names, allowed={"kettle", "pot 38", "pot 39"}
    )
    assert passage.members == ("pot 38", "pot 39")
