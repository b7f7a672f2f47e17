from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from serve.breaker import CircuitLimits
from serve.errors import QueueFull, UpstreamError, UpstreamRateLimited, UpstreamRejected
from serve.gate import Gate, GateLimits


def gate(
    *,
    concurrency: int = 1,
    queue: int = 1,
    queue_seconds: float = 5.0,
    failures: int = 2,
    clock: Callable[[], float] = time.monotonic,
) -> Gate:
    limits = GateLimits(concurrency, queue, queue_seconds, CircuitLimits(failures=failures))
    return Gate("local", limits, clock=clock)


async def call(
    held: Gate,
    *,
    until: asyncio.Event | None = None,
    error: Exception | None = None,
    log: list[str] | None = None,
    name: str = "",
) -> None:
    async with held.admitted():
        if log is not None:
            log.append(name)
        if until is not None:
            await until.wait()
        if error is not None:
            raise error


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_no_more_calls_run_than_allowed_and_the_others_come_in_turn() -> None:
    async def scene() -> None:
        held, done = gate(concurrency=2, queue=3), asyncio.Event()
        log: list[str] = []
        tasks = [
            asyncio.create_task(call(held, until=done, log=log, name=name)) for name in "abcde"
        ]
        await settle()
        assert (held.running, held.waiting, log) == (2, 3, ["a", "b"])
        done.set()
        await asyncio.gather(*tasks)
        assert (held.running, held.waiting, log) == (0, 0, list("abcde"))

    asyncio.run(scene())


def test_a_full_queue_refuses_at_once_with_the_numbers_and_when_to_retry() -> None:
    async def scene() -> None:
        held, done = gate(concurrency=1, queue=1), asyncio.Event()
        tasks = [asyncio.create_task(call(held, until=done)) for _ in "ab"]
        await settle()
        with pytest.raises(QueueFull, match="1 calls wait already, 1 of 1 calls run") as raised:
            await call(held)
        assert (raised.value.retry_after_seconds or 0) >= 1
        assert raised.value.retryable
        done.set()
        await asyncio.gather(*tasks)
        assert held.running == 0

    asyncio.run(scene())


def test_a_call_that_waited_too_long_is_refused_and_takes_no_place() -> None:
    async def scene() -> None:
        held, done = gate(queue_seconds=0.01), asyncio.Event()
        first = asyncio.create_task(call(held, until=done))
        await settle()
        with pytest.raises(QueueFull, match=r"waited 0\.01 s"):
            await call(held)
        done.set()
        await first
        assert (held.running, held.waiting) == (0, 0)

    asyncio.run(scene())


def test_a_caller_that_leaves_the_queue_or_a_call_frees_its_place() -> None:
    async def scene() -> None:
        held, never = gate(concurrency=1, queue=2), asyncio.Event()
        running, waiting = (asyncio.create_task(call(held, until=never)) for _ in "ab")
        await settle()
        waiting.cancel()
        await settle()
        assert (held.running, held.waiting) == (1, 0)
        running.cancel()
        await settle()
        assert (held.running, held.state) == (0, "closed")

    asyncio.run(scene())


def test_a_place_handed_over_to_a_caller_that_leaves_goes_to_the_next() -> None:
    async def scene() -> None:
        held, done = gate(concurrency=1, queue=2), asyncio.Event()
        first, second, third = (asyncio.create_task(call(held, until=done)) for _ in "abc")
        await settle()
        first.cancel()
        await asyncio.sleep(0)
        second.cancel()
        done.set()
        await asyncio.gather(first, second, third, return_exceptions=True)
        assert not third.cancelled()
        assert (held.running, held.waiting) == (0, 0)

    asyncio.run(scene())


def test_a_server_that_fails_is_left_alone_and_tried_again() -> None:
    now = [0.0]

    async def scene() -> None:
        held = gate(clock=lambda: now[0])
        for _ in range(2):
            with pytest.raises(UpstreamError, match="down"):
                await call(held, error=UpstreamError("down"))
        with pytest.raises(UpstreamError, match="failed 2 times within 30 s") as raised:
            await call(held)
        assert raised.value.retry_after_seconds == 15
        now[0] = 15.0
        states = [held.state]
        await call(held)
        assert [*states, held.state] == ["half_open", "closed"]

    asyncio.run(scene())


@pytest.mark.parametrize(
    "error", [UpstreamRejected("wrong"), UpstreamRateLimited("busy"), ValueError("a defect")]
)
def test_what_is_not_the_servers_failure_does_not_break_the_circuit(error: Exception) -> None:
    async def scene() -> None:
        held = gate()
        for _ in range(5):
            with pytest.raises(type(error)):
                await call(held, error=error)
        assert (held.state, held.running) == ("closed", 0)

    asyncio.run(scene())


def test_a_call_that_waited_while_the_server_broke_is_not_made() -> None:
    async def scene() -> None:
        held, done = gate(failures=1), asyncio.Event()
        first = asyncio.create_task(call(held, until=done, error=UpstreamError("down")))
        await settle()
        second = asyncio.create_task(call(held))
        await settle()
        done.set()
        ends = await asyncio.gather(first, second, return_exceptions=True)
        assert str(ends[0]) == "down"
        assert "is not called" in str(ends[1])
        assert (held.running, held.waiting) == (0, 0)

    asyncio.run(scene())
