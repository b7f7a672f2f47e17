"""Headings of Markdown and fields of records as sections of a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Section
from chunking.sections import Field, field_sections, markdown_sections, wiki_sections

MARKDOWN_PIECES = st.sampled_from(
    ["# One", "## Two", "#", "text", "```", "Set\n===", "---", "\n", "\r\n", "\r", "> # q", "- # l"]
)
WIKI = [("A", 0), ("B", 1), ("C", 2), ("D", 1), ("E", 0)]
FIELDS = st.lists(
    st.builds(
        Field,
        st.lists(st.sampled_from(["A", "B", "C"]), max_size=2).map(tuple),
        st.lists(st.text("xyz ", max_size=5), min_size=1, max_size=3).map(tuple),
    ),
    max_size=8,
)


def outline(text: str) -> list[tuple[str, str]]:
    """Return every section as its path and its text."""
    return [("/".join(s.path), text[s.start : s.end]) for s in markdown_sections(text)]


def test_every_heading_begins_a_section_and_stands_in_it() -> None:
    assert outline("# A\none\n# B\ntwo\n") == [("A", "# A\none\n"), ("B", "# B\ntwo\n")]


def test_headings_nest_by_their_levels() -> None:
    text = "# A\n## B\n### C\n## D\n# E\n### F\n"
    assert [path for path, _ in outline(text)] == ["A", "A/B", "A/B/C", "A/D", "E", "E/F"]


def test_a_level_that_is_skipped_is_no_level() -> None:
    assert [path for path, _ in outline("### C\n# A\n### D\n## B\n")] == ["C", "A", "A/D", "A/B"]


@pytest.mark.parametrize("fence", ["```", "~~~", "````"])
def test_a_number_sign_in_a_code_fence_is_no_heading(fence: str) -> None:
    text = f"# A\n{fence}sh\n# no heading\n{fence}\n# B\n"
    assert [path for path, _ in outline(text)] == ["A", "B"]


def test_underlined_headings_are_headings() -> None:
    assert [path for path, _ in outline("A\n===\none\n\nB\n---\ntwo\n")] == ["A", "A/B"]


def test_a_paragraph_that_a_line_of_marks_follows_is_no_heading() -> None:
    paragraph = "Words of a figure. " * 20
    assert markdown_sections(f"{paragraph}\n===\n") == ()
    assert [path for path, _ in outline(f"# A\n\n{paragraph}\n---\n# B\n")] == ["A", "B"]


@pytest.mark.parametrize("marks", [("=", "==", "==="), ("=", "= =", "= = =")])
def test_headings_of_a_wiki_nest_by_their_marks(marks: tuple[str, ...]) -> None:
    lines = [f" {marks[level]} {name} {marks[level]} \n text\n" for name, level in WIKI]
    text = "".join(lines)
    sections = wiki_sections(text)
    assert ["/".join(s.path) for s in sections] == ["A", "A/B", "A/B/C", "A/D", "E"]
    assert [text[s.start : s.end] for s in sections] == lines


def test_a_line_between_other_marks_is_no_heading_of_a_wiki() -> None:
    assert wiki_sections("= A ==\n==\n= =\n==B==\na = b =\nc\n===\n") == ()


def test_text_before_the_first_heading_of_a_wiki_is_a_section_without_path() -> None:
    assert wiki_sections("before\n= A =\n") == (Section((), 0, 7), Section(("A",), 7, 13))


def test_a_heading_of_two_lines_is_one_line_in_the_breadcrumb() -> None:
    assert [path for path, _ in outline("A long\n  heading\n===\n")] == ["A long heading"]


def test_a_text_without_headings_has_no_sections() -> None:
    assert markdown_sections("one\n\ntwo #three\n") == ()
    assert markdown_sections("") == ()


def test_text_before_the_first_heading_is_a_section_without_path() -> None:
    assert outline("before\n# A\n") == [("", "before\n"), ("A", "# A\n")]
    assert outline("\n \n# A\n") == [("A", "# A\n")]


def test_headings_of_the_same_name_are_sections_of_their_own() -> None:
    text = "# A\n## Note\none\n# B\n## Note\ntwo\n## Note\n"
    assert [path for path, _ in outline(text)] == ["A", "A/Note", "B", "B/Note", "B/Note"]


def test_headings_inside_quotes_and_lists_are_text() -> None:
    assert [path for path, _ in outline("# A\n> # quoted\n\n- # listed\n")] == ["A"]


def test_an_empty_heading_adds_nothing_to_the_path() -> None:
    assert [path for path, _ in outline("# A\n##\ntext\n### B\n")] == ["A", "A", "A/B"]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_sections_begin_where_their_headings_do_whatever_ends_a_line(line_end: str) -> None:
    text = line_end.join(["before", "# A", "one", "# B", "two"])
    assert [text[s.start :][:3] for s in markdown_sections(text)] == ["bef", "# A", "# B"]


def test_signs_that_end_a_line_elsewhere_do_not_shift_sections() -> None:
    text = "a\x0b\x0c\x1c\x85\u2028\u2029b\n# A\n"
    assert outline(text)[-1] == ("A", "# A\n")


@given(st.lists(MARKDOWN_PIECES).map("\n".join))
def test_sections_of_markdown_follow_each_other_to_the_end(text: str) -> None:
    sections = markdown_sections(text)
    if sections:
        assert text[: sections[0].start].strip() == ""
        assert [s.end for s in sections] == [*(s.start for s in sections[1:]), len(text)]


def test_a_field_is_a_section_of_its_lines() -> None:
    text, sections = field_sections([Field(("Geography", "Area"), ("Area - total: 7", "note: a"))])
    assert text == "Geography\nArea - total: 7\nnote: a\n\n"
    [section] = sections
    assert section == Section(("Geography", "Area"), 10, 33)
    assert text[section.start : section.end] == "Area - total: 7\nnote: a"


def test_the_outermost_heading_stands_once_above_its_fields() -> None:
    fields = [Field(("A", "x"), ("1",)), Field(("A", "y"), ("2",)), Field(("B", "z"), ("3",))]
    assert field_sections(fields)[0] == "A\n1\n2\n\nB\n3\n\n"


def test_fields_without_a_path_follow_each_other() -> None:
    text, sections = field_sections([Field((), ("1",)), Field((), ("2",))])
    assert text == "1\n2\n\n"
    assert [section.path for section in sections] == [(), ()]


def test_no_fields_are_no_text() -> None:
    assert field_sections([]) == ("", ())


@given(FIELDS)
def test_every_field_is_found_at_its_section_in_order(fields: list[Field]) -> None:
    text, sections = field_sections(fields)
    assert [s.path for s in sections] == [field.path for field in fields]
    assert [text[s.start : s.end] for s in sections] == ["\n".join(f.lines) for f in fields]
    ends = [0, *(section.end for section in sections)]
    assert all(end <= s.start for end, s in zip(ends, sections, strict=False))
