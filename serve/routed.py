"""Answers a request by the model that it is routed to, and by the next one where that fails."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator
from dataclasses import replace

from serve.answer import Answer, UpstreamCheck, answer, stream_answer
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

    Raises:
        PolicyNoRoute: no model that may see this text is left.
        WindowfitError: see `Journey.plan`; nothing is answered half.
    """
    started = time.perf_counter()
    journey = Journey(ask, runtime)
    while True:
        plan = await journey.plan()
        try:
            given = await answer(plan.ask, runtime, upstream_check=upstream_check, plan=plan)
        except FALLS_BACK as error:
            journey.fail(plan.profile.name, error)
        else:
            return _finished(given, runtime, started)


async def stream_routed(
    ask: Ask, runtime: Runtime, *, upstream_check: UpstreamCheck = "refuse"
) -> AsyncGenerator[Plan | str | Answer]:
    """Yield the plan, the answer's text in pieces, then the whole `Answer`, as `stream_answer`.

    A model that fails before its first piece is followed by the next: its plan is yielded, and
    takes the place of the plan before. After the first piece a failure is raised.

    Raises:
        WindowfitError: see `answer_routed`; what has been yielded by then is void.
    """
    started = time.perf_counter()
    journey = Journey(ask, runtime)
    while True:
        plan = await journey.plan()
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


def _finished(given: Answer, runtime: Runtime, started: float) -> Answer:
    """Return the answer with the time of the whole way, and learn from it."""
    plan = given.plan
    runtime.latencies.note(plan.profile.name, given.timings_ms["complete"] / 1000)
    total = round((time.perf_counter() - started) * 1000, 2)
    return replace(given, timings_ms={**given.timings_ms, "total": total})
