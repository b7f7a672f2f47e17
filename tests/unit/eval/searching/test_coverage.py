from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.questions import Span
from eval.searching.coverage import count_characters, covered, measure_coverage, precision_omega


def spans(*pairs: tuple[int, int], document: str = "a") -> list[Span]:
    return [Span(document, start, end) for start, end in pairs]


def test_recall_precision_and_iou_by_hand() -> None:
    # 20 characters are wanted, 10 of them found, in 40 that were retrieved.
    coverage = measure_coverage(spans((10, 20), (50, 60)), spans((0, 30), (90, 100)))

    assert (coverage.recall, coverage.precision) == (10 / 20, 10 / 40)
    assert coverage.iou == 10 / (20 + 40 - 10)


def test_a_character_that_two_chunks_hold_is_found_once_and_paid_for_twice() -> None:
    coverage = measure_coverage(spans((0, 10)), spans((0, 10), (0, 10)))

    assert (coverage.recall, coverage.precision, coverage.iou) == (1.0, 0.5, 0.5)


def test_the_same_place_of_another_document_is_not_found() -> None:
    coverage = measure_coverage(spans((0, 10)), spans((0, 10), document="b"))

    assert (coverage.recall, coverage.precision, coverage.iou) == (0.0, 0.0, 0.0)


def test_nothing_retrieved_covers_nothing() -> None:
    coverage = measure_coverage(spans((0, 10)), [])

    assert (coverage.recall, coverage.precision, coverage.iou) == (0.0, 0.0, 0.0)


def test_precision_omega_is_that_of_all_chunks_that_hold_gold() -> None:
    chunks = spans((0, 20), (20, 40), (40, 60))

    assert precision_omega(spans((10, 20)), chunks) == 10 / 20
    # A chunk that the gold only touches holds none of it.
    assert precision_omega(spans((10, 30)), chunks) == 20 / 40
    # What no chunk holds counts against the splitter.
    assert precision_omega(spans((50, 70)), chunks) == 10 / (20 + 10)


some_spans = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(1, 10)).map(
        lambda one: Span(one[0], one[1], one[1] + one[2])
    ),
    min_size=1,
    max_size=5,
)


def characters(taken: list[Span]) -> set[tuple[str, int]]:
    return {(one.document, place) for one in taken for place in range(one.start, one.end)}


@given(gold=some_spans, retrieved=some_spans)
def test_coverage_is_that_of_sets_of_characters(gold: list[Span], retrieved: list[Span]) -> None:
    coverage = measure_coverage(gold, retrieved)
    found = len(characters(gold) & characters(retrieved))
    taken = sum(one.end - one.start for one in retrieved)

    assert count_characters(gold) == len(characters(gold))
    assert coverage.recall == pytest.approx(found / len(characters(gold)))
    assert coverage.precision == pytest.approx(found / taken)
    assert coverage.iou == pytest.approx(found / (len(characters(gold)) + taken - found))
    assert covered(gold, retrieved) == (characters(gold) <= characters(retrieved))


@given(gold=some_spans, retrieved=some_spans)
def test_iou_is_at_most_recall_and_precision_and_never_more_than_omega_allows(
    gold: list[Span], retrieved: list[Span]
) -> None:
    coverage = measure_coverage(gold, retrieved)

    assert 0 <= coverage.iou <= min(coverage.recall, coverage.precision) <= 1
    assert 0 <= precision_omega(gold, retrieved) <= 1


@given(gold=some_spans)
def test_what_is_retrieved_exactly_is_covered_exactly(gold: list[Span]) -> None:
    once = list(
        {
            (one.document, place): Span(one.document, place, place + 1)
            for one in gold
            for place in range(one.start, one.end)
        }.values()
    )
    coverage = measure_coverage(gold, once)

    assert (coverage.recall, coverage.precision, coverage.iou) == (1.0, 1.0, 1.0)
    assert precision_omega(gold, once) == 1.0
