"""Measures say where their counts add up, and only where that is known."""

from __future__ import annotations

import pytest

from chunking.measures import SeamedMeasure, TiktokenMeasure
from tests.measures import byte_pairs, published


def test_an_encoding_counts_special_tokens_as_plain_text() -> None:
    measure = TiktokenMeasure(byte_pairs())
    assert measure(["<|endoftext|>", ""]) == [13, 0]
    assert measure.word("<|endoftext|>") == 13


def test_an_encoding_counts_text_that_has_no_utf_8_form() -> None:
    assert TiktokenMeasure(byte_pairs())(["\ud800"]) == [3]


@pytest.mark.parametrize("pattern", [r"\S+|\s+", r"\S+ \S+|\S+|\s+", r"(?<= )\S+|\S+|\s+"])
def test_an_unknown_pattern_has_no_known_seams(pattern: str) -> None:
    assert TiktokenMeasure(byte_pairs(pattern)).seams is None


@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base"])
def test_counts_by_published_encodings_add_up_at_spaces(name: str) -> None:
    measure = published(name)
    if measure is None:
        pytest.skip(f"{name} is not here")
    assert isinstance(measure, SeamedMeasure)
    assert measure.seams == "space"


def test_a_plain_function_is_no_seamed_measure() -> None:
    assert not isinstance(lambda texts: [len(text) for text in texts], SeamedMeasure)
