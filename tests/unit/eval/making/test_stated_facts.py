from __future__ import annotations

from dataclasses import replace

import pytest

from chunking.document import Document
from chunking.sections import markdown_sections
from eval.making.stated_facts import VALUE_LIMIT, find_facts


def document(text: str, *, title: str = "Peru") -> Document:
    return Document("peru.md", text, title, "peru.md", sections=markdown_sections(text))


def stated(text: str) -> list[tuple[str, str, str]]:
    return [(fact.subject, fact.field, fact.value) for fact in find_facts(document(text))[0]]


@pytest.mark.parametrize(
    "line",
    [
        "Capital: Lima",
        "- Capital: Lima",
        "* **Capital:** Lima",
        "1. __Capital__: Lima",
        "  Capital: Lima  ",
        "| Capital | Lima |",
    ],
)
def test_a_field_and_its_value_are_found_however_the_line_is_written(line: str) -> None:
    facts, _ = find_facts(document(f"# Peru\n\n{line}\n"))
    assert [(fact.field, fact.value, fact.line) for fact in facts] == [
        ("Capital", "Lima", line.strip())
    ]
    assert facts[0].headings == ("Peru",)


@pytest.mark.parametrize(
    "line",
    [
        "Capital",
        "This is the rule: do nothing.",
        "note: the border is disputed",
        "Area - note: includes lakes",
        "Energy: note: includes the coast",
        "The following are rivers:",
        "|---|---|",
        "https://example.com",
        "12:30 is noon",
    ],
)
def test_a_line_that_states_no_field_is_none(line: str) -> None:
    assert stated(line) == []


def test_rows_that_name_their_columns_are_facts_of_their_first_cell() -> None:
    text = "Country: Peru; Capital: Lima; Area: 5 sq km\nCountry: Chad; Capital: N'Djamena"
    assert stated(text + "\nCountry: Mali; Capital: Bamako") == [
        ("Peru", "Capital", "Lima"),
        ("Peru", "Area", "5 sq km"),
        ("Chad", "Capital", "N'Djamena"),
        ("Mali", "Capital", "Bamako"),
    ]


def test_a_field_under_two_headings_is_told_apart_by_them() -> None:
    text = "## Area\n\ntotal: 5 sq km\n\n## People\n\ntotal: 7\n"
    assert stated(text) == [("Peru", "total (Area)", "5 sq km"), ("Peru", "total (People)", "7")]


def test_a_colon_in_a_paragraph_or_a_program_states_no_field() -> None:
    text = (
        "One thing counts here,\nnamely this: nothing else,\nand so on.\n\n"
        "```\nkey: value\n```\n\nA collection keeps all that it was made of: words.\n\n"
        "Capital: Lima\n"
    )
    assert stated(text) == [("Peru", "Capital", "Lima")]


def test_the_names_of_a_tables_columns_are_no_fact() -> None:
    text = "| Field | Value |\n|---|---|\n| Capital | Lima |\n| Area | 5 sq km |\n"
    assert stated(text) == [("Peru", "Capital", "Lima"), ("Peru", "Area", "5 sq km")]


def test_a_row_that_a_numeral_names_has_no_subject() -> None:
    assert stated("No: I; Item: tea\nNo: 2; Item: milk") == []


def test_a_record_may_have_lines_of_text_between_its_fields() -> None:
    text = "Climate: mild\nit rains in the west\nArea: 5 sq km"
    record = replace(document(text), sections=(), media_type="application/json")
    assert [fact.field for fact in find_facts(record)[0]] == ["Climate", "Area"]
    assert stated(text) == []


def test_what_is_left_out_is_counted_with_its_reason() -> None:
    text = f"Area: 5\nArea: 6\nStory: {'x' * (VALUE_LIMIT + 1)}\nCapital: Lima"
    facts, left = find_facts(document(text))
    assert [fact.field for fact in facts] == ["Capital"]
    assert left == {
        "a field that its document states more than once": 2,
        f"a value longer than {VALUE_LIMIT} characters": 1,
    }
