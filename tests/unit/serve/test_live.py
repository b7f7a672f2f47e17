from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

import pytest
from starlette.requests import Request

from serve.errors import UpstreamTimeout
from serve.live import ClientLeft, Pieces, event_line, while_connected


class Client:
    """A request whose client leaves when it is told to."""

    def __init__(self) -> None:
        self.leaving = asyncio.Event()
        self.request = Request({"type": "http"}, self._receive)

    async def _receive(self) -> dict[str, Any]:
        await self.leaving.wait()
        return {"type": "http.disconnect"}


class Source:
    """A generator of numbers that records how it ended."""

    def __init__(self, count: int, *, error: Exception | None = None) -> None:
        self.count = count
        self.error = error
        self.made = 0
        self.ended = False

    async def numbers(self) -> AsyncGenerator[int]:
        try:
            for number in range(self.count):
                await asyncio.sleep(0)
                self.made += 1
                yield number
            if self.error is not None:
                raise self.error
        finally:
            self.ended = True


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 5))


def test_pieces_come_in_order_and_end() -> None:
    async def scenario() -> None:
        source = Source(200)
        pieces = Pieces(source.numbers(), Client().request)
        assert [piece async for piece in pieces] == list(range(200))
        await pieces.close()
        assert source.ended

    run(scenario())


def test_an_error_comes_after_the_pieces_before_it() -> None:
    async def scenario() -> None:
        pieces = Pieces(Source(2, error=ValueError("x")).numbers(), Client().request)
        assert [await anext(pieces), await anext(pieces)] == [0, 1]
        with pytest.raises(ValueError, match="x"):
            await pieces.arrives(1)
        await pieces.close()

    run(scenario())


def test_waiting_may_time_out_and_loses_no_piece() -> None:
    async def slow() -> AsyncGenerator[int]:
        await asyncio.sleep(0.05)
        yield 7

    async def scenario() -> None:
        pieces = Pieces(slow(), Client().request)
        assert not await pieces.arrives(0.001)
        assert not await pieces.arrives(0.001)
        assert await pieces.arrives(2)
        assert await anext(pieces) == 7
        assert await pieces.arrives(2)
        with pytest.raises(StopAsyncIteration):
            await anext(pieces)
        await pieces.close()

    run(scenario())


def test_a_reader_that_is_slow_holds_the_source_back() -> None:
    async def scenario() -> None:
        source = Source(10_000)
        pieces = Pieces(source.numbers(), Client().request)
        await anext(pieces)
        await asyncio.sleep(0.05)
        assert source.made < 100
        await pieces.close()
        assert source.ended

    run(scenario())


def test_a_client_that_leaves_closes_the_source() -> None:
    async def scenario() -> None:
        client, source = Client(), Source(10_000)
        pieces = Pieces(source.numbers(), client.request)
        await anext(pieces)
        client.leaving.set()
        with pytest.raises(ClientLeft):
            async for _ in pieces:
                pass
        assert source.ended
        await pieces.close()

    run(scenario())


def test_a_deadline_that_strikes_while_the_reader_is_slow_is_told() -> None:
    async def limited() -> AsyncGenerator[int]:
        async with asyncio.timeout(0.05):
            for number in range(10_000):
                yield number

    async def scenario() -> None:
        pieces = Pieces(limited(), Client().request)
        await asyncio.sleep(0.2)
        with pytest.raises((UpstreamTimeout, TimeoutError)):
            async for _ in pieces:
                pass
        await pieces.close()

    run(scenario())


def test_work_is_cancelled_when_its_client_leaves_and_not_before() -> None:
    cancelled = []

    async def work(seconds: float) -> str:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            cancelled.append(seconds)
            raise
        return "done"

    async def scenario() -> None:
        client = Client()
        assert await while_connected(client.request, work(0.01)) == "done"
        assert cancelled == []
        asyncio.get_running_loop().call_later(0.02, client.leaving.set)
        with pytest.raises(ClientLeft):
            await while_connected(client.request, work(30))
        assert cancelled == [30]

    run(scenario())


def test_an_event_is_one_line_for_every_client() -> None:
    text = "a\nb\r\u2028\u0085 caf\u00e9 \ud800"

    line = event_line({"delta": text})

    assert line.endswith(b"\n\n")
    assert len(line.decode("ascii").splitlines()) == 2
    assert json.loads(line.removeprefix(b"data: "))["delta"] == text
