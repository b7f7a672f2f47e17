"""A small language model that llama.cpp runs in a process of its own, behind the whole service."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
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
from serve.backends.llama_cpp import LlamaCppBackend
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
LONG = "Write a very long story about a fox and a dog, chapter by chapter."
ROOT = Path(__file__).parents[2]
OPENED = """
import asyncio, sys
from pathlib import Path
from tests.integration.test_llama_cpp import LlamaCppBackend, loads

async def main():
    backend = LlamaCppBackend(Path(sys.argv[1]), model="m", window=2048, timeout_seconds=300)
    if sys.argv[2] == "loading":
        call = asyncio.create_task(backend.inspect(()))
        while not loads(backend):
            await asyncio.sleep(0.005)
    else:
        await backend.inspect(())
    print(backend._process._child.pid, flush=True)
    await asyncio.sleep(300)

asyncio.run(main())
"""
"""Opens a model, prints the number of its process and waits to be killed."""


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


def with_file(tokenizer: str, **changes: Any) -> ModelProfile:
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
    inside = with_file(tokenizer)
    runtime = serving(inside)

    async def scenario() -> tuple[Any, dict[str, str]]:
        return await runtime.verify(inside), await warm_up(runtime)

    verification, states = run(runtime, scenario)

    assert set(verification.confirmed) == {"model", "window", "tokenizer"}
    assert states == {"inside": "ready"}


def test_restricted_text_is_answered_and_the_server_read_what_was_planned(tokenizer: str) -> None:
    inside = with_file(tokenizer)
    runtime = serving(inside)
    question = Ask(
        "What is the capital of Peru?", "small", "inside", sensitivity=Sensitivity.RESTRICTED
    )

    given: Answer = run(runtime, lambda: answer(question, runtime))

    assert given.text
    assert given.completion.prompt_tokens == given.report.prompt_tokens


def test_a_file_that_was_not_reviewed_is_not_loaded(tokenizer: str) -> None:
    other = with_file(tokenizer)
    weights = Weights("https://example.org/smol", sha256="0" * 64)
    other = replace(other, review=replace(other.review, weights=weights))
    runtime = serving(other)
    found = hashlib.sha256(small_gguf().read_bytes()).hexdigest()

    with pytest.raises(ProfileMismatch, match=f"has the sha256 {found}, its review names 000"):
        run(runtime, lambda: runtime.verify(other))


def backend(file: Path, **changes: Any) -> LlamaCppBackend:
    settings = {"model": "smol", "window": WINDOW, "timeout_seconds": 300, **changes}
    return LlamaCppBackend(file, **settings)


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


def test_a_process_that_cannot_be_started_is_a_failure_of_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = backend(small_gguf())
    monkeypatch.setattr(sys, "executable", "/absent/python")

    with pytest.raises(UpstreamError, match="no process started for it"):
        asyncio.run(opened.complete(ask()))


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
            assert opened._client is not None
            return await asyncio.to_thread(post, opened._client._base_url.removesuffix("/v1"))
        finally:
            await opened.close()

    assert asyncio.run(scenario()) == 401


def child_of(opened: LlamaCppBackend) -> int:
    child = opened._process._child
    assert child is not None
    return child.pid


def gone(pid: int, *, within_seconds: float) -> bool:
    """Return whether a process ends in that time; one whose parent left it unread has ended."""
    until = time.monotonic() + within_seconds
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.05)
    return False


def loads(opened: LlamaCppBackend) -> bool:
    """Return whether llama.cpp has begun to read the file."""
    if opened._process._child is None:
        return False
    return opened._file.name in Path(f"/proc/{child_of(opened)}/maps").read_text()


async def until_it_loads(opened: LlamaCppBackend) -> None:
    while not loads(opened):  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.005)


def test_the_event_loop_goes_on_while_the_model_loads() -> None:
    gaps: list[float] = []

    async def tick() -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.01)
            gaps.append(time.perf_counter() - last)
            last = time.perf_counter()

    async def scenario() -> float:
        opened = backend(small_gguf())
        ticking = asyncio.create_task(tick())
        started = time.perf_counter()
        try:
            await opened._loaded()
            return time.perf_counter() - started
        finally:
            ticking.cancel()
            await opened.close()

    seconds = asyncio.run(scenario())

    if seconds < 0.3:
        pytest.skip(f"the model was loaded within {seconds:.2f} s: too fast to tell")
    assert max(gaps) < seconds / 2


def test_calls_that_come_together_start_one_process() -> None:
    async def scenario() -> None:
        opened = backend(small_gguf())
        try:
            first, second = await asyncio.gather(opened._loaded(), opened._loaded())
            assert first is second
            pid = child_of(opened)
            assert await opened._loaded() is first
            assert child_of(opened) == pid
        finally:
            await opened.close()

    asyncio.run(scenario())


def test_closing_while_it_loads_waits_for_no_load_and_leaves_no_process() -> None:
    async def scenario() -> tuple[float, int]:
        opened = backend(small_gguf())
        call = asyncio.create_task(opened.complete(ask()))
        await until_it_loads(opened)
        pid, started = child_of(opened), time.perf_counter()
        await opened.close()
        seconds = time.perf_counter() - started
        with pytest.raises(UpstreamError, match="is closed"):
            await call
        await opened.close()
        with pytest.raises(UpstreamError, match="is closed"):
            await opened.complete(ask())
        return seconds, pid

    seconds, pid = asyncio.run(scenario())

    assert seconds < 3
    assert not Path(f"/proc/{pid}").exists()


def test_a_call_after_the_deadline_of_another_finds_the_model_loaded() -> None:
    async def scenario() -> None:
        opened = backend(small_gguf(), timeout_seconds=0.001)
        try:
            with pytest.raises(UpstreamTimeout, match="was not loaded"):
                await opened.complete(ask())
            await until_it_loads(opened)
            pid = child_of(opened)
            opened._timeout_seconds = 300
            await opened.complete(ask())
            assert child_of(opened) == pid
        finally:
            await opened.close()

    asyncio.run(scenario())


def test_a_process_that_was_killed_is_started_again_by_the_next_call() -> None:
    async def scenario() -> tuple[int, int]:
        opened = backend(small_gguf())
        try:
            await opened.inspect(())
            first = child_of(opened)
            os.kill(first, signal.SIGKILL)
            while opened._process.running:  # noqa: ASYNC110 - its threads end one by one
                await asyncio.sleep(0.01)
            assert (await opened.complete(ask())).output_tokens
            return first, child_of(opened)
        finally:
            await opened.close()

    first, second = asyncio.run(scenario())

    assert first != second
    assert not Path(f"/proc/{second}").exists()


def test_a_call_right_after_a_crash_starts_the_process_anew() -> None:
    async def scenario() -> tuple[UpstreamError, int, int]:
        opened = backend(small_gguf())
        try:
            pieces = opened.stream(ask(LONG, max_output_tokens=1000))
            await anext(pieces)
            first = child_of(opened)
            os.kill(first, signal.SIGKILL)
            with pytest.raises(UpstreamError) as caught:
                [piece async for piece in pieces]
            assert (await opened.complete(ask())).output_tokens
            return caught.value, first, child_of(opened)
        finally:
            await opened.close()

    error, first, second = asyncio.run(scenario())

    assert first != second
    assert "llama.cpp ended while it ran" in error.message
    assert "base_url" not in error.hint


def test_calls_whose_process_crashes_are_answered_by_one_other() -> None:
    async def scenario() -> tuple[int, int]:
        opened = backend(small_gguf())
        pids: set[int] = set()

        async def watch() -> None:
            while True:
                pids.add(child_of(opened))
                await asyncio.sleep(0.01)

        try:
            await opened.inspect(())
            watching = asyncio.create_task(watch())
            calls = [asyncio.create_task(opened.complete(ask(LONG))) for _ in range(3)]
            await asyncio.sleep(0.2)
            os.kill(child_of(opened), signal.SIGKILL)
            answers = await asyncio.gather(*calls)
            watching.cancel()
            return len([answer for answer in answers if answer.output_tokens]), len(pids)
        finally:
            await opened.close()

    answered, processes = asyncio.run(scenario())

    assert answered == 3
    assert processes == 2


async def times_out(opened: LlamaCppBackend) -> None:
    """Have a call meet a deadline that is too short for it."""
    opened._timeout_seconds = 0.3
    with pytest.raises(UpstreamTimeout, match=r"no whole answer .* within 0\.3 seconds"):
        await opened.complete(ask(LONG, max_output_tokens=1000))
    opened._timeout_seconds = 300


async def is_left(opened: LlamaCppBackend) -> None:
    """Have a caller leave before anything is answered."""
    call = asyncio.create_task(opened.complete(ask(LONG)))
    await asyncio.sleep(0.2)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


@pytest.mark.parametrize("unanswered", [times_out, is_left])
def test_a_process_that_hangs_is_replaced_for_the_next_call(
    unanswered: Callable[[LlamaCppBackend], Coroutine[Any, Any, None]],
) -> None:
    async def scenario() -> tuple[int, int]:
        opened = backend(small_gguf())
        try:
            await opened.inspect(())
            first = child_of(opened)
            os.kill(first, signal.SIGSTOP)
            await unanswered(opened)
            assert (await opened.complete(ask())).output_tokens
            return first, child_of(opened)
        finally:
            await opened.close()

    first, second = asyncio.run(scenario())

    assert first != second
    assert not Path(f"/proc/{first}").exists()


@pytest.mark.parametrize("calls", [1, 13])
def test_a_process_that_is_merely_slow_stays(calls: int) -> None:
    async def scenario() -> tuple[int, int]:
        opened = backend(small_gguf())
        try:
            await opened.inspect(())
            first = child_of(opened)
            working = [
                asyncio.create_task(opened.complete(ask(f"{i}. {LONG}", max_output_tokens=300)))
                for i in range(calls - 1)
            ]
            await asyncio.sleep(0.2)
            await times_out(opened)
            await opened.inspect(())
            for call in working:
                call.cancel()
            await asyncio.gather(*working, return_exceptions=True)
            assert (await opened.complete(ask())).output_tokens
            return first, child_of(opened)
        finally:
            await opened.close()

    first, second = asyncio.run(scenario())

    assert first == second


def test_closing_ends_a_process_that_hangs() -> None:
    async def scenario() -> int:
        opened = backend(small_gguf())
        try:
            await opened.inspect(())
            os.kill(child_of(opened), signal.SIGSTOP)
            await is_left(opened)
            return child_of(opened)
        finally:
            started = time.perf_counter()
            await opened.close()
            assert time.perf_counter() - started < 3

    assert not Path(f"/proc/{asyncio.run(scenario())}").exists()


@pytest.mark.parametrize("state", ["loading", "loaded"])
def test_it_ends_when_the_service_is_killed(state: str, tmp_path: Path) -> None:
    file = small_gguf()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", OPENED, str(file), state],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as service:
        assert service.stdout is not None
        pid = int(service.stdout.readline())
        command = Path(f"/proc/{pid}/cmdline").read_text()
        service.send_signal(signal.SIGKILL)

    assert "llama_process" in command
    assert gone(pid, within_seconds=30)


def test_the_key_stands_in_no_command_line_and_no_environment() -> None:
    async def scenario() -> tuple[str, str]:
        opened = backend(small_gguf())
        try:
            client = await opened._loaded()
            process = Path(f"/proc/{child_of(opened)}")
            seen = (process / "cmdline").read_text() + (process / "environ").read_text()
            return str(client._client.api_key), seen
        finally:
            await opened.close()

    key, seen = asyncio.run(scenario())

    assert len(key) > 20
    assert key not in seen


def environment_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(line.split("=", 1) for line in lines if line)


def test_the_process_has_what_it_needs_of_the_environment_and_no_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("OPENAI_API_KEY", "WINDOWFIT_API_KEYS", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "sk-not-for-others")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")

    async def scenario() -> dict[str, str]:
        opened = backend(small_gguf())
        try:
            assert (await opened.complete(ask())).output_tokens
            return environment_of(child_of(opened))
        finally:
            await opened.close()

    seen = asyncio.run(scenario())

    assert "sk-not-for-others" not in seen.values()
    assert seen["OMP_NUM_THREADS"] == "2"
    assert seen["PATH"] == os.environ["PATH"]
