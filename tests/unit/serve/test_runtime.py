from __future__ import annotations

import asyncio
import gc
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from chunking.counters import MistralCounter
from chunking.errors import ProfileMismatch, TokenizerUnavailable
from chunking.tokens import TokenCounter
from retrieval.embed import HashEmbedder
from retrieval.fingerprint import IndexFingerprint
from retrieval.memory import MemoryEngine
from serve.answer import Answer, answer
from serve.backends import opening
from serve.backends.protocol import ChatBackend, ServerFacts
from serve.backends.scripted import ScriptedBackend
from serve.calibration import Calibration
from serve.errors import UpstreamTimeout
from serve.guard import GuardedBackend
from serve.plan import Ask
from serve.profiles import load_profiles
from serve.runtime import Runtime
from tests.serving import mistral, profile, small_runtime

PROFILES = load_profiles()
PROFILE = PROFILES["mistral-7b-8k"]
AGREEING = ServerFacts(served=True, window=PROFILE.window)
FINGERPRINT = IndexFingerprint("hash:64", 64, "fields:64/256")


def runtime() -> Runtime:
    return Runtime(MemoryEngine(), HashEmbedder(), FINGERPRINT, PROFILES, Path("absent"))


def test_requests_that_come_at_once_load_a_tokenizer_once_and_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loading: list[str] = []
    most_at_once = 0

    def load(name: str, **_: object) -> TokenCounter:
        nonlocal most_at_once
        loading.append(name)
        most_at_once = max(most_at_once, len(loading))
        time.sleep(0.05)
        loading.remove(name)
        loads.append(name)
        return MistralCounter("v3")

    loads: list[str] = []
    monkeypatch.setattr(opening, "load_counter", load)
    parts = runtime()
    wanted = [PROFILES["quote"], PROFILES["smollm2-135m-8k"]] * 8

    with ThreadPoolExecutor(8) as pool:
        counters = list(pool.map(parts.counter, wanted))

    assert sorted(loads) == sorted({profile.tokenizer for profile in wanted})
    assert most_at_once == 1
    assert len({id(counter) for counter in counters}) == 2


def test_a_tokenizer_that_is_looked_for_holds_up_no_loaded_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = runtime()
    loaded = parts.counter(PROFILES["quote"])

    def search_long(name: str, **_: object) -> TokenCounter:
        time.sleep(0.5)
        raise TokenizerUnavailable(name)

    monkeypatch.setattr(opening, "load_counter", search_long)
    with ThreadPoolExecutor(1) as pool:
        searching = pool.submit(parts.counter, PROFILES["smollm2-135m-8k"])
        started = time.perf_counter()
        assert parts.counter(PROFILES["quote"]) is loaded
        waited = time.perf_counter() - started
        assert isinstance(searching.exception(), TokenizerUnavailable)

    assert waited < 0.25


def test_models_can_be_listed_as_unavailable_while_others_are_called_for_the_first_time() -> None:
    parts = runtime()
    profiles = [replace(PROFILE, name=f"model-{n}") for n in range(400)]
    done = Event()

    def fill() -> None:
        for one in profiles:
            parts._backends[one.name] = ScriptedBackend([])
            parts.backend(one)
            time.sleep(0)
        done.set()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(1) as pool:
            filling = pool.submit(fill)
            while not done.is_set():
                assert parts.unavailable() == ()
            filling.result()
    finally:
        sys.setswitchinterval(before)


def inner_of(backend: ChatBackend) -> ChatBackend:
    """Return what stands behind the guard, which there must be."""
    assert isinstance(backend, GuardedBackend)
    return backend.inner


