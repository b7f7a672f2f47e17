"""Which hits have the line that says what is asked for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Chunk
from retrieval.lines import rank_by_lines
from retrieval.records import Hit


def hit(text: str) -> Hit:
    return Hit(Chunk(text, "d", "D", (), 0, len(text), text, 0), 1.0)


def ranked(phrase: str, *texts: str) -> list[str]:
    return [each.chunk.text for each in rank_by_lines([hit(text) for text in texts], phrase)]


def test_the_line_with_all_words_comes_first() -> None:
    texts = ("Wheel - colour: red\nFiles: 3", "Colour: blue\nWheel - total size: 3 kB")
    assert ranked("total size of the wheel", *texts) == [texts[1]]


def test_of_two_lines_the_terser_comes_first() -> None:
    texts = ("A wheel of any size runs, whatever the weather", "Wheel - size: 1,234,567 (2025)")
    assert ranked("wheel size", *texts) == [texts[1], texts[0]]


def test_a_plural_is_its_singular() -> None:
    assert ranked("number of dependencies", "Dependency count: 3") == ["Dependency count: 3"]


def test_words_of_several_lines_make_no_line() -> None:
    assert ranked("open wheel colour", "Open: no\nWheel: 1\nColour: red") == []


def test_equal_lines_keep_the_order_of_the_hits() -> None:
    assert ranked("wheel", "b: wheel", "a: wheel") == ["b: wheel", "a: wheel"]


@given(st.lists(st.text(max_size=20), max_size=4), st.text(max_size=20))
def test_any_texts_can_be_ranked(texts: list[str], phrase: str) -> None:
    found = ranked(phrase, *texts)
    assert set(found) <= set(texts)
    assert len(found) <= len(texts)
