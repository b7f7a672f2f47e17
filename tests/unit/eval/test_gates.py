from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.errors import InputError
from eval.gates import METRICS, check_gates, parse_gate
from eval.statistics import Mean
from tests.unit.eval.comparisons import example_comparison

pytest.importorskip("scipy", reason="needs the extra `eval`")

EXAMPLE = example_comparison()
ARMS = tuple(arm.arm for arm in EXAMPLE.arms)
TYPES = tuple({question.type for question in EXAMPLE.questions})
LOCAL, CLOUD = (
    replace(arm, accuracy=Mean(mean, mean - 0.1, mean + 0.1, 6))
    for arm, mean in zip(EXAMPLE.arms[:2], (0.75, 0.8), strict=True)
)
COMPARISON = replace(EXAMPLE, arms=(LOCAL, CLOUD, EXAMPLE.arms[2]))


def met(text: str) -> bool:
    (result,) = check_gates([parse_gate(text, arms=ARMS, types=TYPES)], COMPARISON)
    return result.met


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("local-rag-8k.accuracy >= 0.75", True),
        ("local-rag-8k.accuracy > 0.75", False),
        ("local-rag-8k.accuracy>=cloud-full.accuracy - 0.05", True),
        ("local-rag-8k.accuracy >= cloud-full.accuracy - 0.04", False),
        ("cloud-full.accuracy.low + 0.1 <= 0.8", True),
        ("0.9 >= local-rag-8k.accuracy.high", True),
        ("cloud-full.failed < 1", False),
        ("local-rag-8k.cost_per_1000_usd < cloud-full.cost_per_1000_usd", True),
        ("cloud-full.total_seconds_p95 > 0.5", True),
        ("local-rag-8k.escalated <= 1", False),
    ],
)
def test_a_gate_compares_two_sides(text: str, expected: bool) -> None:
    assert met(text) is expected


def test_a_metric_without_a_value_has_no_side_and_is_not_met() -> None:
    gate = parse_gate("local-rag-8k.escalated >= 0", arms=ARMS, types=TYPES)
    (result,) = check_gates([gate], COMPARISON)

    assert (result.met, result.left, result.right) == (False, None, 0)


def test_accuracy_of_one_type_can_be_asked_for() -> None:
    gate = parse_gate("local-rag-8k.accuracy[comparison].high <= 1", arms=ARMS, types=TYPES)

    assert check_gates([gate], COMPARISON)[0].left == LOCAL.by_type["comparison"].high


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no condition"),
        ("local-rag-8k.accuracy", "no condition"),
        ("local-rag-8k.accuracy = 1", "no condition"),
        ("local-rag-8k.accuracy >= 1 >= 0", "no condition"),
        ("1 >= 0", "no metric"),
        ("other.accuracy >= 1", "no arm 'other'"),
        ("local-rag-8k.charm >= 1", "neither a number nor"),
        ("local-rag-8k.stale[comparison] >= 1", "not measured by type"),
        ("local-rag-8k.accuracy[charm] >= 1", "of type 'charm'"),
        ("local-rag-8k.failed.low >= 1", "no interval"),
        ("local-rag-8k.accuracy >= 1 - x", "'x' is no number"),
        ("local-rag-8k.accuracy * 2 >= 1", "neither a value nor"),
        ("local-rag-8k.accuracy >= nan", "neither a number nor"),
    ],
)
def test_what_is_no_gate_is_refused_with_the_part_at_fault(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        parse_gate(text, arms=ARMS, types=TYPES)


@given(st.text())
def test_any_text_is_a_gate_or_is_refused(text: str) -> None:
    try:
        gate = parse_gate(text, arms=ARMS, types=TYPES)
    except InputError:
        return
    assert check_gates([gate], COMPARISON)


@given(st.sampled_from(METRICS), st.floats(min_value=0, max_value=10))
def test_a_metric_compared_with_itself_holds_where_it_has_a_value(
    metric: str, bound: float
) -> None:
    gate = parse_gate(
        f"cloud-full.{metric} >= cloud-full.{metric} - {bound:.6f}", arms=ARMS, types=TYPES
    )
    (result,) = check_gates([gate], COMPARISON)

    assert result.met is (result.left is not None)
