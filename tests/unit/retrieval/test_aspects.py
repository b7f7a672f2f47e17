"""What a question asks about, apart from the documents that it names."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.aspects import ASPECT_LIMIT, find_aspects

NAMES = re.compile(r"\b(?:Chad|India|Peru)\b", re.IGNORECASE)


@pytest.mark.parametrize(
    ("question", "aspects"),
    [
        ("Give the population and the capital of Chad", ("population", "capital")),
        ("What is the capital of Chad?", ("capital",)),
        ("Compare the exports of Chad with those of Peru.", ("exports",)),
        ("What are the GDP, inflation rate, and unemployment of Peru?", None),
        ("Which is larger, Chad or Peru?", ()),
        ("Chad?", ()),
        ("What did Chad export in 2023?", ("export",)),
        (
            "Tell me about internet users (young people) in India",
            ("internet users", "young people"),
        ),
        ("population: total; density", ("population", "total", "density")),
        ("", ()),
        ("?!", ()),
    ],
)
def test_aspects_are_the_phrases_that_name_something(
    question: str, aspects: tuple[str, ...] | None
) -> None:
    expected = aspects if aspects is not None else ("GDP", "inflation rate", "unemployment")
    assert find_aspects(NAMES.sub(", ", question)) == expected


def test_the_business_plan_question_has_its_aspects() -> None:
    question = (
        "Can you create a business plan for a new mobile network company in India, "
        "specifically for young people?"
    )
    assert find_aspects(NAMES.sub(", ", question)) == (
        "business plan",
        "mobile network company",
        "young people",
    )


def test_an_aspect_counts_once_in_its_first_spelling() -> None:
    assert find_aspects("GDP, gdp and Gdp") == ("GDP",)


def test_names_are_aspects_where_none_are_known() -> None:
    assert find_aspects("capital of Chad") == ("capital of Chad",)


def test_there_are_only_so_many_aspects() -> None:
    question = ", ".join(f"aspect number {word}" for word in "abcdefghij")
    assert len(find_aspects(question)) == ASPECT_LIMIT


@given(st.text(max_size=60))
def test_aspects_of_any_question_are_phrases_of_it(question: str) -> None:
    aspects = find_aspects(NAMES.sub(", ", question))
    words = " ".join(question.split())
    assert all(aspect in words and len(aspect) >= 3 for aspect in aspects)
    assert len({aspect.lower() for aspect in aspects}) == len(aspects)
