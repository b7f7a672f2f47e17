"""Answers a request: plan, complete, check, price, report. The one orchestration, whole or live."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, Protocol

from chunking.sensitivity import highest
from serve.account import Bill, call_count, planned_tokens
from serve.answered import Known
from serve.backends.protocol import Completion, CompletionRequest
from serve.brought import arguments_text
from serve.call_record import CallRecord, Origin
from serve.citations import Citation, CitationCheck, cite
from serve.context.report import ContextReport, ExhaustivePlan, Upstream
from serve.errors import UpstreamError, UpstreamSilentTruncation
from serve.plan import Ask, Plan
from serve.recall import labels_to_hold
from serve.runtime import Runtime
from serve.shard_calls import ShardCalls

UpstreamCheck = Literal["refuse", "report"]
"""What becomes of an answer to an exact prompt that the server cut: refused, or reported as cut."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with its receipt, and the plan it was made from.

    Attributes:
        bill: what the report's cost is the sum of, exact.
    """

    text: str
    citations: tuple[Citation, ...]
    report: ContextReport
    completion: Completion
    timings_ms: Mapping[str, float]
    plan: Plan
    bill: Bill


async def answer(
    ask: Ask,
    runtime: Runtime,
    *,
    upstream_check: UpstreamCheck = "refuse",
    plan: Plan | None = None,
    origin: Origin | None = None,
) -> Answer:
    """Answer a request and account for everything the model saw.

    Args:
        plan: the plan of this request for this model, where it was made already.
        origin: the request that this is made for, where it has begun before.

    Raises:
        WindowfitError: see `chunking.errors`; nothing is answered half.
    """
    async with _record(ask, runtime, origin) as record:
        call = await _begin(ask, runtime, upstream_check, record, plan)
        await record.send()
        completion = await call.backend.complete(call.request)
        call.take(completion.text)
        given = call.finish(completion, upstream_check)
    runtime.observe(call.plan, given.report)
    await _remember(given, call, runtime)
    return given


async def stream_answer(
    ask: Ask,
    runtime: Runtime,
    *,
    upstream_check: UpstreamCheck = "refuse",
    plan: Plan | None = None,
    origin: Origin | None = None,
) -> AsyncGenerator[Plan | str | Answer]:
    """Yield the plan, then the answer's text in pieces as it is written, then the whole `Answer`.

    The pieces join to the answer's text: false citations are gone from both. Closing the generator
    cancels the call upstream.

    Args:
        plan: see `answer`.
        origin: the request that this is made for, where it has begun before.

    Raises:
        WindowfitError: see `chunking.errors`; what has been yielded by then is void.
    """
    async with _record(ask, runtime, origin, streamed=True) as record:
        call = await _begin(ask, runtime, upstream_check, record, plan)
        yield call.plan
        await record.send()
        completion: Completion | None = None
        saying = runtime.recall.saying(call.plan)
        try:
            async with contextlib.aclosing(call.backend.stream(call.request)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Completion):
                        completion = piece
                        continue
                    call.note_first_piece()
                    if text := call.take(piece):
                        # A client may leave at any piece, and send back what it has by then.
                        saying.add(call.text)
                        yield text
        finally:
            saying.end(call.text)
        if completion is None:
            raise UpstreamError(f"the stream of {call.plan.profile.name} ended without completion")
        before = len(call.text)
        finished = call.finish(completion, upstream_check)
    runtime.observe(call.plan, finished.report)
    await _remember(finished, call, runtime)
    if rest := finished.text[before:]:
        yield rest
    yield finished


async def _remember(given: Answer, call: _Call, runtime: Runtime) -> None:
    """Remember what an answer says: its text, and the calls of tools it asks for."""
    said = (given.text, *map(arguments_text, given.completion.tool_calls))
    await asyncio.to_thread(runtime.recall.note_said, call.plan, *said)


def _record(
    ask: Ask, runtime: Runtime, origin: Origin | None, *, streamed: bool = False
) -> CallRecord:
    profile = runtime.profiles.get(ask.model)
    return CallRecord(runtime.ledger, profile, origin=origin, streamed=streamed)


class _Completing(Protocol):
    """What a call needs of a backend."""

    async def complete(self, request: CompletionRequest) -> Completion: ...

    def stream(self, request: CompletionRequest) -> AsyncGenerator[str | Completion]: ...


class _Call:
    """One call of a model between its plan and its answer."""

    def __init__(
        self, plan: Plan, backend: _Completing, started: float, record: CallRecord
    ) -> None:
        self.plan = plan
        self.record = record
        self.backend = backend
        self.request = _request(plan)
        self.text = ""
        shown = range(1, len(plan.context.chunks) + 1)
        self._check = None if _verbatim(plan) else CitationCheck(shown)
        self._started = started
        self._called = time.perf_counter()
        self._seconds: dict[str, float] = {}

    def note_first_piece(self) -> None:
        """Remember how long the model took to its first piece."""
        self._seconds.setdefault("first_piece", time.perf_counter() - self._called)
        self.record.note_first_text()

    def take(self, piece: str) -> str:
        """Return what can be shown of one more piece of the answer."""
        decided = piece if self._check is None else self._check.feed(piece)
        self.text += decided
        self.record.text = self.text
        return decided

    def finish(self, completion: Completion, upstream_check: UpstreamCheck) -> Answer:
        """Check what the server read, price it, and write the report."""
        completed = time.perf_counter()
        bill = self.record.complete(completion)
        upstream = check_upstream(self.plan, completion, upstream_check)
        text, markers, removed = self.text, set(completion.markers or ()), 0
        if self._check is not None:
            text += self._check.finish()
            markers |= self._check.cited
            removed = self._check.removed + completion.removed_citations
        report = replace(
            self.plan.report,
            upstream=upstream,
            removed_citations=removed,
            llm_calls=call_count(self.plan, completion),
            exhaustive=_exhausted(self.plan.report.exhaustive, completion),
            cost_usd=float(bill.usd),
            cost_basis=bill.basis,
        )
        seconds = {
            **self._seconds,
            "complete": completed - self._called,
            "total": time.perf_counter() - self._started,
        }
        timings = {name: round(value * 1000, 2) for name, value in seconds.items()}
        return Answer(
            text,
            cite(markers, self.plan.context.chunks),
            report,
            completion,
            {**self.plan.timings_ms, **timings},
            self.plan,
            bill,
        )


async def _begin(
    ask: Ask,
    runtime: Runtime,
    upstream_check: UpstreamCheck,
    record: CallRecord,
    plan: Plan | None,
) -> _Call:
    started = time.perf_counter()
    if plan is None:
        plan = await asyncio.to_thread(runtime.plan, ask)
    # Before anything is paid: a model whose price is unknown is refused here, not after the call.
    record.plan(plan)
    asked = Known(plan.ask.sensitivity)
    await asyncio.to_thread(runtime.answered.note, plan.ask.question, asked)
    backend = await runtime.verified_backend(plan.profile)
    if plan.profile.place != "local":
        # After what may take long: answers that were given meanwhile may come back in it.
        plan = replace(plan, ask=await asyncio.to_thread(runtime.recall.recognise, plan.ask))
        record.plan(plan)
    if plan.exhaustion is not None and plan.profile.backend != "quote":
        check = partial(check_upstream, plan, upstream_check=upstream_check)
        calls = ShardCalls(backend, plan.exhaustion, plan.counter, check)
        return _Call(plan, calls, started, record)
    return _Call(plan, backend, started, record)


def check_upstream(
    plan: Plan, completion: Completion, upstream_check: UpstreamCheck = "refuse"
) -> Upstream | None:
    """Compare the tokens the server says it read with the tokens that were planned.

    Raises:
        UpstreamSilentTruncation: the server read fewer tokens than an exact plan sent, and that is
            to be refused.
    """
    if completion.prompt_tokens is None:
        return None
    planned, served = planned_tokens(plan, completion), completion.prompt_tokens
    cut = plan.report.count == "exact" and served < planned
    if cut and upstream_check == "refuse":
        raise UpstreamSilentTruncation(
            f"{plan.profile.name}: {planned} prompt tokens sent, {served} read by the server: "
            f"{planned - served} were cut without notice"
        )
    # An estimate cannot tell a cut from its own error, unless half of the prompt is missing.
    return Upstream(served, served - planned, silently_truncated=cut or served * 2 < planned)


def _request(plan: Plan) -> CompletionRequest:
    ask = plan.ask
    return CompletionRequest(
        messages=plan.context.messages,
        max_output_tokens=plan.budget.reserved_output,
        question=ask.question,
        sources=plan.context.chunks,
        collection=ask.collection,
        planned_labels=labels_to_hold(plan),
        tools=ask.tools,
        tool_choice=ask.tool_choice,
        response_format=ask.response_format,
        sampling=ask.sampling,
        sensitivity=highest((ask.label, *(one.sensitivity for one in plan.context.chunks))),
    )


def _verbatim(plan: Plan) -> bool:
    """Return whether brackets in the answer are no citations: quotations, and JSON with its lists.

    The backend that quotes names its sources itself.
    """
    return plan.profile.backend == "quote" or plan.ask.response_format is not None


def _exhausted(planned: ExhaustivePlan | None, completion: Completion) -> ExhaustivePlan | None:
    """Return the plan of mode `exhaustive` with what the joining call took."""
    if planned is None or len(completion.parts) <= 1:
        return planned
    joined = completion.parts[-1].planned_tokens
    unfinished = sum(part.finish_reason == "length" for part in completion.parts[:-1])
    return replace(
        planned,
        join_prompt_tokens=joined,
        notes_cut=completion.notes_cut,
        notes_unfinished=unfinished,
    )