class TestVerification:
    """With profiles whose server is a script."""

    def runtime(self, backend: ScriptedBackend) -> Runtime:
        name = PROFILE.name
        counters: dict[str, TokenCounter] = {PROFILE.tokenizer: MistralCounter("v3")}
        parts = runtime()
        parts._backends[name] = backend
        parts._counters.update(counters)
        return parts

    def test_requests_that_come_at_once_check_once_and_the_success_is_remembered(self) -> None:
        backend = ScriptedBackend([], facts=AGREEING, delay_seconds=0.02)

        async def scenario() -> None:
            parts = self.runtime(backend)
            found = await asyncio.gather(*(parts.verified_backend(PROFILE) for _ in range(9)))
            assert all(inner_of(one) is backend for one in found)
            assert inner_of(await parts.verified_backend(PROFILE)) is backend

        asyncio.run(scenario())

        assert len(backend.probes) == 1

    def test_a_failure_reaches_all_who_wait_and_is_not_remembered(self) -> None:
        backend = ScriptedBackend([], facts=UpstreamTimeout("away"), delay_seconds=0.02)

        async def scenario() -> None:
            parts = self.runtime(backend)
            checks = (parts.verified_backend(PROFILE) for _ in range(3))
            found = await asyncio.gather(*checks, return_exceptions=True)
            assert [type(error) for error in found] == [UpstreamTimeout] * 3
            assert len(backend.probes) == 1
            with pytest.raises(UpstreamTimeout):
                await parts.verified_backend(PROFILE)

        asyncio.run(scenario())

        assert len(backend.probes) == 2

    def test_a_mismatch_is_refused(self) -> None:
        backend = ScriptedBackend(["never"], facts=ServerFacts(served=True, window=4096))

        with pytest.raises(ProfileMismatch):
            asyncio.run(self.runtime(backend).verified_backend(PROFILE))

        assert backend.requests == []

    def test_one_who_leaves_does_not_end_the_check_of_the_others(self) -> None:
        backend = ScriptedBackend([], facts=AGREEING, delay_seconds=0.05)

        async def scenario() -> None:
            parts = self.runtime(backend)
            leaving = asyncio.create_task(parts.verified_backend(PROFILE))
            staying = asyncio.create_task(parts.verified_backend(PROFILE))
            await asyncio.sleep(0.02)
            leaving.cancel()
            assert inner_of(await staying) is backend
            assert leaving.cancelled()

        asyncio.run(scenario())

        assert len(backend.probes) == 1

    def test_a_failure_that_nobody_waits_for_any_more_is_silent(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        backend = ScriptedBackend([], facts=UpstreamTimeout("away"), delay_seconds=0.02)

        async def scenario() -> None:
            leaving = asyncio.create_task(self.runtime(backend).verified_backend(PROFILE))
            await asyncio.sleep(0.01)
            leaving.cancel()
            await asyncio.sleep(0.05)
            gc.collect()

        asyncio.run(scenario())

        assert caplog.text == ""

    def test_closing_ends_a_check_that_still_runs(self) -> None:
        backend = ScriptedBackend([], facts=AGREEING, delay_seconds=30)

        async def scenario() -> None:
            parts = self.runtime(backend)
            waiting = asyncio.create_task(parts.verified_backend(PROFILE))
            await asyncio.sleep(0.02)
            await parts.close()
            with pytest.raises(asyncio.CancelledError):
                await waiting

        asyncio.run(asyncio.wait_for(scenario(), 5))


def test_an_estimate_learns_from_what_a_server_read_and_keeps_it(tmp_path: Path) -> None:
    estimated = profile(tokenizer="estimated:mistral:v3")
    file = tmp_path / "calibration.json"

    def ask_once(served: float) -> Answer:
        exact = mistral()
        backend = ScriptedBackend(
            ["yes"], prompt_tokens=lambda r: int(served * exact.count_messages(r.messages))
        )
        runtime = small_runtime(backend, profiles={"scripted": estimated})
        runtime.calibration = Calibration(file)
        ask = Ask("What is the capital of Peru?", collection="small", model="scripted")
        return asyncio.run(answer(ask, runtime))

    first, second, third = ask_once(1.5), ask_once(1.0), ask_once(1.0)

    assert first.report.upstream is not None
    assert first.report.upstream.drift > 0
    for later in (second, third):
        assert later.report.count == "estimated"
        assert later.report.tokenizer == "estimated:1.53:mistral:v3"
        assert later.report.upstream is not None
        assert later.report.upstream.drift < 0


def test_answers_that_were_planned_together_raise_an_estimate_once() -> None:
    estimated = profile(tokenizer="estimated:mistral:v3")
    exact = mistral()
    backend = ScriptedBackend(
        ["yes"] * 8,
        prompt_tokens=lambda r: int(1.375 * exact.count_messages(r.messages)),
        delay_seconds=0.2,
    )
    runtime = small_runtime(backend, profiles={"scripted": estimated})
    ask = Ask("What is the capital of Peru?", collection="small", model="scripted")

    async def together() -> None:
        await asyncio.gather(*(answer(ask, runtime) for _ in range(8)))

    asyncio.run(together())

    assert float(runtime.counter(estimated).factor) == pytest.approx(1.375 * 1.02, abs=0.02)
