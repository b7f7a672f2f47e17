from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from chunking.sensitivity import Sensitivity
from serve.account import Progress, bill_of, row_of
from serve.backends.protocol import Completion
from serve.backends.scripted import ScriptedBackend
from serve.plan import Ask, Plan
from serve.profiles import PerMillionPrice
from tests.serving import profile, small_runtime

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
PRICED = PerMillionPrice(Decimal(3), Decimal(15), cached_input_usd=Decimal("0.3"))
MODEL = profile(price=PRICED, hardware_usd_per_hour=Decimal("0.07"))
RUNTIME = small_runtime(ScriptedBackend(()), profiles={"scripted": MODEL})
PLAN: Plan = RUNTIME.plan(Ask("What is the capital of Peru?", "small", "scripted"))
BEGUN = Progress("call", "request", NOW, streamed=False, profile=MODEL, plan=PLAN)
TOKENS = st.integers(0, 10**7)


@given(TOKENS, TOKENS, TOKENS, st.floats(0, 10**5, allow_nan=False))
def test_the_row_of_a_call_costs_what_its_bill_says(
    prompt: int, cached: int, output: int, seconds: float
) -> None:
    completion = Completion("", prompt, output, cached_tokens=cached)
    done = replace(BEGUN, sent=True, completion=completion, call_seconds=seconds)

    bill = bill_of(PLAN, completion, at=NOW, seconds=seconds)
    row = row_of(done, outcome="answered")

    assert row.usd == bill.usd == row.price_usd + row.hardware_usd
    fresh, reused = prompt - min(cached, prompt), min(cached, prompt)
    assert bill.tokens.usd * 10**6 == 3 * fresh + Decimal("0.3") * reused + 15 * output
    assert (row.prompt_tokens, row.cached_tokens) == (prompt, reused)


@given(st.lists(st.floats(0, 10**5, allow_nan=False), max_size=50))
def test_costs_of_hardware_add_up_without_a_rest(seconds: list[float]) -> None:
    costs = [
        bill_of(PLAN, Completion("", 0, 0), at=NOW, seconds=one).hardware.usd for one in seconds
    ]

    assert sum(costs) == sum(int(cost * 10**12) for cost in costs) / Decimal(10**12)


def test_parts_are_priced_each_and_summed() -> None:
    parts = (Completion("", 100, 10), Completion("", 200, 20))
    whole = Completion("", 300, 30, parts=parts)

    bill = bill_of(PLAN, whole, at=NOW, seconds=0)

    assert bill.tokens.usd == Decimal("0.00135")  # 300 at 3 and 30 at 15 USD per million


def test_a_call_that_was_not_sent_costs_nothing_and_holds_no_documents() -> None:
    row = row_of(BEGUN, outcome="failed", error_code="queue_full")

    assert (row.usd, row.price_basis, row.sent_documents) == (Decimal(0), "nothing was sent", 0)
    assert (row.collection, row.route_reason) == ("small", "model=scripted")


def test_what_was_sent_and_did_not_come_back_counts_as_planned() -> None:
    row = row_of(replace(BEGUN, sent=True, written_tokens=7), outcome="abandoned")

    assert (row.prompt_tokens, row.output_tokens) == (PLAN.report.prompt_tokens, 7)
    assert (row.tokens, row.output_tokens_per_second) == ("planned", None)


def test_the_row_bears_the_highest_label_of_what_was_sent() -> None:
    first, *rest = PLAN.context.chunks
    chunks = (replace(first, sensitivity=Sensitivity.CONFIDENTIAL), *rest)
    plan = replace(PLAN, context=replace(PLAN.context, chunks=chunks))

    assert row_of(replace(BEGUN, plan=plan, sent=True), outcome="failed").sensitivity == (
        "confidential"
    )
    assert row_of(replace(BEGUN, plan=plan), outcome="failed").sensitivity is None
