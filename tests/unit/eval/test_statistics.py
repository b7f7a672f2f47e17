from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.statistics import auroc, compare, compare_all, percentile, summarize, summarize_auroc

pytest.importorskip("scipy", reason="needs the extra `eval`")


def test_a_share_has_wilsons_interval() -> None:
    found = summarize([1.0] * 10)

    assert (found.mean, found.questions) == (1.0, 10)
    assert (found.low, found.high) == pytest.approx((0.7225, 1.0), abs=1e-4)


def test_a_mean_lies_in_its_interval_and_the_seed_decides_it() -> None:
    values = [n / 100 for n in range(100)]
    found = summarize(values, seed=1)

    assert found.low < found.mean < found.high
    # The normal approximation: 0.495 ± 1.96 * 0.2901 / 10.
    assert (found.low, found.high) == pytest.approx((0.438, 0.552), abs=0.005)
    assert found == summarize(values, seed=1) != summarize(values, seed=2)


def test_values_that_are_all_alike_have_no_width() -> None:
    found = summarize([0.5, 0.5, 0.5])

    assert (found.low, found.mean, found.high) == (0.5, 0.5, 0.5)


def test_a_pair_of_configurations_that_always_differs_is_significant() -> None:
    found = compare(
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], [0.2, 0.4, 0.4, 0.6, 0.6, 0.8, 0.8, 1.0]
    )

    assert found.difference == pytest.approx(found.second - found.first) == pytest.approx(0.15)
    assert 0 < found.low < found.difference < found.high
    # All eight signs alike, out of 2**8, on both sides.
    assert found.p == pytest.approx(2 / 256)
    assert found.questions == 8


def test_differences_that_cancel_out_are_not_significant() -> None:
    found = compare([0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0])

    assert (found.difference, found.p) == (0.0, 1.0)
    assert found.low < 0 < found.high


def test_configurations_that_are_alike_have_p_1() -> None:
    found = compare([0.5, 0.25], [0.5, 0.25])

    assert (found.difference, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_only_questions_and_metrics_that_both_have_are_compared() -> None:
    first = {"1": {"recall@5": 0.0, "old": 1.0}, "2": {"recall@5": 0.5}, "3": {"recall@5": 1.0}}
    second = {"1": {"recall@5": 1.0, "new": 1.0}, "2": {"recall@5": 0.5}, "4": {"recall@5": 0.0}}

    found = compare_all(first, second)

    assert list(found) == ["recall@5"]
    assert (found["recall@5"].questions, found["recall@5"].difference) == (2, 0.5)


def test_auroc_by_hand_with_ties_counted_half() -> None:
    # Pairs: 3 of 4 above, one tie.
    assert auroc([0.9, 0.5], [0.5, 0.1]) == 3.5 / 4
    assert auroc([1.0], [0.0]) == 1.0
    assert auroc([0.0], [1.0]) == 0.0


@given(st.lists(st.floats(0, 1), min_size=1), st.lists(st.floats(0, 1), min_size=1))
def test_auroc_of_the_sides_changed_is_the_rest(one: list[float], other: list[float]) -> None:
    assert auroc(one, other) + auroc(other, one) == pytest.approx(1.0)
    summed = summarize_auroc(one, other)
    assert 0 <= summed.low <= summed.mean <= summed.high <= 1


def test_percentiles_of_latencies() -> None:
    assert percentile([1, 2, 3, 4, 5], 0.5) == 3
    assert percentile([7], 0.95) == 7


def test_one_question_has_an_interval_and_p_1() -> None:
    for one, other in ((1.0, 0.0), (0.5, 0.25)):
        found = compare([one], [other])
        assert (found.p, found.questions) == (1.0, 1)
        assert found.low <= found.difference <= found.high


def test_few_questions_have_a_wide_interval_even_where_all_are_alike() -> None:
    lost, same = compare([1.0] * 3, [0.0] * 3), compare([1.0] * 5, [1.0] * 5)

    assert lost.low == -1
    assert lost.high > 0
    assert lost.p == pytest.approx(0.25)
    assert same.low < -0.4
    assert same.high > 0.4
    assert same.p == 1.0


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_an_interval_of_right_and_wrong_holds_the_difference_and_turns_with_it(
    pairs: list[tuple[bool, bool]],
) -> None:
    one, other = ([float(pair[side]) for pair in pairs] for side in (0, 1))
    found, turned = compare(one, other), compare(other, one)

    assert -1 <= found.low < found.high <= 1
    assert found.low <= found.difference <= found.high
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))
    assert found.p == pytest.approx(turned.p)
