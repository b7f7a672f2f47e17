"""Answers a request: plan, complete, check, price, report. The one orchestration."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from anyio import to_thread

from chunking.errors import UpstreamSilentTruncation
from serve.backends.protocol import Completion, CompletionRequest
from serve.citations import Citation, check_citations
from serve.context.report import ContextReport, Upstream
from serve.cost import price
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
    plan = await to_thread.run_sync(runtime.plan, ask)
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
    planned = plan.report.prompt_tokens
    text, citations, removed = check_citations(completion.text, plan.context.chunks)
    cost = price(
        plan.profile,
        prompt_tokens=planned if completion.prompt_tokens is None else completion.prompt_tokens,
        cached_tokens=completion.cached_tokens,
        output_tokens=completion.output_tokens,
        at=datetime.now(UTC),
    )
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
    return Upstream(served, served - planned, silently_truncated=False)
