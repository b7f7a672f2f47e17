"""What the backend makes of a process that ends or hangs, with a scripted one in its place."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from chunking.tokens import Message
from serve.backends import llama_cpp
from serve.backends.llama_cpp import LlamaCppBackend
from serve.backends.protocol import Completion, CompletionRequest, ServerFacts
from serve.errors import UpstreamError, UpstreamRejected, UpstreamTimeout

REQUEST = CompletionRequest((Message("user", "Why?"),), 8, "Why?", ())
CUT = "the model server at 127.0.0.1:4711 cannot be reached or closed the connection"


class ScriptedProcess:
    """Plays the process: it runs from its start until a test ends it, maybe some looks later."""

    def __init__(self, file: Path, **_: Any) -> None:
        self.starts = 0
        self.looks_until_it_ended: int | None = 0
        self.silent = False
        self.asked = 0
        self.seconds_to_ask = 0.0
        self.ended = 0
        self.closed = False

    @property
    def running(self) -> bool:
        if self.looks_until_it_ended is not None:
            self.looks_until_it_ended = max(0, self.looks_until_it_ended - 1)
        return self.looks_until_it_ended != 0

    def start(self, key: str) -> str:
        self.starts += 1
        self.silent = False
        self.looks_until_it_ended = None
        return "http://127.0.0.1:4711"

    def responds(self) -> bool:
        silent = self.silent
        self.asked += 1
        time.sleep(self.seconds_to_ask)
        return not silent

    def end(self) -> None:
        self.ended += 1  # a process that is killed counts as running for a moment

    def crash(self, *, looks: int = 0) -> None:
        self.looks_until_it_ended = looks + 1
        self.silent = True

    def kill(self) -> None:
        self.closed = True

    def wait(self) -> None:
        self.looks_until_it_ended = 0


class ScriptedClient:
    """Plays the server of one process: each call runs the next step of a script that all share."""

    script: list[Callable[[], Coroutine[Any, Any, Sequence[str]]]]

    def __init__(self, base_url: str, **settings: Any) -> None:
        self.settings = settings

    async def complete(self, request: CompletionRequest) -> Completion:
        return Completion("".join(await self.script.pop(0)()), 3, 2)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[str | Completion]:
        pieces = await self.script.pop(0)()
        for piece in pieces:
            yield piece
        if self.script:
            await self.script.pop(0)()
        yield Completion("".join(pieces), 3, 2)

    async def inspect(self, probe: Sequence[Message]) -> ServerFacts:
        await self.script.pop(0)()
        return ServerFacts(served=True)

    async def close(self) -> None:
        pass


class Scene:
    """A backend whose process and server are scripted."""

    def __init__(self, *, timeout_seconds: float = 60) -> None:
        self.backend = LlamaCppBackend(
            Path("small.gguf"), model="small", window=2048, timeout_seconds=timeout_seconds
        )
        process: Any = self.backend._process
        self.process: ScriptedProcess = process

    def play(self, *steps: Callable[[], Coroutine[Any, Any, Sequence[str]]]) -> None:
        ScriptedClient.script = list(steps)

    async def answers(self) -> Sequence[str]:
        return ["be", "cause"]

    async def hangs(self) -> Sequence[str]:
        self.process.silent = True
        await asyncio.sleep(3600)
        return []

    async def is_slow(self) -> Sequence[str]:
        await asyncio.sleep(3600)
        return []

    def crashes(self, *, looks: int = 0) -> Callable[[], Coroutine[Any, Any, Sequence[str]]]:
        """Return a step in which the process ends; so many looks later it is seen."""

        async def crash() -> Sequence[str]:
            self.process.crash(looks=looks)
            raise UpstreamError(CUT)

        return crash


@pytest.fixture(autouse=True)
def _scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama_cpp, "require_loadable", lambda model, file: None)
    monkeypatch.setattr(llama_cpp, "LlamaProcess", ScriptedProcess)
    monkeypatch.setattr(llama_cpp, "OpenAICompatibleBackend", ScriptedClient)


async def pieces_of(backend: LlamaCppBackend) -> list[str | Completion]:
    return [piece async for piece in backend.stream(REQUEST)]


async def complete(backend: LlamaCppBackend) -> str:
    return (await backend.complete(REQUEST)).text


async def stream(backend: LlamaCppBackend) -> str:
    *pieces, completion = await pieces_of(backend)
    assert isinstance(completion, Completion)
    assert "".join(str(piece) for piece in pieces) == completion.text
    return completion.text


async def waits_in_vain(backend: LlamaCppBackend, call: Any) -> None:
    """Have a call meet a short deadline; loading and those after it have time."""
    await backend._loaded()
    backend._timeout_seconds = 0.1
    with pytest.raises(UpstreamTimeout, match=r"from small\.gguf within 0\.1 seconds"):
        await call(backend)
    backend._timeout_seconds = 60


async def is_cut() -> Sequence[str]:
    raise UpstreamError(CUT)


async def complete_all(backend: LlamaCppBackend) -> list[Any]:
    return await asyncio.gather(*(complete(backend) for _ in range(3)), return_exceptions=True)


async def inspect(backend: LlamaCppBackend) -> str:
    assert (await backend.inspect(())).served
    return "because"


CALLS = pytest.mark.parametrize("call", [complete, stream, inspect])


class TestAProcessThatEnds:
    @CALLS
    def test_a_call_that_has_nothing_yet_is_sent_to_one_started_anew(self, call: Any) -> None:
        async def scenario() -> tuple[str, int]:
            scene = Scene()
            scene.play(scene.crashes(), scene.answers)
            return await call(scene.backend), scene.process.starts

        assert asyncio.run(scenario()) == ("because", 2)

    def test_a_process_that_takes_a_moment_to_end_is_waited_for(self) -> None:
        async def scenario() -> tuple[str, int]:
            scene = Scene()
            scene.play(scene.crashes(looks=5), scene.answers)
            return await complete(scene.backend), scene.process.starts

        assert asyncio.run(scenario()) == ("because", 2)

    def test_a_call_is_sent_again_only_once(self) -> None:
        async def scenario() -> tuple[UpstreamError, int]:
            scene = Scene()
            scene.play(scene.crashes(), scene.crashes(), scene.answers)
            with pytest.raises(UpstreamError) as caught:
                await complete(scene.backend)
            return caught.value, scene.process.starts

        error, starts = asyncio.run(scenario())

        assert starts == 2
        assert error.message == "llama.cpp ended while it ran small.gguf"
        assert "memory" in error.hint
        assert "base_url" not in error.hint
        assert isinstance(error.__cause__, UpstreamError)

    def test_an_answer_that_began_is_not_begun_again(self) -> None:
        async def scenario() -> tuple[list[str | Completion], int, str]:
            scene = Scene()
            scene.play(scene.answers, scene.crashes(looks=5), scene.answers)
            pieces = scene.backend.stream(REQUEST)
            got = [await anext(pieces), await anext(pieces)]
            with pytest.raises(UpstreamError, match=r"llama\.cpp ended while it ran"):
                await anext(pieces)
            return got, scene.process.starts, await complete(scene.backend)

        assert asyncio.run(scenario()) == (["be", "cause"], 1, "because")

    def test_calls_that_find_it_ended_at_once_start_one_process(self) -> None:
        async def scenario() -> tuple[list[str], int]:
            scene = Scene()
            scene.play(scene.answers)
            await complete(scene.backend)
            scene.play(*[scene.crashes(looks=3)] * 3, *[scene.answers] * 3)
            given = await asyncio.gather(*(complete(scene.backend) for _ in range(3)))
            return given, scene.process.starts

        assert asyncio.run(scenario()) == (["because"] * 3, 2)

    def test_the_deadline_holds_for_both_tries_together(self) -> None:
        async def scenario() -> tuple[str, int, float]:
            scene = Scene(timeout_seconds=1)

            async def crashes_late() -> Sequence[str]:
                await asyncio.sleep(0.7)
                return await scene.crashes()()

            scene.play(crashes_late, scene.is_slow)
            loop = asyncio.get_running_loop()
            started = loop.time()
            with pytest.raises(UpstreamTimeout) as caught:
                await complete(scene.backend)
            return caught.value.message, scene.process.starts, loop.time() - started

        message, starts, seconds = asyncio.run(scenario())

        assert message == "llama.cpp gave no whole answer from small.gguf within 1 seconds"
        assert starts == 2
        assert seconds < 1.6

    def test_a_process_that_is_closed_is_not_started_again(self) -> None:
        async def scenario() -> int:
            scene = Scene()

            async def is_closed() -> Sequence[str]:
                await scene.backend.close()
                raise UpstreamError(CUT)

            def refuses(key: str) -> str:
                raise UpstreamError("model 'small' is closed")

            async def closing() -> Sequence[str]:
                scene.process.start = refuses  # type: ignore[method-assign]
                return await is_closed()

            scene.play(closing)
            with pytest.raises(UpstreamError, match="is closed"):
                await complete(scene.backend)
            return scene.process.starts

        assert asyncio.run(scenario()) == 1


class TestAProcessThatHangs:
    @CALLS
    def test_it_is_ended_and_the_next_call_starts_another(self, call: Any) -> None:
        async def scenario() -> tuple[str, ScriptedProcess]:
            scene = Scene()
            scene.play(scene.hangs, scene.answers)
            await waits_in_vain(scene.backend, call)
            return await call(scene.backend), scene.process

        text, process = asyncio.run(scenario())

        assert text == "because"
        assert (process.asked, process.ended, process.starts) == (1, 1, 2)

    def test_one_that_is_merely_slow_stays(self) -> None:
        async def scenario() -> tuple[str, ScriptedProcess]:
            scene = Scene()
            scene.play(scene.is_slow, scene.answers)
            await waits_in_vain(scene.backend, complete)
            return await complete(scene.backend), scene.process

        text, process = asyncio.run(scenario())

        assert text == "because"
        assert (process.asked, process.ended, process.starts) == (1, 0, 1)

    def test_it_is_found_by_a_stream_that_stops_in_the_middle(self) -> None:
        async def scenario() -> tuple[str, int]:
            scene = Scene()
            scene.play(scene.answers, scene.hangs, scene.answers)
            await waits_in_vain(scene.backend, stream)
            return await complete(scene.backend), scene.process.starts

        assert asyncio.run(scenario()) == ("because", 2)

    @CALLS
    def test_it_is_found_by_a_caller_who_leaves(self, call: Any) -> None:
        async def scenario() -> tuple[str, int]:
            scene = Scene()
            scene.play(scene.hangs, scene.answers)
            leaving = asyncio.create_task(call(scene.backend))
            await asyncio.sleep(0.05)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            return await call(scene.backend), scene.process.starts

        assert asyncio.run(scenario()) == ("because", 2)

    def test_calls_that_time_out_together_ask_it_once_and_end_it_once(self) -> None:
        async def scenario() -> ScriptedProcess:
            scene = Scene()
            scene.play(*[scene.hangs] * 3, *[scene.answers] * 3)
            scene.process.seconds_to_ask = 0.3
            await scene.backend._loaded()
            scene.backend._timeout_seconds = 0.1
            outcomes = await complete_all(scene.backend)
            assert {type(outcome) for outcome in outcomes} == {UpstreamTimeout}
            scene.backend._timeout_seconds = 60
            assert await complete_all(scene.backend) == ["because"] * 3
            return scene.process

        process = asyncio.run(scenario())

        assert (process.asked, process.ended, process.starts) == (1, 1, 2)

    def test_a_call_that_another_waited_beside_is_sent_to_the_new_one(self) -> None:
        async def scenario() -> tuple[str, int]:
            scene = Scene()
            cut = asyncio.Event()

            async def is_cut() -> Sequence[str]:
                await cut.wait()
                raise UpstreamError(CUT)

            scene.play(is_cut, scene.hangs, scene.answers, scene.answers)
            first = asyncio.create_task(complete(scene.backend))
            await asyncio.sleep(0.02)
            await waits_in_vain(scene.backend, complete)
            await complete(scene.backend)
            cut.set()
            return await first, scene.process.starts

        assert asyncio.run(scenario()) == ("because", 2)

    def test_closing_waits_until_it_was_asked(self) -> None:
        async def scenario() -> tuple[int, int]:
            scene = Scene()
            scene.play(scene.hangs)
            await waits_in_vain(scene.backend, complete)
            await scene.backend.close()
            return scene.process.asked, len(asyncio.all_tasks())

        assert asyncio.run(scenario()) == (1, 1)


class TestAProcessThatRuns:
    def test_a_call_whose_connection_closes_is_sent_to_it_once_more(self) -> None:
        async def scenario() -> tuple[str, int]:
            scene = Scene()
            scene.play(is_cut, scene.answers)
            return await complete(scene.backend), scene.process.starts

        assert asyncio.run(scenario()) == ("because", 1)

    def test_a_failure_is_told_without_an_address_to_check(self) -> None:
        async def scenario() -> tuple[UpstreamError, int]:
            scene = Scene()
            scene.play(is_cut, is_cut, scene.answers)
            with pytest.raises(UpstreamError) as caught:
                await complete(scene.backend)
            assert await complete(scene.backend) == "because"
            return caught.value, scene.process.starts

        error, starts = asyncio.run(scenario())

        assert starts == 1
        assert error.message == CUT
        assert "log" in error.hint
        assert "base_url" not in error.hint

    def test_a_failure_that_the_server_told_is_final(self) -> None:
        class Status(Exception):
            status_code = 500

        async def fails() -> Sequence[str]:
            raise UpstreamError("the model server failed (HTTP 500)") from Status()

        async def scenario() -> int:
            scene = Scene()
            scene.play(scene.answers)
            await complete(scene.backend)
            scene.play(fails, scene.answers)
            with pytest.raises(UpstreamError, match="HTTP 500"):
                await complete(scene.backend)
            return scene.process.asked

        assert asyncio.run(scenario()) == 0

    def test_a_refusal_stays_what_it_is(self) -> None:
        refusal = UpstreamRejected("the model server at 127.0.0.1:4711 refused the request")

        async def refuses() -> Sequence[str]:
            raise refusal

        async def scenario() -> int:
            scene = Scene()
            scene.play(refuses)
            with pytest.raises(UpstreamRejected) as caught:
                await complete(scene.backend)
            assert caught.value is refusal
            return scene.process.starts

        assert asyncio.run(scenario()) == 1
