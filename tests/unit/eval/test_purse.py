from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.errors import CallLimitExceeded
from eval.purse import Purse

CENTS = st.integers(min_value=0, max_value=50).map(lambda cents: Decimal(cents) / 100)
CALLS = st.lists(st.tuples(CENTS, st.integers(min_value=0, max_value=100)), max_size=20)


@given(CENTS, CENTS, CALLS)
def test_calls_at_the_same_time_never_spend_more_than_the_limit(
    limit: Decimal, before: Decimal, calls: list[tuple[Decimal, int]]
) -> None:
    purse = Purse(limit, spent=before)
    highest = before

    async def call(at_most: Decimal, percent: int) -> None:
        nonlocal highest
        try:
            await purse.reserve(at_most)
        except CallLimitExceeded:
            return
        highest = max(highest, purse.spent + purse.reserved)
        await asyncio.sleep(0)
        await purse.settle(at_most, usd=at_most * percent / 100)

    async def all_at_once() -> None:
        await asyncio.gather(*(call(*one) for one in calls))

    asyncio.run(all_at_once())

    assert highest <= max(limit, before)
    assert purse.reserved == 0


def test_a_call_waits_for_those_that_run_before_it_is_refused() -> None:
    async def run() -> list[str]:
        purse, told = Purse(Decimal(1)), []

        async def second() -> None:
            await purse.reserve(Decimal("0.5"))
            told.append("second")

        await purse.reserve(Decimal("0.9"))
        waiting = asyncio.ensure_future(second())
        await asyncio.sleep(0)
        told.append("first settles")
        await purse.settle(Decimal("0.9"), usd=Decimal("0.1"))
        await waiting
        await purse.settle(Decimal("0.5"), usd=Decimal("0.5"))
        with pytest.raises(CallLimitExceeded, match=r"0\.9 USD"):
            await purse.reserve(Decimal("0.9"))
        return told

    assert asyncio.run(run()) == ["first settles", "second"]


def test_what_costs_nothing_is_always_allowed() -> None:
    asyncio.run(Purse(Decimal(0), spent=Decimal(1)).reserve(Decimal(0)))
