"""Conditions on a comparison, such as "local.accuracy >= cloud.accuracy - 0.05".

    gate     sum (">=" | "<=" | ">" | "<") sum
    sum      value [("+" | "-") number], with spaces around the sign
    value    number | ARM "." METRIC ["[" TYPE "]"] ["." ("low" | "high")]

"low" and "high" are the ends of a metric's 95 % interval; "[TYPE]" goes with accuracy alone.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from chunking.errors import InputError
from eval.comparison import ArmSummary, Comparison
from eval.statistics import Mean

_MEANS = "accuracy set_f1 abstention refusal stale grounded in_context truncated escalated".split()
_NUMBERS: Mapping[str, Callable[[ArmSummary], float | None]] = {
    "failed": lambda arm: arm.failed,
    "coverage_percent": lambda arm: arm.coverage_percent,
    "cost_usd": lambda arm: float(arm.cost_usd),
    "cost_per_1000_usd": lambda arm: float(arm.cost_per_1000_usd),
    "first_seconds_p50": lambda arm: None if arm.first_seconds is None else arm.first_seconds.p50,
    "first_seconds_p95": lambda arm: None if arm.first_seconds is None else arm.first_seconds.p95,
    "total_seconds_p50": lambda arm: None if arm.total_seconds is None else arm.total_seconds.p50,
    "total_seconds_p95": lambda arm: None if arm.total_seconds is None else arm.total_seconds.p95,
}
METRICS = (*_MEANS, *_NUMBERS)
_SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_GATE = re.compile(r"\s*(?P<left>[^<>=]+?)\s*(?P<sign>>=|<=|>|<)\s*(?P<right>[^<>=]+?)\s*")
_SUM = re.compile(r"(?P<value>\S+)(?:\s+(?P<sign>[+-])\s+(?P<number>\S+))?")
_VALUE = re.compile(
    rf"(?P<arm>.+)\.(?P<metric>{'|'.join(METRICS)})(?:\[(?P<type>[^\[\]]+)\])?(?:\.(?P<end>low|high))?"
)
_DIGITS = 9
"""Decimals at which two sides are compared: 0.3 - 0.1 is 0.2 for people."""


@dataclass(frozen=True, slots=True)
class _Value:
    arm: str
    metric: str
    type_name: str | None
    end: str | None
    plus: float = 0.0

    def of(self, arms: Mapping[str, ArmSummary]) -> float | None:
        """Return the value in a comparison; None where the metric has none."""
        arm = arms[self.arm]
        if self.metric in _NUMBERS:
            number = _NUMBERS[self.metric](arm)
            return None if number is None else number + self.plus
        mean: Mean | None = getattr(arm, self.metric)
        if self.type_name is not None:
            mean = arm.by_type.get(self.type_name)
        return None if mean is None else float(getattr(mean, self.end or "mean")) + self.plus


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition, and how it was written."""

    text: str
    left: _Value | float
    sign: str
    right: _Value | float


@dataclass(frozen=True, slots=True)
class GateResult:
    """Whether a gate is met, and the two sides; None for a metric without a value."""

    text: str
    met: bool
    left: float | None
    right: float | None


def parse_gate(text: str, *, arms: Collection[str], types: Collection[str]) -> Gate:
    """Return a gate on these arms and types of questions.

    Raises:
        InputError: it is none, or names an arm, a metric or a type that there is not.
    """
    match = _GATE.fullmatch(text)
    if match is None:
        raise _refusal(text, "no condition")
    left, right = (_parse_sum(match[side], text, arms, types) for side in ("left", "right"))
    if isinstance(left, float) and isinstance(right, float):
        raise _refusal(text, "no metric of an arm")
    return Gate(text.strip(), left, match["sign"], right)


def check_gates(gates: Sequence[Gate], comparison: Comparison) -> tuple[GateResult, ...]:
    """Return for every gate whether it is met; one on a metric without a value is not."""
    arms = {arm.arm: arm for arm in comparison.arms}
    results = []
    for gate in gates:
        left, right = (
            side if isinstance(side, float) else side.of(arms) for side in (gate.left, gate.right)
        )
        met = (
            left is not None
            and right is not None
            and _SIGNS[gate.sign](round(left, _DIGITS), round(right, _DIGITS))
        )
        results.append(GateResult(gate.text, met, left, right))
    return tuple(results)


def _parse_sum(
    part: str, text: str, arms: Collection[str], types: Collection[str]
) -> _Value | float:
    match = _SUM.fullmatch(part)
    if match is None:
        raise _refusal(text, f"{part!r} is neither a value nor a sum")
    plus = 0.0
    if match["sign"]:
        number = _number(match["number"])
        if number is None:
            raise _refusal(text, f"{match['number']!r} is no number")
        plus = number if match["sign"] == "+" else -number
    number = _number(match["value"])
    if number is not None:
        return number + plus
    return _parse_value(match["value"], text, arms, types, plus=plus)


def _parse_value(
    part: str, text: str, arms: Collection[str], types: Collection[str], *, plus: float
) -> _Value:
    match = _VALUE.fullmatch(part)
    if match is None:
        raise _refusal(text, f"{part!r} is neither a number nor ARM.METRIC")
    arm, metric, type_name, end = match["arm"], match["metric"], match["type"], match["end"]
    if arm not in arms:
        raise _refusal(text, f"there is no arm {arm!r}, but {', '.join(arms)}")
    if type_name is not None and metric != "accuracy":
        raise _refusal(text, f"{metric} is not measured by type")
    if type_name is not None and type_name not in types:
        raise _refusal(text, f"no question is of type {type_name!r}, but of {', '.join(types)}")
    if end is not None and metric in _NUMBERS:
        raise _refusal(text, f"{metric} has no interval")
    return _Value(arm, metric, type_name, end, plus)


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[+-]?\d+(?:\.\d+)?", text) else None


def _refusal(text: str, problem: str) -> InputError:
    return InputError(
        f"--gate {text!r}: {problem}",
        hint="for example 'local.accuracy >= cloud.accuracy - 0.05'; metrics: "
        + ", ".join(METRICS),
        param="gate",
    )
