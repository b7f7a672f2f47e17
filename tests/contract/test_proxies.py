"""Prompts for one's own models go straight there; a cloud is reached as the environment says.

The server is addressed as 0.0.0.0: this machine, by an address that is not the loopback's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from chunking.errors import WindowfitError
from serve.backends.opening import open_backend, open_counter
from serve.profiles import ModelProfile, load_profiles
from tests.contract.backend_cases import ask
from tests.contract.openai_server import OpenAIServer, Reply, run_server
from tests.pair_counter import PairCounter

ROUTES: Mapping[str, Reply] = {"/tokenize": Reply({"count": 7, "tokens": [], "max_model_len": 99})}


def served(server: OpenAIServer, place: str) -> ModelProfile:
    address = server.base_url.replace("127.0.0.1", "0.0.0.0")
    shipped = load_profiles()["mistral-7b-8k"]
    return replace(shipped, base_url=address, tokenizer="server:small", place=place)  # type: ignore[arg-type]


async def complete(profile: ModelProfile) -> None:
    backend = open_backend(
        profile, secrets={}, counter=lambda _: PairCounter(), models_folder=Path()
    )
    try:
        await backend.complete(ask("a secret"))
    finally:
        await backend.close()


async def count(profile: ModelProfile) -> None:
    counter = open_counter(profile, secrets={}, models_folder=Path("absent"))
    await asyncio.to_thread(counter.count, "a secret")


@pytest.mark.parametrize("call", [complete, count])
@pytest.mark.parametrize("place", ["local", "cloud"])
def test_a_proxy_of_the_environment_carries_calls_of_clouds_alone(
    place: str,
    call: Callable[[ModelProfile], Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> tuple[int, int]:
        async with run_server(routes=ROUTES) as server, run_server() as proxy:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
                monkeypatch.setenv(name, proxy.base_url.removesuffix("/v1"))
            for name in ("NO_PROXY", "no_proxy"):
                monkeypatch.delenv(name, raising=False)
            try:
                await call(served(server, place))
            except WindowfitError:
                assert place == "cloud"  # this proxy knows no such address
            return len(server.received), len(proxy.received)

    reached, carried = asyncio.run(scenario())

    assert (reached > 0, carried > 0) == (place == "local", place == "cloud")
