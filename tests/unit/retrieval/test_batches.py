"""Plans of batches keep every text once, sorted by length, within the budget."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.batches import BatchLimits, plan_batches

COUNTS = st.lists(st.integers(0, 300), max_size=200)
LIMITS = st.builds(BatchLimits, budget=st.integers(1, 2000), overhead=st.integers(0, 500))


def padded(batch: list[int], counts: list[int]) -> int:
    return len(batch) * max(counts[position] for position in batch)


@given(COUNTS, LIMITS)
def test_every_text_stands_in_exactly_one_batch(counts: list[int], limits: BatchLimits) -> None:
    batches = plan_batches(counts, limits)
    assert sorted(position for batch in batches for position in batch) == [*range(len(counts))]
    assert all(batches)


@given(COUNTS, LIMITS)
def test_a_batch_stays_within_the_budget_unless_it_is_one_text(
    counts: list[int], limits: BatchLimits
) -> None:
    for batch in plan_batches(counts, limits):
        assert len(batch) == 1 or padded(batch, counts) <= limits.budget


@given(COUNTS, LIMITS)
def test_padding_never_costs_more_than_another_batch(
    counts: list[int], limits: BatchLimits
) -> None:
    for batch in plan_batches(counts, limits):
        real = sum(counts[position] for position in batch)
        assert padded(batch, counts) - real <= limits.overhead


@given(COUNTS, LIMITS)
def test_lengths_fall_from_batch_to_batch_and_within_each(
    counts: list[int], limits: BatchLimits
) -> None:
    order = [counts[place] for batch in plan_batches(counts, limits) for place in batch]
    assert order == sorted(counts, reverse=True)


@given(COUNTS, LIMITS)
def test_no_batch_ends_without_a_reason(counts: list[int], limits: BatchLimits) -> None:
    batches = plan_batches(counts, limits)
    for batch, following in pairwise(batches):
        grown = [*batch, following[0]]
        padding = padded(grown, counts) - sum(counts[position] for position in grown)
        assert padded(grown, counts) > limits.budget or padding > limits.overhead


@given(COUNTS, LIMITS)
def test_the_same_counts_have_the_same_plan(counts: list[int], limits: BatchLimits) -> None:
    assert plan_batches(counts, limits) == plan_batches([*counts], limits)


def test_a_text_longer_than_the_budget_is_alone_and_the_others_are_not() -> None:
    limits = BatchLimits(budget=100, overhead=100)
    assert plan_batches([20, 500, 20, 20], limits) == [[1], [0, 2, 3]]


def test_short_texts_do_not_pay_for_a_long_one() -> None:
    counts = [200, *[10] * 30]
    cheap = plan_batches(counts, BatchLimits(budget=10_000, overhead=50))
    dear = plan_batches(counts, BatchLimits(budget=10_000, overhead=6000))
    assert [len(batch) for batch in cheap] == [1, 30]
    assert [len(batch) for batch in dear] == [31]


@pytest.mark.parametrize(("budget", "overhead"), [(0, 0), (-1, 5), (10, -1)])
def test_limits_that_leave_no_room_are_refused(budget: int, overhead: int) -> None:
    with pytest.raises(ValueError, match=str(budget)):
        BatchLimits(budget=budget, overhead=overhead)
