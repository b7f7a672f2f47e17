"""PDF files become paragraphs under headings."""

from __future__ import annotations

import pytest

from chunking.errors import UnreadableDocument
from ingest.readers.pdf import read_pdf
from tests.written_files import pdf, printed

FULL = "This line of a paragraph reaches to the right end of its column"


def text_of(*pages: bytes) -> str:
    return read_pdf(pdf(pages), name="a.pdf").text.strip()


def test_lines_become_paragraphs() -> None:
    page = printed(
        ("F1", 11, FULL), ("F1", 11, FULL), ("F1", 11, "and ends."), ("F1", 11, ""),
        ("F1", 11, ""), ("F1", 11, FULL), ("F1", 11, "Second."),
    )  # fmt: skip
    assert text_of(page) == f"{FULL} {FULL} and ends.\n\n{FULL} Second."


def test_a_short_line_and_an_item_of_a_list_stand_alone() -> None:
    page = printed(
        ("F1", 11, "Name: Chad"), ("F1", 11, "Area: 7"), ("F1", 11, FULL),
        ("F1", 11, "1. " + FULL[3:]), ("F1", 11, "2. two"),
    )  # fmt: skip
    assert text_of(page).split("\n\n") == [
        "Name: Chad", "Area: 7", FULL, "1. " + FULL[3:], "2. two",
    ]  # fmt: skip


def test_larger_print_is_a_heading_by_its_size() -> None:
    page = printed(
        ("F1", 24, "Chad"), ("F1", 11, FULL), ("F1", 16, "Climate"), ("F1", 11, FULL),
        ("F1", 24, "Togo"), ("F1", 11, FULL),
    )  # fmt: skip
    reading = read_pdf(pdf([page]), name="a.pdf")
    assert [section.path for section in reading.sections] == [
        ("Chad",), ("Chad", "Climate"), ("Togo",),
    ]  # fmt: skip
    assert reading.text.startswith(f"# Chad\n\n{FULL}\n\n## Climate")
    assert reading.title == "Chad"


def test_few_bold_lines_are_headings_and_many_are_none() -> None:
    text = [("F1", 11, FULL)] * 4
    page = printed(("F2", 11, "Climate"), *text, ("F2", 11, "Area"), *text)
    assert [s.path for s in read_pdf(pdf([page]), name="a").sections] == [("Climate",), ("Area",)]
    bold = printed(*[("F2", 11, FULL)] * 5, ("F1", 11, FULL))
    assert read_pdf(pdf([bold]), name="a").sections == ()


def test_pages_tell_sections_apart_where_nothing_else_does() -> None:
    reading = read_pdf(pdf([printed(("F1", 11, "one")), printed(("F1", 11, "two"))]), name="a")
    assert reading.text == "# Page 1\n\none\n\n# Page 2\n\ntwo\n\n"
    assert reading.title == ""
    assert text_of(printed(("F1", 11, "# one"))) == "# one"


def test_the_dots_before_a_page_number_are_few() -> None:
    page = printed(("F1", 11, "1. Ducks . . . . . . . . . . 7"), ("F1", 11, "wait... what"))
    assert text_of(page) == "1. Ducks ... 7\n\nwait... what"


def test_running_heads_and_page_numbers_are_left_out() -> None:
    words = ["first", "second", "third", "fourth", "fifth", "sixth"]
    pages = [
        printed(("F1", 11, "World of Ducks"), *[("F1", 11, f"{FULL} {word}")] * 5, ("F1", 11, "7"))
        for word in words
    ]
    text = text_of(*pages)
    assert "World of Ducks" not in text
    assert "7" not in text
    assert all(text.count(f"{FULL} {word}") == 5 for word in words)


def test_the_file_states_its_title_and_date() -> None:
    page = printed(("F1", 11, "text"))
    info = "/Title(Report)/CreationDate(D:20230101)/ModDate(D:20240131123000Z)"
    reading = read_pdf(pdf([page], info=info), name="a.pdf")
    assert (reading.title, reading.date) == ("Report", "2024-01-31T12:30:00+00:00")
    info = "/Title(Microsoft Word - draft.doc)/CreationDate(D:20230101)"
    reading = read_pdf(pdf([page], info=info), name="a.pdf")
    assert (reading.title, reading.date) == ("", "2023-01-01")


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7", b"text", pdf([printed(("F1", 11, "x"))])[:200]])
def test_what_is_no_pdf_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableDocument, match=r"^a\.pdf: broken PDF"):
        read_pdf(data, name="a.pdf")


def test_pictures_of_text_ask_for_ocr() -> None:
    with pytest.raises(UnreadableDocument, match="no text on 2 pages") as caught:
        read_pdf(pdf([b"", b"0 0 m 9 9 l S"]), name="scan.pdf")
    assert "OCR" in caught.value.hint
