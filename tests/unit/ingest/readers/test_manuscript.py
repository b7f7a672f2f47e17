"""A manuscript knows its headings, whatever its text looks like."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Section
from chunking.sections import HEADING_LIMIT, markdown_sections
from ingest.readers.manuscript import Manuscript


def test_headings_open_sections_below_those_above_them() -> None:
    manuscript = Manuscript()
    manuscript.paragraph("before")
    manuscript.heading(1, "Chad")
    manuscript.heading(3, "  Climate \n of Chad ")
    manuscript.paragraph("dry")
    manuscript.heading(2, "Area")
    reading = manuscript.reading()
    assert reading.text == "before\n\n# Chad\n\n### Climate of Chad\n\ndry\n\n## Area\n\n"
    assert [section.path for section in reading.sections] == [
        (),
        ("Chad",),
        ("Chad", "Climate of Chad"),
        ("Chad", "Area"),
    ]
    assert reading.text[reading.sections[2].start :].startswith("### Climate")


def test_a_line_that_looks_like_a_heading_is_none() -> None:
    manuscript = Manuscript()
    manuscript.lines(["# 4 of 5", "Total", "-----"])
    assert manuscript.reading().sections == ()
    assert markdown_sections(manuscript.reading().text)


def test_the_first_of_the_highest_headings_stands_in_for_a_title() -> None:
    manuscript = Manuscript()
    for level, name in ((2, "Preface"), (1, "The book"), (1, "The end")):
        manuscript.heading(level, name)
    assert manuscript.reading().title == "The book"
    assert manuscript.reading(title=" Its\nown ").title == "Its own"
    assert Manuscript().reading().title == ""


def test_a_heading_as_long_as_a_paragraph_is_one() -> None:
    manuscript = Manuscript()
    manuscript.heading(1, "x" * HEADING_LIMIT)
    manuscript.heading(1, "y" * (HEADING_LIMIT + 1))
    assert manuscript.reading().sections == (Section(("x" * HEADING_LIMIT,), 0, 607),)


def test_blank_lines_part_blocks_and_blank_texts_write_nothing() -> None:
    manuscript = Manuscript()
    manuscript.lines(["one", " ", "two "])
    manuscript.paragraph("")
    manuscript.heading(1, " \n")
    manuscript.paragraph("three")
    assert manuscript.reading().text == "one\ntwo\n\nthree\n\n"


@given(st.lists(st.tuples(st.integers(-1, 9), st.text(max_size=12))))
def test_sections_are_in_order_and_hold_every_letter(calls: list[tuple[int, str]]) -> None:
    manuscript = Manuscript()
    for level, text in calls:
        if level > 0:
            manuscript.heading(level, text)
        else:
            manuscript.line(text)
    reading = manuscript.reading()
    if reading.sections:
        spans = [(section.start, section.end) for section in reading.sections]
        assert spans[-1][1] == len(reading.text) == manuscript.length
        assert all(a[1] == b[0] for a, b in pairwise(spans))
        assert not reading.text[: spans[0][0]].strip()
