"""A small language model that llama.cpp runs in this process, behind the whole service."""

from __future__ import annotations

import asyncio
import hashlib
import json
import urllib.request
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from chunking.errors import ConfigurationError, ContextLengthExceeded, ProfileMismatch
from chunking.sensitivity import Sensitivity
from serve.answer import Answer, answer
from serve.backends.in_process import InProcessBackend
from serve.backends.scripted import ScriptedBackend
from serve.errors import UpstreamError, UpstreamTimeout
from serve.plan import Ask
from serve.profiles import ModelProfile
from serve.review import Weights
from serve.runtime import Runtime
from serve.warming import warm_up
from tests.contract.backend_cases import ask
from tests.serving import profile, small_runtime
from tests.weights import small_gguf

pytestmark = pytest.mark.network

WINDOW = 2048


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tokenizer inside the model's file, as a counter's name."""
    transformers = pytest.importorskip("transformers")
    file = small_gguf()
    folder = tmp_path_factory.mktemp("tokenizers") / "smol"
    transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(
        folder
    )
    return f"huggingface:{folder}"


def in_process(tokenizer: str, **changes: Any) -> ModelProfile:
    return profile(
        name="inside",
        backend="xllamacpp",
        model="smol",
        base_url=None,
        model_file=str(small_gguf()),
        window=WINDOW,
        output_limit=64,
        default_output=32,
        tokenizer=tokenizer,
        temperature=0.0,
        timeout_seconds=300,
        **changes,
    )


def serving(inside: ModelProfile) -> Runtime:
    runtime = small_runtime(ScriptedBackend(()), profiles={inside.name: inside})
    runtime.policy = replace(runtime.policy, default=inside.name)
    return runtime


def run(runtime: Runtime, scenario: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    async def whole() -> Any:
        try:
            return await scenario()
        finally:
            await runtime.close()

    return asyncio.run(whole())


def test_llama_cpp_confirms_model_window_and_every_token(tokenizer: str) -> None:
    inside = in_process(tokenizer)
    runtime = serving(inside)

    async def scenario() -> tuple[Any, dict[str, str]]:
        return await runtime.verify(inside), await warm_up(runtime)

    verification, states = run(runtime, scenario)

    assert set(verification.confirmed) == {"model", "window", "tokenizer"}
    assert states == {"inside": "ready"}


def test_restricted_text_is_answered_and_the_server_read_what_was_planned(tokenizer: str) -> None:
    inside = in_process(tokenizer)
    runtime = serving(inside)
    question = Ask(
        "What is the capital of Peru?", "small", "inside", sensitivity=Sensitivity.RESTRICTED
    )

    given: Answer = run(runtime, lambda: answer(question, runtime))

    assert given.text
    assert given.completion.prompt_tokens == given.report.prompt_tokens


def test_a_file_that_was_not_reviewed_is_not_loaded(tokenizer: str) -> None:
    other = in_process(tokenizer)
    weights = Weights("https://example.org/smol", sha256="0" * 64)
    other = replace(other, review=replace(other.review, weights=weights))
    runtime = serving(other)
    found = hashlib.sha256(small_gguf().read_bytes()).hexdigest()

    with pytest.raises(ProfileMismatch, match=f"has the sha256 {found}, its review names 000"):
        run(runtime, lambda: runtime.verify(other))


def backend(file: Path, **changes: Any) -> InProcessBackend:
    settings = {"model": "smol", "window": WINDOW, "timeout_seconds": 300, **changes}
    return InProcessBackend(file, **settings)


def test_a_file_that_is_not_there_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    small_gguf()
    with pytest.raises(ConfigurationError, match="there is no file"):
        backend(tmp_path / "absent.gguf")


def test_a_file_that_is_no_model_is_a_failure_of_the_server(tmp_path: Path) -> None:
    small_gguf()
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF and then nothing")
    with pytest.raises(UpstreamError, match=r"cannot load broken\.gguf with a window of 2048"):
        asyncio.run(backend(broken).complete(ask()))


def test_loading_has_the_deadline_of_the_call() -> None:
    async def scenario() -> None:
        late = backend(small_gguf(), timeout_seconds=0.001)
        try:
            with pytest.raises(UpstreamTimeout, match=r"was not loaded within 0\.001 s"):
                await late.complete(ask())
        finally:
            await late.close()

    asyncio.run(scenario())


def test_a_prompt_that_is_too_long_is_refused_with_both_numbers() -> None:
    async def scenario() -> None:
        opened = backend(small_gguf())
        try:
            await opened.complete(ask("word " * 3 * WINDOW))
        finally:
            await opened.close()

    with pytest.raises(ContextLengthExceeded) as caught:
        asyncio.run(scenario())
    assert str(WINDOW) in caught.value.message


def test_no_other_process_is_answered() -> None:
    def post(address: str) -> int:
        body = json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{address}/v1/chat/completions", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return int(reply.status)
        except HTTPError as error:
            return error.code

    async def scenario() -> int:
        opened = backend(small_gguf())
        try:
            await opened.inspect(())
            return await asyncio.to_thread(post, opened._server.listening_address)
        finally:
            await opened.close()

    assert asyncio.run(scenario()) == 401
