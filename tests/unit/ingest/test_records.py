"""Nested records become lines that can be read on their own."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.sections import Field
from ingest.records import plain_lines, record_fields

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)
RECORDS = st.dictionaries(st.text(max_size=5), VALUES, max_size=4)


def fields_of(record: Mapping[str, object]) -> list[Field]:
    return list(record_fields(record))


@pytest.mark.parametrize(
    ("record", "path", "lines"),
    [
        ({"Area": {"Land": {"total": "7"}}}, ("Area", "Land"), ["Land - total: 7"]),
        ({"Area": {"Land": {"text": "7"}}}, ("Area", "Land"), ["Land: 7"]),
        ({"Area": {"Land": "7"}}, ("Area", "Land"), ["Land: 7"]),
        ({"Area": "7"}, ("Area",), ["Area: 7"]),
        ({"Area": [1, 2]}, ("Area",), ["Area: 1", "Area: 2"]),
        ({"A": {"B": {"c": {"d": {"e": 1}}}}}, ("A", "B"), ["B - c - d - e: 1"]),
        ({"A": {"B": [{"c": 1}, {"d": 2}]}}, ("A", "B"), ["B - c: 1", "B - d: 2"]),
        ({"A": {"B": {"B 2023": "1"}}}, ("A", "B"), ["B 2023: 1"]),
        ({"A": {"B": {"note": "note: x"}}}, ("A", "B"), ["B: note: x"]),
        ({"A": {"B": "one\n\n two  three "}}, ("A", "B"), ["B: one", "two three"]),
        ({"A": {"B": {"c": False, "d": 0, "e": 1.5}}}, ("A", "B"), ["B - c: False", "B - d: 0"]),
    ],
)
def test_a_field_reads_as_labelled_lines(
    record: dict[str, object], path: tuple[str, ...], lines: list[str]
) -> None:
    [field] = fields_of(record)
    assert field.path == path
    assert list(field.lines)[: len(lines)] == lines


def test_fields_follow_the_order_of_the_record() -> None:
    record = {"B": {"z": "1", "a": "2"}, "A": "3", "C": {"x": "4"}}
    assert [field.path for field in fields_of(record)] == [
        ("B", "z"),
        ("B", "a"),
        ("A",),
        ("C", "x"),
    ]


@pytest.mark.parametrize("value", [None, "", " \n ", {}, [], {"x": None}, [[], {"y": ""}]])
def test_what_holds_no_text_is_no_field(value: object) -> None:
    assert fields_of({"A": value, "B": {"C": value}}) == []


def test_keys_of_several_lines_become_one_line() -> None:
    [field] = fields_of({" A\nb ": {"C\td": {"e\nf": "1"}}})
    assert field == Field(("A b", "C d"), ("C d - e f: 1",))


def test_blank_keys_are_no_headings() -> None:
    assert fields_of({"": {" ": {"": "1"}}}) == [Field((), ("1",))]


def test_a_cleaner_decides_what_is_readable() -> None:
    [field] = record_fields({"A": {"B": "x|y"}}, clean=lambda value: tuple(value.split("|")))
    assert field.lines == ("B: x", "y")


def test_plain_lines_have_no_needless_spaces() -> None:
    assert plain_lines(" a  b \r\n\n\tc\u00a0d ") == ("a b", "c d")


@given(RECORDS)
def test_every_text_of_a_record_stands_in_its_fields(record: dict[str, object]) -> None:
    lines = "\n".join(line for field in fields_of(record) for line in field.lines)
    for text in texts_in(record):
        for line in plain_lines(text):
            assert line in lines


@given(RECORDS)
def test_no_line_is_blank_or_two_lines(record: dict[str, object]) -> None:
    for field in fields_of(record):
        assert all(line.strip() and "\n" not in line for line in (*field.lines, *field.path))


def texts_in(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in texts_in(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in texts_in(inner)]
    return [value] if isinstance(value, str) else []
