"""Answers a request: plan, complete, check, price, report. The one orchestration."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from chunking.errors import UpstreamSilentTruncation
from serve.backends.protocol import Completion, CompletionRequest
from serve.citations import Citation, check_citations, cite
from serve.context.report import ContextReport, Upstream
from serve.cost import Cost, price
from serve.plan import Ask, Plan
from serve.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with its receipt."""

    text: str
    citations: tuple[Citation, ...]
    report: ContextReport
    completion: Completion
    timings_ms: Mapping[str, float]


async def answer(ask: Ask, runtime: Runtime) -> Answer:
    """Answer a request and account for everything the model saw.

    Raises:
        WindowfitError: see `chunking.errors`; nothing is answered half.
    """
    started = time.perf_counter()
    plan = await asyncio.to_thread(runtime.plan, ask)
    # Before anything is paid: a model whose price is unknown is refused here, not after the call.
    _price(plan, Completion(text="", prompt_tokens=None, output_tokens=0))
    called = time.perf_counter()
    request = CompletionRequest(
        messages=plan.context.messages,
        max_output_tokens=plan.budget.reserved_output,
        question=ask.question,
        sources=plan.context.chunks,
    )
    completion = await runtime.backend(plan.profile).complete(request)
    completed = time.perf_counter()
    upstream = check_upstream(plan, completion)
    text, citations, removed = _cited(plan, completion)
    cost = _price(plan, completion)
    report = replace(
        plan.report,
        upstream=upstream,
        removed_citations=removed,
        llm_calls=int(plan.profile.backend != "quote"),
        cost_usd=float(cost.usd),
        cost_basis=cost.basis,
    )
    seconds = {"complete": completed - called, "total": time.perf_counter() - started}
    timings = {name: round(value * 1000, 2) for name, value in seconds.items()}
    return Answer(text, citations, report, completion, {**plan.timings_ms, **timings})


def check_upstream(plan: Plan, completion: Completion) -> Upstream | None:
    """Compare the tokens the server says it read with the tokens that were planned.

    Raises:
        UpstreamSilentTruncation: the server read fewer tokens than an exact plan sent.
    """
    if completion.prompt_tokens is None:
        return None
    planned, served = plan.report.prompt_tokens, completion.prompt_tokens
    if plan.report.count == "exact" and served < planned:
        raise UpstreamSilentTruncation(
            f"{plan.profile.name}: {planned} prompt tokens sent, {served} read by the server: "
            f"{planned - served} were cut without notice"
        )
    # An estimate cannot tell a cut from its own error, unless half of the prompt is missing.
    return Upstream(served, served - planned, silently_truncated=served * 2 < planned)


def _price(plan: Plan, completion: Completion) -> Cost:
    served = completion.prompt_tokens
    return price(
        plan.profile,
        prompt_tokens=plan.report.prompt_tokens if served is None else served,
        cached_tokens=completion.cached_tokens,
        output_tokens=completion.output_tokens,
        at=datetime.now(UTC),
    )


def _cited(plan: Plan, completion: Completion) -> tuple[str, tuple[Citation, ...], int]:
    """Return the answer's text, its citations, and how many false ones were removed."""
    if completion.markers is not None:
        return completion.text, cite(completion.markers, plan.context.chunks), 0
    return check_citations(completion.text, plan.context.chunks)
