"""Sums over words are the counts of whole texts, for every text and every seamed measure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.cuts import Span
from chunking.measures import SeamedMeasure, Seams
from chunking.words import PartedWords, SpacedWords, text_counts
from tests.measures import ODD_PIECES, ODD_TEXTS, seamed_measures

MEASURES = seamed_measures()
CODE_POINTS = st.lists(st.integers(0, 0x10FFFF).map(chr), max_size=40).map("".join)
TEXTS = ODD_TEXTS | CODE_POINTS | st.text(max_size=60)


@pytest.fixture(params=MEASURES)
def measure(request: pytest.FixtureRequest) -> SeamedMeasure:
    return MEASURES[request.param]


class Recording:
    """A measure of letters, spaces apart, that keeps the words it was asked for."""

    def __init__(self, seams: Seams = "white space") -> None:
        self.seams: Seams = seams
        self.asked: list[str] = []

    def __call__(self, texts: Sequence[str]) -> list[int]:
        return [len("".join(text.split())) + 2 for text in texts]

    def word(self, word: str) -> int:
        self.asked.append(word)
        return self([word])[0] - 2


def visible_spans(text: str, cuts: Sequence[int]) -> list[Span]:
    """Return the spans between cuts, in order, each without the white space around it."""
    spans = []
    for start, end in pairwise([0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]):
        part = text[start:end]
        begin = start + len(part) - len(part.lstrip())
        if part.strip():
            spans.append((begin, begin + len(part.strip())))
    return spans


@given(texts=st.lists(TEXTS, max_size=6))
@pytest.mark.parametrize("name", MEASURES)
def test_sums_are_the_counts_of_the_whole_texts(name: str, texts: list[str]) -> None:
    measure = MEASURES[name]
    counts = text_counts(measure)
    assert [tokens + counts.special for tokens in counts.count(texts)] == measure(texts)


@given(text=TEXTS, header=TEXTS, cuts=st.lists(st.integers(0, 100), max_size=6))
@pytest.mark.parametrize("name", MEASURES)
def test_what_joining_adds_is_never_underestimated(
    name: str, text: str, header: str, cuts: list[int]
) -> None:
    measure = MEASURES[name]
    spans = visible_spans(text, cuts)
    if not spans:
        return
    counts = text_counts(measure)
    tokens = sum(counts.count([text[start:end] for start, end in spans]))
    more = counts.joined(header, text, spans)
    if more is not None:
        [whole] = measure([f"{header}\n{text[spans[0][0] : spans[-1][1]]}"])
        assert whole <= tokens + more
        assert whole == tokens + more or measure.seams != "white space"


def test_lines_and_sentences_are_joined_without_measuring_them(measure: SeamedMeasure) -> None:
    text = "The population of Chad. It grows.\n\nChad - area: 1,284,000 sq km\nnote"
    spans = [(0, 23), (24, 33), (35, 63), (64, 68)]
    counts = text_counts(measure)
    counts.count(text.split("\n"))
    tokens = sum(counts.count([text[start:end] for start, end in spans]))
    more = counts.joined("Chad > People", text, spans)
    assert more is not None
    [whole] = measure([f"Chad > People\n{text}"])
    assert whole <= tokens + more <= whole + 8


def test_a_stroke_that_may_belong_to_the_line_above_is_not_added_up() -> None:
    counts = SpacedWords(MEASURES["bytes by GPT-2's pattern"])
    assert counts.joined("A", "a.\n/b", [(0, 2), (3, 5)]) is None


def test_a_word_is_counted_once() -> None:
    measure = Recording()
    counts = PartedWords(measure)
    assert counts.count(["one two one", "two\none"]) == [9, 6]
    assert sorted(measure.asked) == ["one", "two"]


def test_a_word_behind_a_space_is_another_one() -> None:
    measure = Recording("space")
    assert SpacedWords(measure).count(["one two one", "two one"]) == [9, 6]
    assert sorted(measure.asked) == [" one", " two", "one", "two"]


def test_the_memory_forgets_rather_than_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chunking.words._Remembered.MOST", 3)
    measure = Recording()
    counts = PartedWords(measure)
    for _ in range(2):
        assert counts.count(["a bb ccc dddd eeeee"]) == [15]
    assert len(measure.asked) > 5


def test_a_long_word_is_not_remembered() -> None:
    measure = Recording()
    counts = PartedWords(measure)
    assert counts.count(["x" * 41, "x" * 41, "x" * 40, "x" * 40]) == [41, 41, 40, 40]
    assert [len(text) for text in measure.asked] == [41, 41, 40]


def test_a_plain_function_is_asked_for_every_text() -> None:
    asked: list[str] = []

    def measure(texts: Sequence[str]) -> list[int]:
        asked.extend(texts)
        return [len(text) + 1 for text in texts]

    counts = text_counts(measure)
    assert counts.special == 1
    assert counts.count(["ab", "ab"]) == [2, 2]
    assert asked == ["", "ab", "ab"]
    assert counts.joined("", "ab", [(0, 2)]) is None


def test_the_odd_texts_hold_all_white_space_of_python_and_of_the_tokenizers() -> None:
    assert {" ", "\n", "\r", "\x1c", "\x85", "\u00a0", "\u2028"} <= set("".join(ODD_PIECES))
