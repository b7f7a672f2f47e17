"""Rules of routing: their form in `[[serve.rules]]`, and whether one holds for a request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from chunking.sensitivity import Sensitivity, parse_sensitivity
from serve.context.route import RouteInputs, TaskType
from serve.profile_entry import unknown_name

CloudLimit = Literal["public", "internal", "confidential"]
"""The highest label that may go to a cloud; that `restricted` may not is no setting."""

REFUSE = "refuse"
ROUTE_WORDS = ("auto", "local", "cloud")
"""What a request may name instead of a model; no profile may bear such a name."""


class Rule(BaseModel):
    """One rule: all of its conditions must hold; one that is not given always does.

    Attributes:
        name: what the record of a decision calls it.
        tasks: types of task, see `serve.tasks`.
        sensitivity_at_least, sensitivity_at_most: bounds of the highest label of the request and of
            every retrieved text.
        personal_data: whether a detector found any; or names of detectors, any of which will do.
        window_above, window_at_most: bounds of the tokens that the request needs.
        cost_limit_usd: most dollars of one call; a target whose call may cost more is passed over.
        latency_limit_seconds: a target that took longer of late is passed over; one that has not
            answered yet is not.
        local_available, cloud_available: whether any model of that place can answer now.
        target: "local", "cloud", a model, or "refuse".
        fallback: where else the request may go when no target answers, in this order.
        escalate: where it goes when the local answer is not good enough.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(min_length=1, max_length=128)
    tasks: tuple[TaskType, ...] = ()
    sensitivity_at_least: Sensitivity | None = None
    sensitivity_at_most: Sensitivity | None = None
    personal_data: bool | tuple[str, ...] | None = None
    window_above: int | None = Field(default=None, ge=0)
    window_at_most: int | None = Field(default=None, ge=1)
    cost_limit_usd: Decimal | None = Field(default=None, ge=0)
    latency_limit_seconds: float | None = Field(default=None, gt=0)
    local_available: bool | None = None
    cloud_available: bool | None = None
    target: str = Field(min_length=1)
    fallback: tuple[str, ...] = ()
    escalate: str | None = Field(default=None, min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _name_unknown_keys(cls, table: object) -> object:
        for key in table if isinstance(table, dict) else ():
            if key not in cls.model_fields:
                raise ValueError(unknown_name("key", key, cls.model_fields))
        return table

    @field_validator("sensitivity_at_least", "sensitivity_at_most", mode="before")
    @classmethod
    def _read_label(cls, value: object) -> object:
        return None if value is None else parse_sensitivity(value)

    @property
    def names(self) -> tuple[str, ...]:
        """Every place or model that the rule names, "refuse" aside."""
        given = (self.target, *self.fallback, *((self.escalate,) if self.escalate else ()))
        return tuple(name for name in given if name != REFUSE)


def contradiction(rule: Rule) -> str | None:
    """Say which conditions exclude each other; None where some request may fulfil all."""
    above, most = rule.window_above, rule.window_at_most
    if above is not None and most is not None and above >= most:
        return f"window_above {above} >= window_at_most {most}"
    lower, upper = rule.sensitivity_at_least, rule.sensitivity_at_most
    if lower is not None and upper is not None and lower > upper:
        return f"sensitivity_at_least {lower} > sensitivity_at_most {upper}"
    return "personal_data names no detector" if rule.personal_data == () else None


def holds(rule: Rule, inputs: RouteInputs, *, local: Sequence[str], cloud: Sequence[str]) -> bool:
    """Return whether all conditions of a rule hold that do not depend on its target."""
    return all(held for _, held in _conditions(rule, inputs, local, cloud))


def told(rule: Rule, inputs: RouteInputs) -> str:
    """Say which conditions held, with the values that were looked at."""
    names = [name for name, _ in _conditions(rule, inputs, (), ())]
    return ", ".join(dict.fromkeys(names)) or "no condition"


def _conditions(
    rule: Rule, inputs: RouteInputs, local: Sequence[str], cloud: Sequence[str]
) -> Iterator[tuple[str, bool]]:
    if rule.tasks:
        yield f"task={inputs.task}", inputs.task in rule.tasks
    yield from _of_sensitivity(rule, inputs.sensitivity)
    if rule.personal_data is not None:
        found = ",".join(inputs.personal_data or ()) or "none"
        yield f"personal_data={found}", _has_personal_data(rule.personal_data, inputs.personal_data)
    yield from _of_window(rule, inputs.window_needed)
    for word, wanted, names in (
        ("local", rule.local_available, local),
        ("cloud", rule.cloud_available, cloud),
    ):
        if wanted is not None:
            available = any(name not in inputs.unavailable for name in names)
            yield f"{word}_available={str(wanted).lower()}", available == wanted


def _of_sensitivity(rule: Rule, label: Sensitivity) -> Iterator[tuple[str, bool]]:
    if rule.sensitivity_at_least is not None:
        yield f"sensitivity={label}", label >= rule.sensitivity_at_least
    if rule.sensitivity_at_most is not None:
        yield f"sensitivity={label}", label <= rule.sensitivity_at_most


def _of_window(rule: Rule, needed: int | None) -> Iterator[tuple[str, bool]]:
    """Yield the conditions on the window; what is not known is not small and not large."""
    if rule.window_above is not None:
        yield f"window_needed={needed}", needed is not None and needed > rule.window_above
    if rule.window_at_most is not None:
        yield f"window_needed={needed}", needed is not None and needed <= rule.window_at_most


def _has_personal_data(wanted: bool | tuple[str, ...], found: tuple[str, ...] | None) -> bool:
    if found is None:  # not looked for: neither there nor absent
        return False
    if isinstance(wanted, bool):
        return bool(found) == wanted
    return not set(wanted).isdisjoint(found)
