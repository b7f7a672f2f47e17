"""Which lines belong together: paragraphs, parts of fenced programs, rows of tables."""

from __future__ import annotations

import pytest

from chunking.blocks import lines_of


def told(text: str) -> list[tuple[str, int, int, str]]:
    """Return every line's text, block, part and columns."""
    lines = lines_of(text, 0, len(text))
    return [(text[ln.start : ln.end], ln.block, ln.part, ln.columns) for ln in lines]


def test_blank_lines_part_blocks() -> None:
    assert [line[:3] for line in told("a\nb\n\nc\n \t\nd")] == [
        ("a", 0, 0),
        ("b", 0, 0),
        ("c", 1, 1),
        ("d", 2, 2),
    ]


def test_a_definition_in_a_fence_goes_on_behind_a_blank_line() -> None:
    text = "```python\ndef f():\n    a\n\n    b\n\ndef g():\n    c\n```"
    assert [block for _, block, _, _ in told(text)] == [0, 0, 0, 0, 1, 1, 1]
    assert [part for _, _, part, _ in told(text)] == [0, 0, 0, 1, 2, 2, 2]


def test_rows_have_the_names_of_their_columns() -> None:
    text = "before\n| Country | Area |\n|---|--:|\n| Chad | 7 |\n| Niger | 8 |\nafter"
    names = "Country | Area"
    assert told(text) == [
        ("before", 0, 0, ""),
        ("| Country | Area |", 1, 1, ""),
        ("|---|--:|", 1, 1, ""),
        ("| Chad | 7 |", 1, 1, names),
        ("| Niger | 8 |", 1, 1, names),
        ("after", 2, 2, ""),
    ]


def test_a_table_ends_at_a_blank_line() -> None:
    text = "a | b\n--|--\n1 | 2\n\n3 | 4\n\nc | d\n-|-\n5 | 6"
    assert [columns for *_, columns in told(text)] == ["", "", "a | b", "", "", "", "c | d"]


def test_an_escaped_bar_parts_no_cells() -> None:
    assert told("a\\|b | c\n--|--\n1 | 2")[-1][3] == "a\\|b | c"


@pytest.mark.parametrize(
    "text",
    [
        "a | b\n1 | 2\n3 | 4",
        "a | b | c\n--|--\n1 | 2",
        "a | b\n\n--|--\n1 | 2",
        "```\na | b\n--|--\n1 | 2\n```",
        "a\n---\n1 | 2",
    ],
)
def test_lines_with_bars_that_no_table_holds_have_no_columns(text: str) -> None:
    assert {columns for *_, columns in told(text)} == {""}


@pytest.mark.parametrize("inner", ["``", "~~~", "``` not its end"])
def test_a_fence_ends_where_its_own_marks_stand_alone(inner: str) -> None:
    text = f"```\n{inner}\na | b\n--|--\n1 | 2\n```\na | b\n--|--\n1 | 2"
    assert [columns for *_, columns in told(text)] == [""] * 8 + ["a | b"]
