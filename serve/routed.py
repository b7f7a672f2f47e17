"""Answers a request by the model that it is routed to, and by the next where that fails."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Final

from chunking.errors import CollectionChanged, WindowfitError
from serve.answer import Answer, UpstreamCheck, answer, stream_answer
from serve.brought import brought_texts
from serve.call_record import CallRecord, Origin
from serve.context.route import EscalationRecord
from serve.errors import PolicyNoRoute, PolicyRefused
from serve.escalation import decide_escalation, read_signals
from serve.grounding import check_grounding
from serve.journey import FALLS_BACK, Journey
from serve.plan import Ask, Plan
from serve.runtime import Runtime

_OUTDATED: Final = (CollectionChanged, PolicyNoRoute)
"""What a call is refused by before anything is sent, where a label was raised since its plan."""


async def plan_routed(ask: Ask, runtime: Runtime) -> Plan:
    """Return the plan of a request for the model that it is routed to; no model is called.

    Raises:
        WindowfitError: see `Journey.plan`.
    """
    journey = await asyncio.to_thread(Journey, ask, runtime)
    return await journey.plan()


async def answer_routed(
    ask: Ask,
    runtime: Runtime,
    *,
    upstream_check: UpstreamCheck = "refuse",
    origin: Origin | None = None,
) -> Answer:
    """Answer a request by the first model that may and can, each with a plan of its own.

    Where the rule escalates and the answer is not good enough, the next model answers, again with a
    plan of its own; if none may or can, the first answer stands. Every call has its row in the
    ledger, and so has a request that no model was called for.

    Args:
        origin: the request that this is made for, where it has begun before.

    Raises:
        PolicyNoRoute: no model that may see this text is left.
        WindowfitError: see `Journey.plan`; nothing is answered half.
    """
    origin = origin or Origin()
    journey = await _begin(ask, runtime, origin)
    first: Answer | None = None
    while True:
        try:
            plan = await journey.plan()
        except WindowfitError as error:
            if first is not None:
                return _finished(first, runtime, origin)
            await _record_refusal(runtime, journey, origin, error)
            raise
        if journey.escalate_unsupported(plan):
            continue
        try:
            given = await answer(
                plan.ask, runtime, upstream_check=upstream_check, plan=plan, origin=origin
            )
        except _OUTDATED as error:
            journey.plan_anew(error)
            continue
        except FALLS_BACK as error:
            journey.fail(plan.profile.name, error)
            continue
        escalation = None
        if journey.may_escalate(plan):
            escalation = await asyncio.to_thread(not_good_enough, given, runtime)
        if escalation is None:
            return _finished(given, runtime, origin)
        first = _with_escalation(given, escalation)
        journey.escalate(replace(escalation, answered=True))


async def stream_routed(
    ask: Ask,
    runtime: Runtime,
    *,
    upstream_check: UpstreamCheck = "refuse",
    origin: Origin | None = None,
) -> AsyncGenerator[Plan | str | Answer]:
    """Yield the plan, the answer's text in pieces, then the whole `Answer`, as `stream_answer`.

    A model that fails before its first piece is followed by the next: its plan is yielded, and
    takes the place of the plan before. After the first piece a failure is raised, and nothing is
    escalated: only what the search tells can do that, before any model is called.

    Args:
        origin: see `answer_routed`.

    Raises:
        WindowfitError: see `answer_routed`; what has been yielded by then is void.
    """
    origin = origin or Origin()
    journey = await _begin(ask, runtime, origin)
    while True:
        try:
            plan = await journey.plan()
        except WindowfitError as error:
            await _record_refusal(runtime, journey, origin, error)
            raise
        if journey.escalate_unsupported(plan):
            continue
        begun = False
        live = stream_answer(
            plan.ask, runtime, upstream_check=upstream_check, plan=plan, origin=origin
        )
        try:
            async with contextlib.aclosing(live):
                async for item in live:
                    begun = begun or not isinstance(item, Plan)
                    yield _finished(item, runtime, origin) if isinstance(item, Answer) else item
        except _OUTDATED as error:
            if begun:
                raise
            journey.plan_anew(error)
        except FALLS_BACK as error:
            if begun:
                raise
            journey.fail(plan.profile.name, error)
        else:
            return


async def _begin(ask: Ask, runtime: Runtime, origin: Origin) -> Journey:
    """Return the journey of a request; one that cannot begin is recorded, too."""
    try:
        # In a thread, as it may ask the store for the labels of what comes back.
        return await asyncio.to_thread(Journey, ask, runtime)
    except WindowfitError as error:
        await CallRecord(runtime.ledger, None, origin=origin).end(error)
        raise


async def _record_refusal(
    runtime: Runtime, journey: Journey, origin: Origin, error: WindowfitError
) -> None:
    """Record a request that ended without an answer, unless the row of a call says so already."""
    if isinstance(error, PolicyRefused) or not journey.called:
        await CallRecord(runtime.ledger, journey.named, origin=origin).end(error)


def not_good_enough(given: Answer, runtime: Runtime) -> EscalationRecord | None:
    """Return why a better model should be asked; None where the answer is good enough.

    Calls of tools are no answer yet, and are never escalated.
    """
    if given.completion.tool_calls:
        return None
    plan = given.plan
    grounding = check_grounding(
        given.text,
        question=plan.ask.question,
        said=brought_texts(plan.ask),
        kept=plan.context.chunks,
        structured=plan.ask.response_format is not None,
    )
    signals = read_signals(grounding, support=given.report.support)
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


def _finished(given: Answer, runtime: Runtime, origin: Origin) -> Answer:
    """Return the answer with the time of the whole way, and learn from it."""
    runtime.latencies.note(given.plan.profile.name, given.timings_ms["complete"] / 1000)
    total = round((time.perf_counter() - origin.started) * 1000, 2)
    return replace(given, timings_ms={**given.timings_ms, "total": total})
