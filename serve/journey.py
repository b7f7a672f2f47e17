"""One request on its way to a model: planned anew for each model whose turn it is.

Nothing here calls a model. A plan is made for one window and one counter, and is never used for
another model.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from chunking.errors import (
    CallLimitExceeded,
    ConfigurationError,
    ContextLengthExceeded,
    TemplateRefused,
    WindowfitError,
)
from chunking.sensitivity import highest
from serve.account import cost_at_most, window_needed
from serve.answered import Known
from serve.brought import brought_texts
from serve.context.route import EscalationRecord, RouteInputs, RouteRecord
from serve.errors import PolicyNoRoute, UpstreamError, UpstreamTimeout
from serve.escalation import lacks_support
from serve.hindrances import review_hint
from serve.personal import find_personal
from serve.plan import Ask, Plan
from serve.profiles import ModelProfile, find_profile
from serve.review import require_approved
from serve.routing import Decision, Standing, decide, expand
from serve.rules import ROUTE_WORDS
from serve.runtime import Runtime
from serve.tasks import tell_task

FALLS_BACK: Final = (
    UpstreamError,
    ConfigurationError,
    ContextLengthExceeded,
    CallLimitExceeded,
    TemplateRefused,
)
"""What one model fails by and another may not."""
_CHANGES_LIMIT: Final = 3


class Journey:
    """Decides, plans, and decides again with what the plan and the failures have shown.

    What is known only grows: labels rise, costs become exact, models fail. So it ends.

    Attributes:
        called: whether any model was called and failed.
    """

    def __init__(self, ask: Ask, runtime: Runtime) -> None:
        """Begin; nothing is looked at yet but the request.

        Raises:
            ModelNotFound: the request names a model that there is not.
        """
        self._runtime = runtime
        self._started = time.perf_counter()
        self._route = ask.route or ask.model
        if self._route not in ROUTE_WORDS:
            find_profile(runtime.profiles, self._route)
        self._ask = runtime.recall.recognise(ask)
        runtime.answered.note(ask.question, Known(ask.sensitivity))
        # Of this moment alone: a call takes minutes, in which labels change and text goes away.
        self._plans: dict[str, Plan] = {}
        self._surveyed = False
        self._changes = 0
        self._failures: dict[str, WindowfitError] = {}
        self._personal: dict[str, tuple[str, ...]] = {}
        self._escalation: EscalationRecord | None = None
        self.called = False
        task = tell_task(
            ask.question,
            mode=ask.mode,
            structured=ask.response_format is not None,
            tools=bool(ask.tools),
        )
        self._inputs = RouteInputs(
            task=task,
            request_sensitivity=ask.sensitivity,
            # Not told apart from what is retrieved: who said a text here is not for callers.
            context_sensitivity=self._ask.label if self._ask.label > ask.sensitivity else None,
        )

    @property
    def named(self) -> ModelProfile | None:
        """The profile that the request names, where it names one."""
        return self._runtime.profiles.get(self._route)

    async def plan(self) -> Plan:
        """Return the plan for the model whose turn it is, its report saying why.

        Raises:
            PolicyNoRoute: no model that may see this text is left, or a rule refuses.
            ModelUnapproved: the model has no approved review.
            WindowfitError: what the last model failed by, where no policy speaks against it.
        """
        limit, escalation = self._runtime.policy.deadline_seconds, self._escalation
        asked = self._failures or (escalation is not None and escalation.reason != "unsupported")
        if asked and limit is not None and time.perf_counter() - self._started > limit:
            late = UpstreamTimeout(f"no further model is asked after {limit:g} s")
            raise next(iter(self._failures.values()), late)
        return await asyncio.to_thread(self._plan)

    def fail(self, model: str, error: WindowfitError) -> None:
        """Remember what a model that was called failed by: its turn is over."""
        self.called = True
        self._failures[model] = error
        self._plans.clear()

    def may_escalate(self, plan: Plan) -> bool:
        """Return whether the rule names models for an answer of this plan that is not good enough.

        It happens once, and from a local model alone.
        """
        if self._escalation is not None or plan.profile.place != "local":
            return False
        return bool(self._escalating(self._decide(), first=plan.profile.name))

    def escalate(self, escalation: EscalationRecord) -> None:
        """Go on to the models that the rule escalates to."""
        self._escalation = escalation
        self._plans.clear()

    def plan_anew(self, error: WindowfitError) -> None:
        """Forget what was planned, since a label was raised after that; a few times only.

        Raises:
            WindowfitError: the error, where labels are raised faster than models are asked.
        """
        self._changes += 1
        if self._changes > _CHANGES_LIMIT:
            raise error
        self._plans.clear()

    def escalate_unsupported(self, plan: Plan) -> bool:
        """Go on at once where the search found too little for an answer; return whether it did."""
        thresholds = self._runtime.policy.thresholds
        found_enough = not lacks_support(plan.report.support, thresholds=thresholds)
        if found_enough or not self.may_escalate(plan):
            return False
        self.escalate(EscalationRecord("unsupported", plan.profile.name, answered=True))
        return True

    @staticmethod
    def _escalating(decision: Decision, *, first: str) -> list[str]:
        return [model for model in decision.escalate if model != first]

    def _plan(self) -> Plan:
        if self._route == "auto" and self._runtime.policy.rules and not self._surveyed:
            self._surveyed = True
            self._survey()
        while True:
            decision = self._decide()
            models = self._whose_turn(decision)
            if not models:
                raise self._nowhere(decision)
            if models[0] in self._plans:
                return self._recorded(self._plans[models[0]], decision)
            # What a plan shows may change the decision, so it is taken again.
            self._try(models[0])

    def _whose_turn(self, decision: Decision) -> Sequence[str]:
        escalation = self._escalation
        if escalation is None or not escalation.answered:
            return decision.models
        models = self._escalating(decision, first=escalation.first)
        if models or escalation.reason != "unsupported":
            return models
        # Nobody has answered yet, and no better model can: the local one does after all.
        self._escalation = replace(escalation, answered=False)
        return decision.models

    def _survey(self) -> None:
        """Plan once, so that rules know the labels, the window needed and what was found."""
        policy = self._runtime.policy
        for model in expand((policy.default, "local", "cloud"), policy):
            if self._runtime.profiles[model].review.status == "approved":
                self._try(model)
            if self._plans:
                return

    def _decide(self) -> Decision:
        inputs = replace(
            self._inputs,
            latency_seconds=self._runtime.latencies.seconds(),
            unavailable=self._runtime.unavailable(),
        )
        self._inputs = inputs
        return decide(self._route, self._runtime.policy, inputs, self._standings())

    def _standings(self) -> Mapping[str, Standing]:
        return {
            name: Standing(
                profile.place,
                approved=profile.review.status == "approved",
                problem=self._failures[name].code if name in self._failures else "",
            )
            for name, profile in self._runtime.profiles.items()
        }

    def _try(self, model: str) -> None:
        """Plan for a model and learn from the plan, or remember why it cannot be."""
        try:
            plan = self._runtime.plan(replace(self._ask, model=model))
            cost = cost_at_most(plan) if self._route == "auto" else None
        except FALLS_BACK as error:
            self._failures[model] = error
            return
        self._plans[model] = plan
        known = self._inputs
        labels = {chunk.sensitivity for chunk in plan.context.chunks}
        labels |= {known.context_sensitivity} if known.context_sensitivity else set()
        # What the request brings back may have got a higher label since it came.
        labels |= {plan.ask.recognised} if plan.ask.recognised > plan.ask.sensitivity else set()
        self._inputs = replace(
            known,
            context_sensitivity=highest(labels) if labels else None,
            personal_data=self._personal_data(plan),
            window_needed=known.window_needed or window_needed(plan.report),
            cost_usd=known.cost_usd if cost is None else {**known.cost_usd, model: cost},
        )

    def _personal_data(self, plan: Plan) -> tuple[str, ...] | None:
        """Return the detectors that found something in anything planned so far."""
        if self._route != "auto" or not self._runtime.policy.looks_for_personal_data:
            return None
        texts = {"request": "\n".join(brought_texts(plan.ask))}
        # With the headings, which the prompt shows, too.
        texts |= {f"{one.id} {one.end}": one.embedded_text for one in plan.context.chunks}
        for key, text in texts.items():
            if key not in self._personal:
                self._personal[key] = tuple(find_personal(text))
        return tuple(sorted({name for found in self._personal.values() for name in found}))

    def _recorded(self, plan: Plan, decision: Decision) -> Plan:
        escalated = self._escalation is not None and self._escalation.answered
        record = RouteRecord(
            target=plan.profile.place,
            reason=decision.reason,
            fallback_used=not escalated and plan.profile.name != decision.first,
            requested=self._route,
            rule=decision.rule,
            passed=decision.passed,
            escalation=self._escalation,
            inputs=self._inputs,
        )
        return replace(plan, report=replace(plan.report, route=record))

    def _cause(self, decision: Decision) -> WindowfitError | None:
        """Return what the first of the chosen models failed by."""
        failed = (self._failures.get(one.model) for one in decision.passed)
        return next(filter(None, failed), None)

    def _nowhere(self, decision: Decision) -> WindowfitError:
        """Return the error for a request that no model is left for."""
        reasons = {one.reason for one in decision.passed}
        cause = self._cause(decision)
        if cause is not None and "sensitivity" not in reasons:
            return cause
        said = f"rule {decision.rule!r}" if decision.rule else f"route {self._route!r}"
        passed = ", ".join(f"{one.model}: {one.reason}" for one in decision.passed)
        if "sensitivity" in reasons:
            refused = PolicyNoRoute(
                f"{said}: {self._inputs.sensitivity} text may not go to a cloud, and no other model"
                f" is left; {passed}",
            )
            refused.__cause__ = cause
            return refused
        if reasons == {"unapproved"} and self._route not in ROUTE_WORDS:
            return _unapproved(self._runtime, self._route)
        rule = next((one for one in self._runtime.policy.rules if one.name == decision.rule), None)
        target = self._route if rule is None else rule.target
        if target in {"local", "cloud"} and reasons <= {"unapproved"}:
            return PolicyNoRoute(
                f"{said} leads to no approved model of the place {target}",
                hint=review_hint(target, self._runtime.profiles),
            )
        return PolicyNoRoute(f"{said} leads to no model; {passed or 'it refuses'}")


def _unapproved(runtime: Runtime, model: str) -> WindowfitError:
    try:
        require_approved(model, runtime.profiles[model].review)
    except WindowfitError as error:
        return error
    raise AssertionError(model)  # pragma: no cover - a decision called it unapproved
