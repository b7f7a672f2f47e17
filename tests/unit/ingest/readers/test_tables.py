"""CSV files become a line per row, whatever their delimiter."""

from __future__ import annotations

import pytest

from chunking.document import Document
from chunking.split import Splitter
from ingest.readers.tables import LONG_ROW_CHARACTERS, read_table


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_row_reads_with_its_header_whatever_the_delimiter(delimiter: str) -> None:
    text = f'City{delimiter}Note\nLomé{delimiter}"a{delimiter} ""b""\nc"\n\nX{delimiter}\n'
    assert read_table(text).text == (
        f'City | Note\nCity: Lomé; Note: a{delimiter.strip()} "b" c\nCity: X\n\n'
    )


def test_a_table_without_a_header_is_read_as_it_stands() -> None:
    assert read_table("1,Lomé,x\n2,Moundou,y\n").text == "1 | Lomé | x\n2 | Moundou | y\n\n"


def test_a_column_alone_has_a_name_too() -> None:
    assert read_table("City\nLomé\n").text == "City\nCity: Lomé\n\n"


def test_rows_that_are_longer_or_shorter_lose_nothing() -> None:
    assert read_table("a,b\n1\n2,3,4\n").text == "a | b\na: 1\na: 2; b: 3; 4\n\n"


def test_a_long_row_is_a_section_that_each_of_its_chunks_can_name() -> None:
    long = "word " * (LONG_ROW_CHARACTERS // 5 + 1)
    reading = read_table(f"Title,Text,Year\nDucks,{long},2024\n{'x' * 90},{long},2025\n")
    assert [section.path for section in reading.sections] == [("Ducks",), ("Row 2",)]
    assert reading.text.startswith("# Ducks\n\nTitle: Ducks\nText: word word")
    assert reading.text.rstrip().endswith("Year: 2025")


def test_a_quote_left_open_loses_nothing() -> None:
    assert read_table('a,b\n"x,y\nz,1\n').text == "a | b\na: x,y z,1\n\n"


def test_a_text_without_cells_is_empty() -> None:
    assert read_table(",,\n\n,\n").text == ""
    assert read_table("").text == ""


def test_every_chunk_of_a_table_says_which_columns_its_cells_are_of() -> None:
    rows = "".join(f"Country{number},{number}\n" for number in range(60))
    reading = read_table(f"Name,Area\n{rows}")
    document = Document("a.csv", reading.text, "a", "a.csv", sections=reading.sections)
    splitter = Splitter(lambda texts: [len(text.split()) + 2 for text in texts], size=40, limit=60)
    chunks = splitter.split(document)
    assert len(chunks) > 3
    assert all("Name: Country" in chunk.text and "; Area: " in chunk.text for chunk in chunks)
