"""Text, Markdown and JSON are read as they stand; Markdown's front matter states facts."""

from __future__ import annotations

import pytest

from chunking.errors import UnreadableDocument
from ingest.readers.plain import (
    read_csv,
    read_json_file,
    read_markdown,
    read_record,
    read_text,
)

FRONT = b'---\ntitle: "The Page"\ntags: [a]\nDate: 2024-01-31\n---\n'


def test_front_matter_states_title_and_date_and_is_no_heading() -> None:
    reading = read_markdown(FRONT + b"# Chad\n\ndry\n", name="a.md")
    assert (reading.title, reading.date) == ("The Page", "2024-01-31")
    assert reading.text.encode() == FRONT + b"# Chad\n\ndry\n"
    paths = [(s.path, reading.text[s.start : s.end]) for s in reading.sections]
    assert paths == [((), FRONT.decode()), (("Chad",), "# Chad\n\ndry\n")]


def test_front_matter_of_toml_and_after_blank_lines_states_them_too() -> None:
    toml = b'\n+++\ntitle = "The Page"\ndate = 2024-01-31\n[params]\ntitle = "Other"\n+++\n'
    for front in (toml, b"\n\n" + FRONT):
        reading = read_markdown(front + b"# Chad\n\ndry\n", name="a.md")
        assert (reading.title, reading.date) == ("The Page", "2024-01-31")
        paths = [(s.path, reading.text[s.start : s.end]) for s in reading.sections]
        assert paths == [((), front.decode()), (("Chad",), "# Chad\n\ndry\n")]


def test_front_matter_alone_and_before_plain_text_makes_no_sections() -> None:
    assert read_markdown(FRONT, name="a.md").sections == ()
    assert read_markdown(FRONT + b"text\n", name="a.md").sections == ()
    assert read_markdown(FRONT + b"text\n\n# Head", name="a.md").sections[0].start == 0


def test_a_rule_at_the_start_is_no_front_matter() -> None:
    reading = read_markdown(b"---\n\ntext without an end\n\n# Head\n", name="a.md")
    assert reading.title == "Head"


def test_a_wikis_headings_are_read_where_markdown_has_none() -> None:
    one, two = b" = Chad = \n dry\n", b" = Niger = \n drier\n"
    for read in (read_text, read_markdown):
        assert [s.path for s in read(one + two, name="a").sections] == [("Chad",), ("Niger",)]
        assert (read(one, name="a").title, read(one + two, name="a").title) == ("Chad", "")
    assert [s.path for s in read_markdown(b"# A\n" + one, name="a.md").sections] == [("A",)]


def test_a_million_brackets_take_no_minutes() -> None:
    assert read_markdown(b"[" * 1_000_000, name="a.md").sections == ()


def test_a_record_states_its_title_and_date() -> None:
    reading = read_record({"name": "Chad", "date": "2024-01-31", "Area": {"total": 7}}, name="a")
    assert (reading.title, reading.date) == ("Chad", "2024-01-31")
    assert read_json_file(b'["x"]', name="folder/a.json").sections[0].path == ("a",)


@pytest.mark.parametrize("data", [b",,\n", b'""'])
def test_a_table_without_text_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableDocument, match=r"^a\.csv: no text in any cell"):
        read_csv(data, name="a.csv")
