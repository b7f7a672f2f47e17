from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chunking.counters import MistralCounter
from chunking.errors import TokenizerUnavailable
from chunking.tokens import TokenCounter
from retrieval.embed import HashEmbedder
from retrieval.index import IndexFingerprint
from retrieval.points import MemoryEngine
from serve import runtime as runtime_module
from serve.profiles import load_profiles
from serve.runtime import Runtime

PROFILES = load_profiles()
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
    monkeypatch.setattr(runtime_module, "load_counter", load)
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

    monkeypatch.setattr(runtime_module, "load_counter", search_long)
    with ThreadPoolExecutor(1) as pool:
        searching = pool.submit(parts.counter, PROFILES["smollm2-135m-8k"])
        started = time.perf_counter()
        assert parts.counter(PROFILES["quote"]) is loaded
        waited = time.perf_counter() - started
        assert isinstance(searching.exception(), TokenizerUnavailable)

    assert waited < 0.25
