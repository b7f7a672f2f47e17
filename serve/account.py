"""Computes what a call cost and the row that the ledger keeps of it; touches nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from chunking.sensitivity import highest
from retrieval.scope import TENANT
from serve.backends.protocol import Completion
from serve.context.report import ContextReport
from serve.cost import Cost, price, price_at_most, price_hardware
from serve.ledger import CallRow, Outcome
from serve.plan import Plan
from serve.profiles import ModelProfile


@dataclass(frozen=True, slots=True)
class Bill:
    """What a call cost: billed by the token, and for the machine that answered."""

    tokens: Cost
    hardware: Cost

    @property
    def usd(self) -> Decimal:
        """The sum."""
        return self.tokens.usd + self.hardware.usd

    @property
    def basis(self) -> str:
        """How the sum came about, in words."""
        return "; ".join(filter(None, (self.tokens.basis, self.hardware.basis)))


_NO_BILL = Bill(Cost(Decimal(0), "nothing was sent"), Cost(Decimal(0), ""))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a call has come.

    Attributes:
        call: its name in the ledger.
        began: when the request was taken up, with its time zone.
        profile: of the model that was asked for, where there is one.
        plan: None until it is made.
        sent: whether the plan's prompt was handed to the model.
        completion: what came back; None until it is whole.
        written_tokens: output tokens of a call without completion, as we count them.
        first_token_seconds, total_seconds: since the request was taken up.
        call_seconds: since the prompt was handed to the model.
    """

    call: str
    request_id: str
    began: datetime
    streamed: bool
    profile: ModelProfile | None
    plan: Plan | None = None
    sent: bool = False
    completion: Completion | None = None
    written_tokens: int = 0
    first_token_seconds: float | None = None
    call_seconds: float = 0.0
    total_seconds: float = 0.0


def bill_of(plan: Plan, completion: Completion, *, at: datetime, seconds: float) -> Bill:
    """Return what the calls of a completion cost together, each priced by its own length.

    Args:
        at: when the call was made, with a time zone.
        seconds: how long the model took.

    Raises:
        ConfigurationError: the price list does not hold the model.
    """
    costs = [
        price(
            plan.profile,
            prompt_tokens=_prompt_tokens(plan, part),
            cached_tokens=part.cached_tokens,
            output_tokens=part.output_tokens,
            at=at,
        )
        for part in completion.parts or (completion,)
    ]
    tokens = Cost(sum((cost.usd for cost in costs), Decimal(0)), costs[-1].basis)
    return Bill(tokens, price_hardware(plan.profile, seconds=seconds))


def planned_tokens(plan: Plan, completion: Completion) -> int:
    """Return the prompt tokens that were planned for what a completion answers."""
    return completion.planned_tokens or plan.report.prompt_tokens


def row_of(progress: Progress, *, outcome: Outcome, error_code: str | None = None) -> CallRow:
    """Return the row of a call that has come so far.

    Names that a caller has made up are no part of it: neither a model without a profile, nor a
    collection from which nothing could be planned.

    Raises:
        ConfigurationError: the call was sent, and the price list does not hold the model.
    """
    plan, profile = progress.plan, progress.profile
    done = progress.completion or _unfinished(progress)
    bill = _NO_BILL
    if plan is not None and progress.sent:
        bill = bill_of(plan, done, at=progress.began, seconds=progress.call_seconds)
    shown = plan.context.chunks if plan is not None and progress.sent else ()
    prompt = _prompt_tokens(plan, done) if plan is not None and progress.sent else 0
    seconds = progress.call_seconds
    return CallRow(
        call=progress.call,
        request_id=progress.request_id,
        at=progress.began,
        tenant=TENANT,
        collection=None if plan is None else plan.ask.collection,
        model=None if profile is None else profile.name,
        place=None if profile is None else profile.place,
        route_reason=None if plan is None else plan.report.route.reason,
        rule=None if plan is None else plan.report.route.rule,
        outcome=outcome,
        error_code=error_code,
        sent=progress.sent,
        streamed=progress.streamed,
        llm_calls=0 if plan is None or not progress.sent else call_count(plan, done),
        prompt_tokens=prompt,
        cached_tokens=min(done.cached_tokens, prompt),
        output_tokens=done.output_tokens,
        tokens="planned" if done.prompt_tokens is None else "measured",
        price_usd=bill.tokens.usd,
        price_basis=bill.tokens.basis,
        hardware_usd=bill.hardware.usd,
        hardware_basis=bill.hardware.basis,
        first_token_seconds=progress.first_token_seconds,
        call_seconds=seconds,
        total_seconds=progress.total_seconds,
        output_tokens_per_second=done.output_tokens / seconds if seconds else None,
        sensitivity=_label_sent(progress),
        sent_documents=len({chunk.document for chunk in shown}),
    )


def _label_sent(progress: Progress) -> str | None:
    """Return the highest label of what was sent, request and documents; None where nothing was."""
    plan = progress.plan
    if plan is None or not progress.sent:
        return None
    return str(highest((plan.ask.label, *(one.sensitivity for one in plan.context.chunks))))


def call_count(plan: Plan, completion: Completion) -> int:
    """Return how many calls of a model made a completion; quoting takes none."""
    return 0 if plan.profile.backend == "quote" else max(1, len(completion.parts))


def _unfinished(progress: Progress) -> Completion:
    """Return a call that did not end as far as it is known: the prompt, and the text that came."""
    shards = progress.plan.exhaustion.shards if progress.plan and progress.plan.exhaustion else ()
    return Completion(
        text="",
        prompt_tokens=None,
        output_tokens=progress.written_tokens,
        planned_tokens=sum(shard.tokens for shard in shards) or None,
    )


def _prompt_tokens(plan: Plan, completion: Completion) -> int:
    served = completion.prompt_tokens
    return planned_tokens(plan, completion) if served is None else served


def window_needed(report: ContextReport) -> int:
    """Return the tokens that a request needs: in mode `full` with every candidate in the prompt."""
    if report.mode != "full":
        return report.prompt_tokens + report.requested_output
    fixed = report.prompt_tokens - report.segments.retrieved
    return fixed + report.coverage.candidate_tokens + report.requested_output


def cost_at_most(plan: Plan) -> str:
    """Return the most dollars that the calls of a plan cost, as text."""
    report = plan.report
    if report.exhaustive is not None:
        return str(report.exhaustive.cost_at_most_usd)
    return str(price_at_most(plan.profile, report.prompt_tokens, report.reserved_output))
