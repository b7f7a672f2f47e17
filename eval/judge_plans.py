"""Plans a judge's call, so that it is priced and recorded as every other call is."""

from __future__ import annotations

from chunking.tokens import TokenCounter, counted_exactly
from serve.backends.protocol import CompletionRequest
from serve.context.assemble import ContextWindow
from serve.context.budget import plan_budget
from serve.context.prompt import Prompt
from serve.context.report import ContextReport, Coverage, Segments
from serve.context.route import RouteRecord
from serve.plan import Ask, Plan
from serve.profiles import ModelProfile

ROUTE_REASON = "judge"
"""Why the ledger says that a call was made."""


def plan_verdict(
    request: CompletionRequest,
    *,
    profile: ModelProfile,
    counter: TokenCounter,
    collection: str,
) -> Plan:
    """Return the plan of a request that retrieves nothing; its label is that of what it shows.

    Raises:
        ContextLengthExceeded: the answer to judge does not fit the judge's window.
    """
    tokens = counter.count_messages(request.messages)
    budget = plan_budget(
        window=profile.window,
        output_limit=profile.output_limit,
        fixed=tokens,
        requested_output=request.max_output_tokens,
        input_limit=profile.input_limit,
    )
    segments = Segments(template=0, system=0, history=0, question=tokens, retrieved=0)
    report = ContextReport(
        model=profile.name,
        window=profile.window,
        count="exact" if counted_exactly(counter, request.messages, tools=()) else "estimated",
        tokenizer=counter.name,
        segments=segments,
        prompt_tokens=tokens,
        reserved_output=budget.reserved_output,
        requested_output=budget.requested_output,
        free=profile.window - tokens - budget.reserved_output,
        truncated=False,
        mode="retrieve",
        coverage=Coverage(0, None, 0, 0, 0, 0, 0.0),
        entries=(),
        route=RouteRecord(profile.place, ROUTE_REASON),
    )
    return Plan(
        Ask(request.question, collection, profile.name, sensitivity=request.sensitivity),
        profile,
        budget,
        ContextWindow((), request.messages, (), segments),
        report,
        {},
        Prompt(request.question, system="", system_role=profile.system_role),
        counter,
    )
