from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Chunk
from serve.grounding import Grounding, check_grounding

CONTEXT = (
    "Land boundaries - border countries: Brazil 1,790 km; Ecuador 708 km\n"
    "Population: 1,790,000 (2025 est.)\n"
    "Chief of state: President Juan Manuel SANTOS Calderón\n"
    "Real GDP: $955.016 billion; death rate 12%; three rivers; Côte d'Ivoire; Guinea-Bissau"
)
QUESTION = "How long is the border of Colombia since 1903?"


def chunk(text: str, *, title: str = "Bolivia") -> Chunk:
    return Chunk("a" * 32, "d", title, (), 0, len(text), text, 0)


def grounding(answer: str, *, context: str = CONTEXT) -> Grounding:
    return check_grounding(answer, question=QUESTION, kept=[chunk(context)])


@pytest.mark.parametrize(
    "answer",
    [
        "The border with Brazil is 1790 km long [1].",
        "It is 1 790 km, and 1'790 km is the same.",
        "About 1.8 million people live there, with 12 percent and 3 rivers.",
        "Its GDP is 955 billion dollars, or $955.016bn.",
        "President Santos, also called Calderon, leads Colombia since 1903.",
        "Cote d'Ivoire, GUINEA BISSAU and the Bolivian mountains.",
        "**Brazil** [1]",
        "1. Brazil\n2. Ecuador",
        "However, the Bolivia of today has a population of 1,790,000.",
    ],
)
def test_what_stands_in_the_context_or_the_question_is_grounded(answer: str) -> None:
    found = grounding(answer)
    assert found.missing == ()
    assert found.share == 1.0
    assert found.checked > 0


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        ("The border with Peru is 1,494 km [1].", ("1,494", "Peru")),
        ("Peru", ("Peru",)),
        ("It is 1.7 million.", ("1.7 million",)),
        ("In 2020 it was 956 billion.", ("956 billion", "2020")),
        ("The president is John Santos.", ("John Santos",)),
        ("There are four rivers.", ("four",)),
        ("It is led by the Brazil Manuel party.", ("Brazil Manuel",)),
        ("Lesotho is larger. It is Lesotho that grew.", ("Lesotho",)),
    ],
)
def test_what_stands_nowhere_is_missing(answer: str, missing: tuple[str, ...]) -> None:
    assert set(grounding(answer).missing) == set(missing)


def test_the_share_counts_each_number_and_name_once() -> None:
    found = grounding("Brazil has 1,790 km, Brazil has 1790 km, and Peru has 5 km [12].")
    assert found.checked == 4
    assert found.share == 0.5


def test_a_word_that_begins_a_sentence_is_no_name_by_itself() -> None:
    assert grounding("Rivers flow. Mountains rise.").checked == 0


def test_an_answer_with_nothing_to_check_has_a_full_share() -> None:
    assert grounding("yes, it does").share == 1.0


def test_a_dominica_is_not_grounded_by_a_dominican() -> None:
    assert grounding("It is Dominica.", context="Dominican").missing == ("Dominica",)
    assert grounding("It is Dominican.", context="Dominica").missing == ()


def test_citations_are_no_numbers() -> None:
    assert grounding("It is long [1][2, 99].").checked == 0


@pytest.mark.parametrize(
    "answer",
    [
        "The sources do not hold the answer.",
        "The sources don't say how long it is.",
        "There is not enough information to tell [1].",
        "I cannot answer this from the sources.",
        "",
    ],
)
def test_a_statement_of_insufficient_evidence_is_seen(answer: str) -> None:
    assert grounding(answer).insufficient


def test_an_answer_is_not_insufficient_for_what_it_adds() -> None:
    assert not grounding("It is 1,790 km. The sources do not say more.").insufficient


texts = st.text(alphabet="AaBbIé 12.,-'\n\u0301", max_size=80)


@given(texts)
def test_what_is_copied_from_the_context_is_grounded(text: str) -> None:
    assert check_grounding(text, question="", kept=[chunk(text)]).missing == ()


@given(texts, texts, texts)
def test_more_context_never_makes_more_missing(answer: str, first: str, second: str) -> None:
    less = check_grounding(answer, question="", kept=[chunk(first)])
    more = check_grounding(answer, question="", kept=[chunk(first), chunk(second)])
    assert set(more.missing) <= set(less.missing)
    assert 0.0 <= less.share <= more.share <= 1.0


@pytest.mark.parametrize("unit", ["A ", "Aa-", "1 ", "1,", "a. ", "\u0301\u0316", "Aa 12 300 "])
def test_time_grows_with_the_texts_alone(unit: str) -> None:
    def spent(size: int) -> float:
        text = (unit * size)[:size]
        started = time.process_time()
        check_grounding(text, question=text, kept=[chunk(text)])
        return time.process_time() - started

    # Turn about, and the least of each: what slows one down for a while slows both down.
    pairs = [(spent(20_000), spent(160_000)) for _ in range(4)]
    small, large = (min(times) for times in zip(*pairs, strict=True))
    assert large < 0.2 + 20 * small


def test_what_the_caller_said_in_other_turns_stands_in_the_context() -> None:
    told = "As Ricardo Palma asked on 12 May 1873."
    said = ["I am Ricardo Palma, and it is 12 May 1873."]

    assert check_grounding(told, question="Who?", kept=[]).share < 1
    assert check_grounding(told, question="Who?", kept=[], said=said).missing == ()


def test_the_names_of_fields_are_none_of_the_answer_where_the_caller_gave_its_form() -> None:
    answer = '{"Capital City": "Quito", "Border 7": [{"Length": 1790.0, "With": "Brazil"}]}'

    loose = check_grounding(answer, question="", kept=[chunk(CONTEXT)])
    strict = check_grounding(answer, question="", kept=[chunk(CONTEXT)], structured=True)

    assert "Capital City" in loose.missing
    assert (strict.missing, strict.checked) == (("Quito",), 3)


def test_an_answer_in_no_form_is_looked_at_as_it_is() -> None:
    answer = "The capital is Quito."

    assert check_grounding(answer, question="", kept=[], structured=True).missing == ("Quito",)
