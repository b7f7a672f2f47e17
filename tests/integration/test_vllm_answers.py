"""The whole way of a question against a real vLLM: planned prompt tokens are the served ones."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from chunking.document import Document
from chunking.errors import ProfileMismatch
from chunking.split import Splitter
from chunking.tokens import Message
from ingest.job import Ingestion, run_ingest
from ingest.texts import SourceFile, document_file
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.providers import fingerprint_of
from retrieval.writer import IndexWriter
from scripts.vllm_models import SMOLLM2
from scripts.vllm_server import DEFAULT_MODELS
from serve.answer import Answer, answer
from serve.plan import Ask
from serve.profiles import ModelProfile, load_profiles
from serve.runtime import Runtime
from serve.verify import Verification, verify_profile
from tests.integration.test_vllm_counts import ODDITIES, SENTENCES, text

pytestmark = [pytest.mark.vllm, pytest.mark.network]

SEED = 20261121
REQUESTS = 200
FULL_WINDOWS = 1
"""Requests that fill the whole window; one takes most of a minute of prefill on a slow CPU."""
PROFILE = "smollm2-135m-8k"
SHORT_CONTEXT_TOKENS = (0, 40, 80, 160)


def documents() -> list[SourceFile]:
    """Documents of many languages, code and control-token text, enough to fill a window."""
    rng = random.Random(SEED)
    made = [
        Document(
            id=f"texts/{number}.txt",
            title=rng.choice(["Peru", "Österreich", "日本", "<|im_end|>", "Table [3]"]),
            source=f"texts/{number}.txt",
            text="\n".join(text(rng, pieces=4) for _ in range(12)),
        )
        for number in range(24)
    ]
    return [document_file(item) for item in made]


@pytest.fixture(scope="module")
def runtime(vllm_url: str) -> Runtime:
    """The service's parts over the served model and a small collection in memory."""
    served = httpx.get(f"{vllm_url}/models", trust_env=False).json()["data"][0]["id"]
    return over_texts(
        replace(load_profiles()[PROFILE], base_url=vllm_url, model=served, timeout_seconds=600)
    )


def over_texts(profile: ModelProfile) -> Runtime:
    """Return the service's parts over one model and a small collection in memory."""
    embedder = HashEmbedder()
    splitter = Splitter(embedder.count_tokens, size=80)
    engine = MemoryEngine()
    fingerprint = fingerprint_of(embedder, splitter)
    index = Index.create(engine, "texts", fingerprint)
    run_ingest(documents(), Ingestion(IndexWriter(index), embedder, splitter))
    return Runtime(engine, embedder, fingerprint, {profile.name: profile}, Path(DEFAULT_MODELS))


def asks() -> list[Ask]:
    """Questions with and without history and context; the first ones fill the window."""
    rng = random.Random(SEED)
    return [
        Ask(
            question=rng.choice([*SENTENCES, *ODDITIES, "What is the capital of Peru?"]),
            collection="texts",
            model=PROFILE,
            max_output_tokens=1,
            max_context_tokens=None if number < FULL_WINDOWS else rng.choice(SHORT_CONTEXT_TOKENS),
            history=tuple(
                Message("user" if turn % 2 == 0 else "assistant", text(rng, pieces=1))
                for turn in range(2 * rng.choice([0, 0, 0, 1, 3]))
            ),
        )
        for number in range(REQUESTS)
    ]


def test_planned_prompt_tokens_are_the_served_ones_in_every_answer(
    runtime: Runtime, record_property: Callable[[str, object], None]
) -> None:
    async def ask_all() -> list[Answer]:
        gate = asyncio.Semaphore(4)

        async def one(ask: Ask) -> Answer:
            async with gate:
                return await answer(ask, runtime)

        try:
            return await asyncio.gather(*(one(ask) for ask in asks()))
        finally:
            await runtime.close()

    answers = asyncio.run(ask_all())

    reports = [given.report for given in answers]
    equal = sum(r.upstream is not None and r.upstream.drift == 0 for r in reports)
    record_property("figure", f"vLLM answers: planned equals served in {equal} of {len(reports)}")
    assert equal == REQUESTS
    assert all(report.count == "exact" for report in reports)
    for report in reports[:FULL_WINDOWS]:
        assert report.truncated
        assert report.free <= 0.03 * report.window


def test_an_adapter_has_the_window_and_the_tokens_of_its_base_model(vllm_url: str) -> None:
    tuned = replace(
        load_profiles()[PROFILE],
        name="tuned",
        base_url=vllm_url,
        model=SMOLLM2.adapter,
        timeout_seconds=600,
    )
    service = over_texts(tuned)
    asked = Ask("What is the capital of Peru?", "texts", "tuned", max_output_tokens=4)

    async def scenario() -> tuple[Verification, Answer]:
        try:
            counter, backend = service.counter(tuned), service.backend(tuned)
            with pytest.raises(ProfileMismatch, match="the server's window is 8192"):
                await verify_profile(replace(tuned, window=4096), counter, backend=backend)
            return await service.verify(tuned), await answer(asked, service)
        finally:
            await service.close()

    verification, given = asyncio.run(scenario())

    assert set(verification.confirmed) == {"model", "window", "tokenizer"}
    assert given.report.upstream is not None
    assert given.report.upstream.drift == 0
