"""OpenDocument files and books become text with headings, in reading order."""

from __future__ import annotations

import pytest

from chunking.errors import UnreadableDocument
from ingest.readers.epub import read_epub
from ingest.readers.opendocument import read_opendocument
from scripts.prove_ingest.hostile_packages import packed
from tests.written_files import epub, odt


def text_of(body: str, *, kind: str = "text") -> str:
    return read_opendocument(odt(body, kind=kind), name="a.odt").text.strip()


def test_headings_paragraphs_and_lists_of_an_opendocument_text() -> None:
    body = (
        '<text:h text:outline-level="1">Chad</text:h><text:p>one <text:span>two</text:span>'
        "<text:s text:c='3'/>three<text:tab/>four</text:p><text:list><text:list-item>"
        "<text:p>a</text:p><text:list><text:list-item><text:p>b</text:p></text:list-item>"
        "</text:list></text:list-item></text:list><text:tracked-changes><text:p>gone</text:p>"
        "</text:tracked-changes>"
    )
    assert text_of(body) == "# Chad\n\none two three four\n\n- a\n  - b"


def test_a_table_of_an_opendocument_text_reads_with_its_header() -> None:
    cell = "<table:table-cell><text:p>{}</text:p></table:table-cell>"
    rows = "".join(
        f"<table:table-row>{''.join(map(cell.format, row))}</table:table-row>"
        for row in (["City", "Country", "People"], ["Lomé", "Togo", "2"])
    )
    assert text_of(f"<table:table>{rows}</table:table>").endswith(
        "City: Lomé; Country: Togo; People: 2"
    )


def test_a_slide_of_an_opendocument_presentation_is_a_section() -> None:
    box = "<draw:frame {}><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>"
    page = box.format('presentation:class="title"', "Ducks") + box.format("", "salt")
    text = text_of(f"<draw:page>{page}</draw:page>", kind="presentation")
    assert text == "# Slide 1: Ducks\n\nsalt"


def test_an_opendocument_file_states_its_title_and_date() -> None:
    meta = "<dc:title>Report</dc:title><dc:date>2024-01-31T12:30:00</dc:date>"
    reading = read_opendocument(odt("<text:p>x</text:p>", meta=meta), name="a.odt")
    assert (reading.title, reading.date) == ("Report", "2024-01-31T12:30:00")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (packed({}), "no OpenDocument inside"),
        (odt("", kind="spreadsheet"), "a spreadsheet inside"),
        (packed({"META-INF/manifest.xml": "<encryption-data/>"}), "encrypted"),
        (packed({"content.xml": "<a"}), "invalid XML inside"),
    ],
)
def test_what_is_no_opendocument_text_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(UnreadableDocument, match=rf"^a\.odt: {message}"):
        read_opendocument(data, name="a.odt")


def test_a_book_is_read_in_the_order_of_its_spine() -> None:
    pages = {"b": "<h1>Two</h1><p>second</p>", "a": "<h1>One</h1><p>first</p>", "c": "unlisted"}
    metadata = "<dc:title>Book</dc:title><dc:date>2001-02-03</dc:date>"
    book = epub(pages, spine=["a", "b", "missing"], metadata=metadata)
    reading = read_epub(book, name="a.epub")
    assert reading.text == "# One\n\nfirst\n\n# Two\n\nsecond\n\n"
    assert (reading.title, reading.date) == ("Book", "2001-02-03")


@pytest.mark.parametrize(
    "data", [packed({}), packed({"META-INF/container.xml": '<c><rootfile full-path="../x"/></c>'})]
)
def test_what_is_no_book_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableDocument, match=r"^a\.epub: no EPUB inside"):
        read_epub(data, name="a.epub")
