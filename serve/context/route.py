"""The record of a route: where a request went, by which rule, and what the rule looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from chunking.sensitivity import UNLABELLED, Sensitivity

TaskType = Literal[
    "classification",
    "extraction",
    "reasoning",
    "long_document",
    "summarisation",
    "code",
    "other",
]


@dataclass(frozen=True, slots=True)
class RouteInputs:
    """What rules may look at; holds no text of anybody.

    Attributes:
        request_sensitivity: the label that the caller gave.
        context_sensitivity: the highest label of all retrieved text and of text that was asked or
            answered here before and came back; None before there was any.
        personal_data: names of the detectors that found something; None where no rule asks.
        window_needed: tokens of prompt and answer; in mode `full` with every document that passes
            the filter; None before anything was planned.
        cost_usd: by model, the most that a call costs; exact dollars as text.
        latency_seconds: by model, what its answers took of late; None where nothing is known.
        unavailable: models that cannot answer now.
    """

    task: TaskType = "other"
    request_sensitivity: Sensitivity = UNLABELLED
    context_sensitivity: Sensitivity | None = None
    personal_data: tuple[str, ...] | None = None
    window_needed: int | None = None
    cost_usd: Mapping[str, str] = field(default_factory=dict)
    latency_seconds: Mapping[str, float | None] = field(default_factory=dict)
    unavailable: tuple[str, ...] = ()

    @property
    def sensitivity(self) -> Sensitivity:
        """The highest label of the request and all that was retrieved for it."""
        return max(self.request_sensitivity, self.context_sensitivity or self.request_sensitivity)


@dataclass(frozen=True, slots=True)
class Passed:
    """A model that the request did not go to, or that did not answer, and why.

    Attributes:
        reason: "sensitivity", "unapproved", "cost", "latency", or the code of an error.
    """

    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class EscalationRecord:
    """An answer that was not good enough, so that a better model was asked.

    Attributes:
        reason: "ungrounded", "declined" or "unsupported", see `serve.escalation`.
        first: the model whose answer that was.
        answered: whether another model answered; if not, the first model's answer stands.
        grounding: share of the first answer's numbers and names that stand in its context; None
            where the search alone decided and the first model was not called.
        cost_usd: what the first answer cost, which the answer's own cost does not hold.
    """

    reason: str
    first: str
    answered: bool
    grounding: float | None = None
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class RouteRecord:
    """Where the request went and why.

    Attributes:
        requested: what the caller asked for: "auto", "local", "cloud" or a model.
        rule: the rule that decided; None where the caller named the model or its place.
        reason: the conditions of the rule that held, or what the caller asked for.
        fallback_used: whether another model answered than the first one that was chosen.
        passed: models that were chosen and may not, or could not, answer.
        escalation: an answer before this one that was not good enough, if there was any.
        inputs: what was known when it was decided; None where nothing was looked at.
    """

    target: Literal["local", "cloud"]
    reason: str
    fallback_used: bool = False
    requested: str = ""
    rule: str | None = None
    passed: tuple[Passed, ...] = ()
    escalation: EscalationRecord | None = None
    inputs: RouteInputs | None = None
