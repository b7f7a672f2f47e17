"""Types of task: simple rules, each with questions that show it."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.context.route import TaskType
from serve.tasks import LONG_QUESTION_CHARACTERS, tell_task


@pytest.mark.parametrize(
    ("question", "task"),
    [
        ("Classify this ticket as billing or technical.", "classification"),
        ("Which category does this receipt belong to?", "classification"),
        ("What language is this text in?", "classification"),
        ("Summarise this contract.", "summarisation"),
        ("What are the key findings of these reports?", "summarisation"),
        ("Common themes of these ten documents?", "summarisation"),
        ("Extract the amounts from this receipt.", "extraction"),
        ("List all ports of Chile.", "extraction"),
        ("Why did the population of Japan fall?", "reasoning"),
        ("Compare the economies of Chad and Niger.", "reasoning"),
        ("Write a business plan for a mobile network in India.", "reasoning"),
        ("Write a function that sorts names.", "code"),
        ("```py\nprint(1)\n```\nWhat does it print?", "code"),
        ("What is the capital of Peru?", "other"),
        ("What is the median age in India?", "other"),
        ("Which class of ship is largest?", "classification"),
        ("Is the whyte line in Peru?", "other"),
    ],
)
def test_words_tell_the_type_of_task(question: str, task: TaskType) -> None:
    assert tell_task(question) == task


@pytest.mark.parametrize("mode", ["full", "exhaustive"])
def test_reading_whole_documents_is_a_long_document(mode: str) -> None:
    assert tell_task("Classify this.", mode=mode) == "long_document"


def test_a_question_as_long_as_a_document_is_one() -> None:
    assert tell_task("a" * LONG_QUESTION_CHARACTERS) == "other"
    assert tell_task("a" * (LONG_QUESTION_CHARACTERS + 1)) == "long_document"


def test_an_answer_in_a_given_form_is_extraction_unless_it_classifies() -> None:
    assert tell_task("The capital of Peru?", structured=True) == "extraction"
    assert tell_task("Classify it.", structured=True) == "classification"


def test_tools_make_it_code() -> None:
    assert tell_task("The capital of Peru?", tools=True) == "code"


@given(st.text())
def test_every_question_has_one_type_and_always_the_same(question: str) -> None:
    assert tell_task(question) in get_args(TaskType)
    assert tell_task(question) == tell_task(question)
