"""Where texts may be cut."""

from __future__ import annotations

import pytest
from hypothesis import given

from chunking.cuts import CUTS, boundaries, line_spans, visible_spans
from tests.measures import ODD_TEXTS


def test_lines_are_found_without_the_white_space_around_them() -> None:
    text = "skip\n one \n\n\t\ntwo\u00a0\nthree"
    assert [text[a:b] for a, b in line_spans(text, 5, len(text))] == ["one", "two", "three"]


def test_a_line_ends_where_the_span_does() -> None:
    assert list(line_spans("one two\nthree", 4, 9)) == [(4, 7), (8, 9)]


@pytest.mark.parametrize("level", range(len(CUTS)))
@given(text=ODD_TEXTS)
def test_the_parts_of_a_cut_hold_every_visible_character_once(level: int, text: str) -> None:
    spans = list(visible_spans(text, 0, len(text), cut=CUTS[level]))
    assert all(text[start:end] == text[start:end].strip() != "" for start, end in spans)
    held = [place for start, end in spans for place in range(start, end)]
    assert held == sorted(set(held))
    assert {place for place, sign in enumerate(text) if not sign.isspace()} <= set(held)


def test_boundaries_are_the_ends_of_sentences_and_lines_but_the_last() -> None:
    text = "One here. Two there.\nThree."
    assert [text[:end] for end in boundaries(text)] == ["One here.", "One here. Two there."]
