"""Reciprocal rank fusion orders by the sum of reciprocal ranks, ties included."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.fuse import fuse_rankings


@pytest.mark.parametrize(
    ("rankings", "fused"),
    [
        ([], ""),
        (["", ""], ""),
        (["abc"], "abc"),
        (["abc", ""], "abc"),
        (["abc", "xyz"], "axbycz"),
        # What both name beats what one names first.
        (["abc", "xbz"], "baxcz"),
        (["ab", "ba"], "ab"),
        (["ba", "ab"], "ba"),
        (["abc", "abc", "cba"], "abc"),
    ],
)
def test_rankings_are_fused(rankings: list[str], fused: str) -> None:
    assert "".join(fuse_rankings(rankings)) == fused


RANKINGS = st.lists(st.lists(st.integers(0, 20), unique=True, max_size=12), max_size=4)


@given(RANKINGS)
def test_every_item_comes_once_and_one_that_is_ranked_higher_everywhere_comes_first(
    rankings: list[list[int]],
) -> None:
    fused = fuse_rankings(rankings)
    assert sorted(fused) == sorted({item for ranking in rankings for item in ranking})
    places = {item: place for place, item in enumerate(fused)}
    for left in fused:
        for right in fused:
            holding = [r for r in rankings if right in r]
            if left != right and all(left in r and r.index(left) < r.index(right) for r in holding):
                assert places[left] < places[right]
