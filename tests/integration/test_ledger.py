"""The ledger of a whole service: every way in leaves a row, over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve.backends.scripted import ScriptedBackend
from serve.errors import UpstreamRateLimited
from serve.ledger import FILE_NAME, CallRow, Ledger, read_ledger
from tests.integration.test_streams import ASKED, CHAT, exact, post, until
from tests.running import running
from tests.serving import SETTINGS, small_runtime

pytestmark = pytest.mark.network


def rows_after(
    folder: Path, backend: ScriptedBackend, scenario: Callable[[int], Coroutine[Any, Any, Any]]
) -> list[CallRow]:
    async def serve() -> None:
        runtime = small_runtime(backend, ledger=Ledger(folder / FILE_NAME))
        async with running(runtime, SETTINGS) as port:
            await asyncio.wait_for(scenario(port), 30)

    asyncio.run(serve())
    return list(read_ledger(folder / FILE_NAME))


@pytest.mark.parametrize("path", ["/answer", "/v1/chat/completions"])
@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_leaves_a_row_under_its_request_id_with_its_first_token(
    tmp_path: Path, path: str, stream: bool
) -> None:
    backend = ScriptedBackend(["It is Lima [1]."], prompt_tokens=exact, piece_seconds=0.02)
    body = {**(ASKED if path == "/answer" else CHAT), "stream": stream}

    async def scenario(port: int) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            response = await client.post(path, json=body, headers={"x-request-id": "mine"})
            assert response.status_code == 200

    (row,) = rows_after(tmp_path, backend, scenario)

    assert (row.request_id, row.outcome, row.streamed) == ("mine", "answered", stream)
    assert (row.tokens, row.collection, row.place) == ("measured", "small", "local")
    assert row.first_token_seconds is not None
    assert 0 < row.first_token_seconds <= row.total_seconds
    assert (row.first_token_seconds + 0.02 < row.total_seconds) is stream


@pytest.mark.parametrize("stream", [True, False])
def test_a_failed_call_leaves_a_row(tmp_path: Path, stream: bool) -> None:
    backend = ScriptedBackend([UpstreamRateLimited("asks")])

    async def scenario(port: int) -> None:
        async with post(port, "/answer", {**ASKED, "stream": stream}) as connection:
            assert (await connection.head())[0] == 429

    rows = rows_after(tmp_path, backend, scenario)

    assert [(row.outcome, row.error_code) for row in rows] == [("failed", "rate_limited")]


def test_a_request_that_is_refused_before_it_is_planned_leaves_a_row(tmp_path: Path) -> None:
    async def scenario(port: int) -> None:
        async with post(port, "/answer", {**ASKED, "collection": "nonesuch"}) as connection:
            assert (await connection.head())[0] == 404

    rows = rows_after(tmp_path, ScriptedBackend(()), scenario)

    assert [(row.error_code, row.collection, row.sent) for row in rows] == [
        ("collection_not_found", None, False)
    ]


def test_an_abandoned_stream_leaves_a_row(tmp_path: Path) -> None:
    backend = ScriptedBackend(["one " * 1000], piece_seconds=0.02)

    async def scenario(port: int) -> None:
        async with post(port, "/v1/chat/completions", {**CHAT, "stream": True}) as connection:
            await connection.reader.readuntil(b'"content":"one"')
            await connection.leave()
            await until(lambda: backend.cancelled == 1)

    (row,) = rows_after(tmp_path, backend, scenario)

    assert (row.outcome, row.streamed, row.tokens) == ("abandoned", True, "planned")
    assert row.output_tokens > 0
    assert row.first_token_seconds is not None


def test_an_answer_that_nobody_waits_for_leaves_a_row(tmp_path: Path) -> None:
    backend = ScriptedBackend(["yes"], delay_seconds=30)

    async def scenario(port: int) -> None:
        async with post(port, "/answer", ASKED) as connection:
            await until(lambda: len(backend.requests) == 1)
            await connection.leave()
            await until(lambda: backend.cancelled == 1)

    rows = rows_after(tmp_path, backend, scenario)

    assert [(row.outcome, row.first_token_seconds) for row in rows] == [("abandoned", None)]


def test_a_preview_calls_no_model_and_leaves_no_row(tmp_path: Path) -> None:
    backend = ScriptedBackend(["yes"], prompt_tokens=exact)

    async def scenario(port: int) -> None:
        for path in ("/context/preview", "/answer"):
            async with post(port, path, ASKED) as connection:
                assert (await connection.head())[0] == 200
                await connection.reader.read()

    assert [row.outcome for row in rows_after(tmp_path, backend, scenario)] == ["answered"]


def test_a_ledger_that_cannot_be_written_is_told_and_stops_no_answer(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    backend = ScriptedBackend(["yes"], prompt_tokens=exact)
    told: dict[str, Any] = {}

    async def serve() -> None:
        runtime = small_runtime(backend, ledger=Ledger(tmp_path / "file" / "below"))
        async with running(runtime, SETTINGS) as port, httpx.AsyncClient() as client:
            base = f"http://127.0.0.1:{port}"
            assert (await client.post(f"{base}/answer", json=ASKED)).status_code == 200
            told.update((await client.get(f"{base}/readyz")).json())

    asyncio.run(serve())

    assert told["status"] == "ok"
    assert "1 rows are not in the ledger" in json.dumps(told["problems"])
