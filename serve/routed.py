"""Answers a request by the model that it is routed to, and by the next where that fails."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from dataclasses import replace

from chunking.errors import WindowfitError
from serve.answer import Answer, UpstreamCheck, answer, stream_answer
from serve.context.route import EscalationRecord
from serve.escalation import Signals, decide_escalation
from serve.grounding import check_grounding
from serve.journey import FALLS_BACK, Journey
from serve.plan import Ask, Plan
from serve.runtime import Runtime


async def plan_routed(ask: Ask, runtime: Runtime) -> Plan:
    """Return the plan of a request for the model that it is routed to; no model is called.

    Raises:
        WindowfitError: see `Journey.plan`.
    """
    return await Journey(ask, runtime).plan()


async def answer_routed(
    ask: Ask, runtime: Runtime, *, upstream_check: UpstreamCheck = "refuse"
) -> Answer:
    """Answer a request by the first model that may and can, each with a plan of its own.

    Where the rule escalates and the answer is not good enough, the next model answers, again with a
    plan of its own; if none may or can, the first answer stands.

    Raises:
        PolicyNoRoute: no model that may see this text is left.
        WindowfitError: see `Journey.plan`; nothing is answered half.
    """
    started = time.perf_counter()
    journey = Journey(ask, runtime)
    first: Answer | None = None
    while True:
        try:
            plan = await journey.plan()
        except WindowfitError:
            if first is None:
                raise
            return _finished(first, runtime, started)
        if journey.escalate_unsupported(plan):
            continue
        try:
            given = await answer(plan.ask, runtime, upstream_check=upstream_check, plan=plan)
        except FALLS_BACK as error:
            journey.fail(plan.profile.name, error)
            continue
        escalation = None
        if journey.may_escalate(plan):
            escalation = await asyncio.to_thread(not_good_enough, given, runtime)
        if escalation is None:
            return _finished(given, runtime, started)
        first = _with_escalation(given, escalation)
        journey.escalate(replace(escalation, answered=True))


async def stream_routed(
    ask: Ask, runtime: Runtime, *, upstream_check: UpstreamCheck = "refuse"
) -> AsyncGenerator[Plan | str | Answer]:
    """Yield the plan, the answer's text in pieces, then the whole `Answer`, as `stream_answer`.

    A model that fails before its first piece is followed by the next: its plan is yielded, and
    takes the place of the plan before. After the first piece a failure is raised, and nothing is
    escalated: only what the search tells can do that, before any model is called.

    Raises:
        WindowfitError: see `answer_routed`; what has been yielded by then is void.
    """
    started = time.perf_counter()
    journey = Journey(ask, runtime)
    while True:
        plan = await journey.plan()
        if journey.escalate_unsupported(plan):
            continue
        begun = False
        live = stream_answer(plan.ask, runtime, upstream_check=upstream_check, plan=plan)
        try:
            async with contextlib.aclosing(live):
                async for item in live:
                    begun = begun or not isinstance(item, Plan)
                    yield _finished(item, runtime, started) if isinstance(item, Answer) else item
        except FALLS_BACK as error:
            if begun:
                raise
            journey.fail(plan.profile.name, error)
        else:
            return


def not_good_enough(given: Answer, runtime: Runtime) -> EscalationRecord | None:
    """Return why a better model should be asked; None where the answer is good enough.

    Calls of tools are no answer yet, and are never escalated.
    """
    if given.completion.tool_calls:
        return None
    plan = given.plan
    grounding = check_grounding(given.text, question=plan.ask.question, kept=plan.context.chunks)
    signals = Signals(grounding.share, grounding.insufficient, given.report.support)
    decided = decide_escalation(signals, thresholds=runtime.policy.thresholds)
    if not decided.wanted:
        return None
    return EscalationRecord(
        decided.reason,
        plan.profile.name,
        answered=False,
        grounding=round(grounding.share, 4),
        cost_usd=given.report.cost_usd,
    )


def _with_escalation(given: Answer, escalation: EscalationRecord) -> Answer:
    route = replace(given.report.route, escalation=escalation)
    return replace(given, report=replace(given.report, route=route))


def _finished(given: Answer, runtime: Runtime, started: float) -> Answer:
    """Return the answer with the time of the whole way, and learn from it."""
    runtime.latencies.note(given.plan.profile.name, given.timings_ms["complete"] / 1000)
    total = round((time.perf_counter() - started) * 1000, 2)
    return replace(given, timings_ms={**given.timings_ms, "total": total})
