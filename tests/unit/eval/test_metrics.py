from __future__ import annotations

from math import log, sqrt

import pytest

from chunking.document import Chunk, Document
from eval.metrics import Z_95, answer_in_context, paired_interval, wilson_interval
from eval.questions import Evidence, Question


def chunk(document: str, text: str) -> Chunk:
    whole = Document(id=document, text=text, title="T", source=document)
    return Chunk.of(whole, start=0, end=len(text), path=(), position=0)


def question(*evidence: Evidence) -> Question:
    return Question("q", "single_field", "How many?", evidence)


def test_evidence_counts_only_in_a_chunk_of_its_own_document() -> None:
    asked = question(Evidence("asia/in.json", "30.1 years"))

    assert answer_in_context(asked, [chunk("factbook/asia/in.json", "Median age: 30.1 years")])
    assert not answer_in_context(asked, [chunk("factbook/asia/pk.json", "Median age: 30.1 years")])
    assert not answer_in_context(asked, [chunk("factbook/asia/in.json", "Median age: 29 years")])


def test_a_document_whose_name_only_ends_alike_is_another_document() -> None:
    asked = question(Evidence("in.json", "30.1 years"))

    assert not answer_in_context(asked, [chunk("factbook/ruin.json", "30.1 years")])


def test_every_piece_of_evidence_is_needed() -> None:
    asked = question(Evidence("a", "one"), Evidence("b", "two"))

    assert not answer_in_context(asked, [chunk("a", "one")])
    assert answer_in_context(asked, [chunk("a", "one"), chunk("b", "two")])


def test_evidence_split_over_two_chunks_does_not_count() -> None:
    asked = question(Evidence("a", "one two"))

    assert not answer_in_context(asked, [chunk("a", "one"), chunk("a", "two")])


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Values of R's prop.test(correct = FALSE), which gives Wilson's interval.
        (95, 100, 0.8882, 0.9785),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (0, 0, 0.0, 1.0),
    ],
)
def test_the_interval_is_wilsons(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(("first", "second", "pairs"), [(2, 12, 50), (10, 20, 160), (3, 4, 9)])
def test_a_paired_interval_ends_where_the_score_test_does(
    first: int, second: int, pairs: int
) -> None:
    def likelihood(share: float, shift: float) -> float:
        """Of the share that the first side alone has, if the difference is the shift."""
        rest = 1 - 2 * share - shift
        return (
            first * log(share) + second * log(share + shift) + (pairs - first - second) * log(rest)
        )

    for shift in paired_interval(first, second, pairs):
        lowest, highest = max(0.0, -shift), (1 - shift) / 2
        shares = [lowest + (highest - lowest) * step / 20_000 for step in range(1, 20_000)]
        share = max(shares, key=lambda one: likelihood(one, shift))
        variance = pairs * (2 * share + shift * (1 - shift))
        score = (second - first - pairs * shift) / sqrt(variance)
        assert abs(score) == pytest.approx(Z_95, abs=0.002)


def test_a_paired_interval_has_a_width_where_nothing_differs() -> None:
    assert paired_interval(0, 0, 5) == pytest.approx((-0.4345, 0.4345), abs=1e-4)
    assert paired_interval(1, 0, 1)[0] == -1
