"""Fused scores order by meaning and words together, ties included."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.fuse import fuse_scores


@pytest.mark.parametrize(
    ("cosines", "terms", "fused"),
    [
        ({}, {}, ""),
        ({"a": 0.5}, {}, "a"),
        ({}, {"a": 0.5}, "a"),
        ({"a": 0.9, "b": 0.5, "c": 0.2}, {}, "abc"),
        # What both find comes before what one of them finds first.
        ({"a": 0.9, "b": 0.8, "c": 0.1}, {"c": 9.0, "b": 8.0}, "bac"),
        # The best by words alone is level with the nearest alone, which comes first.
        ({"a": 0.9, "b": 0.1}, {"c": 3.0}, "acb"),
        # What embedders call far differs; only how far apart chunks are counts.
        ({"a": 0.90, "b": 0.85, "c": 0.80}, {"c": 1.0, "b": 0.6}, "bac"),
        ({"a": 0.4, "b": 0.4}, {"b": 1.0}, "ba"),
        ({"a": 0.4, "b": 0.4}, {}, "ab"),
    ],
)
def test_scores_are_fused(cosines: dict[str, float], terms: dict[str, float], fused: str) -> None:
    assert "".join(fuse_scores(cosines, terms, term_floor=0.0)) == fused


def test_what_shares_no_more_words_than_hundreds_do_gains_nothing_by_them() -> None:
    terms = {"a": 9.0, "b": 7.01, "c": 7.0}
    cosines = {"d": 0.8, "c": 0.5, "x": 0.2}
    assert fuse_scores(cosines, terms, term_floor=7.0) == ["d", "a", "c", "b", "x"]


COSINES = st.dictionaries(st.integers(0, 9), st.integers(-100, 100).map(lambda n: n / 100))
SCORES = st.dictionaries(st.integers(0, 9), st.integers(1, 100).map(float))


@given(COSINES, SCORES)
def test_every_item_comes_once_and_one_that_both_prefer_comes_first(
    cosines: dict[int, float], terms: dict[int, float]
) -> None:
    fused = fuse_scores(cosines, terms, term_floor=0.0)
    assert sorted(fused) == sorted(cosines.keys() | terms.keys())
    places = {item: place for place, item in enumerate(fused)}
    for left, nearer in cosines.items():
        for right, farther in cosines.items():
            if nearer > farther and terms.get(left, 0) >= terms.get(right, 0):
                assert places[left] < places[right]


@given(COSINES, SCORES, st.integers(1, 50), st.integers(2, 9))
def test_the_scale_of_either_score_does_not_count(
    cosines: dict[int, float], terms: dict[int, float], half: int, times: int
) -> None:
    scaled = {item: score * 2**times for item, score in terms.items()}
    nearer = {item: cosine * 0.5**half for item, cosine in cosines.items()}
    expected = fuse_scores(cosines, terms, term_floor=0.0)
    assert fuse_scores(nearer, scaled, term_floor=0.0) == expected
