from __future__ import annotations

import asyncio
from functools import partial

import pytest

from eval.shared_calls import SharedCalls


def test_a_call_is_made_once_for_all_who_want_it_at_the_same_time() -> None:
    made: list[str] = []

    async def join_all() -> list[str]:
        shared: SharedCalls[str] = SharedCalls()

        async def call(key: str) -> str:
            made.append(key)
            await asyncio.sleep(0.01)
            return key.upper()

        return await asyncio.gather(*(shared.join(key, partial(call, key)) for key in "aab"))

    assert asyncio.run(join_all()) == ["A", "A", "B"]
    assert made == ["a", "b"]


def test_a_failure_reaches_everyone_and_the_next_who_asks_makes_a_call() -> None:
    async def fail_then_answer() -> tuple[list[object], str]:
        shared: SharedCalls[str] = SharedCalls()

        async def fail() -> str:
            await asyncio.sleep(0.01)
            raise ValueError

        async def answer() -> str:
            return "answer"

        failed = await asyncio.gather(
            shared.join("a", fail), shared.join("a", answer), return_exceptions=True
        )
        return list(failed), await shared.join("a", answer)

    failed, given = asyncio.run(fail_then_answer())
    assert [type(one) for one in failed] == [ValueError, ValueError]
    assert given == "answer"


def test_who_is_cancelled_cancels_the_call() -> None:
    ended: list[str] = []

    async def cancel() -> None:
        shared: SharedCalls[None] = SharedCalls()

        async def call() -> None:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

        waiting = asyncio.create_task(shared.join("a", call))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(cancel())
    assert ended == ["cancelled"]
