from __future__ import annotations

from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.questions import Question
from eval.searching.documents import score_documents

pytest.importorskip("ir_measures", reason="needs the extra `eval`")


def question(**grades: int) -> Question:
    return Question("q", "t", "?", grades=grades)


def score(asked: Question, *ranked: str, limits: tuple[int, ...] = (1, 2, 3)) -> dict[str, float]:
    return score_documents([asked], {"q": ranked}, limits)["q"]


def test_metrics_by_hand() -> None:
    found = score(question(a=2, b=1, c=0), "c", "a", "b")

    # Gains are the grades, discounted by log2(rank + 1).
    assert found["ndcg@2"] == pytest.approx((2 / log2(3)) / (2 + 1 / log2(3)))
    assert found["ndcg@3"] == pytest.approx((2 / log2(3) + 1 / log2(4)) / (2 + 1 / log2(3)))
    assert (found["recall@1"], found["recall@2"], found["recall@3"]) == (0, 0.5, 1)
    assert (found["precision@2"], found["precision@3"]) == pytest.approx((0.5, 2 / 3))
    assert (found["mrr@1"], found["mrr@2"]) == (0, 0.5)
    assert (found["all-gold@2"], found["all-gold@3"]) == (0, 1)


def test_a_question_that_finds_nothing_counts_with_0() -> None:
    assert set(score(question(a=1)).values()) == {0.0}


def test_a_question_without_a_relevant_document_is_left_out() -> None:
    assert score_documents([question(a=0)], {"q": ("a",)}, (1,)) == {}


graded = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 3), min_size=1).filter(
    lambda grades: any(grades.values())
)
ranked = st.permutations("abcdefgh").map(lambda names: names[:6])


@given(grades=graded)
def test_the_ideal_ranking_has_ndcg_1(grades: dict[str, int]) -> None:
    ideal = sorted(grades, key=lambda name: -grades[name])

    assert score(question(**grades), *ideal, limits=(8,))["ndcg@8"] == pytest.approx(1.0)


@given(grades=graded, names=ranked)
def test_recall_all_gold_and_mrr_never_fall_with_k(
    grades: dict[str, int], names: list[str]
) -> None:
    limits = tuple(range(1, 9))
    found = score(question(**grades), *names, limits=limits)

    for kind in ("recall", "all-gold", "mrr"):
        values = [found[f"{kind}@{limit}"] for limit in limits]
        assert values == sorted(values)
    assert all(0 <= value <= 1 + 1e-9 for value in found.values())


@given(grades=graded, names=ranked)
def test_the_metrics_are_those_of_their_formulas(grades: dict[str, int], names: list[str]) -> None:
    limit = 4
    found = score(question(**grades), *names, limits=(limit,))
    relevant = {name for name, grade in grades.items() if grade}
    first = names[:limit]
    gains = [grades.get(name, 0) / log2(rank + 1) for rank, name in enumerate(first, 1)]
    best = sorted(grades.values(), reverse=True)[:limit]
    ideal = sum(grade / log2(rank + 1) for rank, grade in enumerate(best, 1))
    ranks = [rank for rank, name in enumerate(first, 1) if name in relevant]

    assert found["ndcg@4"] == pytest.approx(sum(gains) / ideal)
    assert found["recall@4"] == pytest.approx(len(ranks) / len(relevant))
    assert found["precision@4"] == pytest.approx(len(ranks) / limit)
    assert found["mrr@4"] == pytest.approx(1 / ranks[0] if ranks else 0.0)
    assert found["all-gold@4"] == (relevant <= set(first))
