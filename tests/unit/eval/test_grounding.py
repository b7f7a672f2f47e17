from __future__ import annotations

from eval.grounding import ground
from tests.unit.eval.test_scoring import find_names

SOURCES = (
    "Peru\nArea: 1,285,216 sq km (2022)\nPopulation: 32.8 million",
    "Borders: Bolivia 1,212 km",
)


def missing(answer: str, question: str = "What is it?") -> tuple[str, ...]:
    return ground(answer, SOURCES, question=question, find_names=find_names).missing


def test_what_stands_in_the_sources_is_grounded_also_rounded_and_converted() -> None:
    assert missing("Peru has 1,285,216 sq km [1] and 32,800,000 people.") == ()
    assert missing("about 1.285 million sq km; 753 miles with Bolivia") == ()


def test_a_number_or_a_name_that_stands_nowhere_is_named() -> None:
    assert missing("It is 1,285,217 sq km, next to Brazil.") == ("1,285,217 sq km", "br")


def test_what_the_question_says_itself_is_not_looked_for() -> None:
    found = ground("Brazil has 77.", SOURCES, question="Has Brazil 77?", find_names=find_names)

    assert (found.checked, found.missing) == (0, ())


def test_years_dates_and_citations_are_no_claims() -> None:
    assert missing("In 1999 [77], on 4 July 1776, it was so.") == ()
    assert missing("It is one of the two.") == ()
