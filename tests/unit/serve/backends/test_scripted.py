"""The scripted backend plays its script and remembers what it was asked."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import pytest

from chunking.tokens import Message, ToolCall
from serve.backends.protocol import Completion, CompletionRequest, ServerFacts
from serve.backends.scripted import Answer, ScriptedBackend
from serve.errors import UpstreamRejected, UpstreamTimeout


def ask(question: str = "Why?") -> CompletionRequest:
    return CompletionRequest(
        messages=(Message("user", question),), max_output_tokens=8, question=question, sources=()
    )


def complete(backend: ScriptedBackend, question: str = "Why?") -> Completion:
    return asyncio.run(backend.complete(ask(question)))


def test_answers_come_in_order() -> None:
    backend = ScriptedBackend(["one", "two"])

    assert [complete(backend).text, complete(backend).text] == ["one", "two"]


def test_a_text_reports_no_prompt_tokens() -> None:
    assert complete(ScriptedBackend(["one"])) == Completion("one", None, 0)


def test_prompt_tokens_can_be_given() -> None:
    assert complete(ScriptedBackend(["one"], prompt_tokens=12)).prompt_tokens == 12


def test_prompt_tokens_can_be_counted_from_the_request() -> None:
    backend = ScriptedBackend(["one"], prompt_tokens=lambda request: len(request.question))

    assert complete(backend, "four").prompt_tokens == 4


def test_a_whole_completion_is_returned_as_it_is() -> None:
    completion = Completion("one", 3, 2, cached_tokens=1, finish_reason="length")

    assert complete(ScriptedBackend([completion], prompt_tokens=99)) is completion


def test_an_error_is_raised_in_its_turn() -> None:
    backend = ScriptedBackend([UpstreamTimeout("too slow"), "one"])

    with pytest.raises(UpstreamTimeout, match="too slow"):
        complete(backend)
    assert complete(backend).text == "one"


def test_a_script_that_has_ended_says_how_long_it_was() -> None:
    backend = ScriptedBackend(["one"])
    complete(backend)

    with pytest.raises(UpstreamRejected, match="holds 1 answers and this is request 2"):
        complete(backend)


def test_a_script_may_never_end() -> None:
    backend = ScriptedBackend(itertools.repeat("yes"))

    assert {complete(backend).text for _ in range(5)} == {"yes"}


def test_every_request_is_recorded() -> None:
    backend = ScriptedBackend([UpstreamTimeout("too slow"), "one"])

    with pytest.raises(UpstreamTimeout):
        complete(backend, "first")
    complete(backend, "second")

    assert [request.question for request in backend.requests] == ["first", "second"]


def test_an_answer_may_take_its_time_and_be_cancelled() -> None:
    async def scenario() -> None:
        backend = ScriptedBackend(["one"], delay_seconds=30)
        async with asyncio.timeout(0.01):
            await backend.complete(ask())

    with pytest.raises(TimeoutError):
        asyncio.run(scenario())


def test_an_answer_that_is_left_is_counted() -> None:
    async def scenario() -> int:
        backend = ScriptedBackend(["one", "two"], delay_seconds=0.02)
        task = asyncio.create_task(backend.complete(ask()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await backend.complete(ask())
        return backend.cancelled

    assert asyncio.run(scenario()) == 1


def test_facts_can_be_given_and_probes_are_recorded() -> None:
    backend = ScriptedBackend([], facts=ServerFacts(window=4096))
    probe = (Message("user", "Why?"),)

    assert asyncio.run(backend.inspect(probe)) == ServerFacts(window=4096)
    assert backend.probes == [probe]


def test_an_inspection_may_fail() -> None:
    with pytest.raises(UpstreamTimeout):
        asyncio.run(ScriptedBackend([], facts=UpstreamTimeout("away")).inspect(()))


def test_without_facts_a_server_says_nothing() -> None:
    assert asyncio.run(ScriptedBackend([]).inspect(())) == ServerFacts()


class TestStreams:
    def stream(self, answer: Answer, **options: Any) -> list[str | Completion]:
        async def scenario() -> list[str | Completion]:
            backend = ScriptedBackend([answer], **options)
            pieces = [piece async for piece in backend.stream(ask())]
            assert backend.cancelled == 0
            return pieces

        return asyncio.run(scenario())

    @pytest.mark.parametrize("text", ["", " ", "one", " one  two\n", "\n\none\n two"])
    def test_a_text_comes_word_by_word(self, text: str) -> None:
        *pieces, completion = self.stream(text, prompt_tokens=5)

        assert completion == Completion(text, 5, 0)
        assert "".join(str(piece) for piece in pieces) == text
        assert len(pieces) >= len(text.split())

    def test_a_completion_comes_word_by_word_and_as_it_is(self) -> None:
        call = ToolCall("c", "now", "{}")
        completion = Completion("one two", 3, 2, finish_reason="tool_calls", tool_calls=(call,))

        assert self.stream(completion) == ["one", " two", completion]

    def test_pieces_come_as_they_are_given(self) -> None:
        assert self.stream(["on", "e two"], prompt_tokens=5) == [
            "on",
            "e two",
            Completion("one two", 5, 0),
        ]

    def test_pieces_may_end_with_their_completion(self) -> None:
        completion = Completion("one", 3, 2, finish_reason="length")

        assert self.stream(("o", "ne", completion)) == ["o", "ne", completion]
        assert complete(ScriptedBackend([("o", "ne", completion)])) is completion

    def test_an_error_may_come_in_the_middle(self) -> None:
        async def scenario(backend: ScriptedBackend) -> list[str | Completion]:
            stream = backend.stream(ask())
            given = [await anext(stream), await anext(stream)]
            with pytest.raises(UpstreamTimeout):
                await anext(stream)
            return given

        script = ("one", " two", UpstreamTimeout("too slow"))

        assert asyncio.run(scenario(ScriptedBackend([script]))) == ["one", " two"]
        with pytest.raises(UpstreamTimeout):
            complete(ScriptedBackend([script]))

    def test_the_first_piece_and_those_after_it_may_take_their_time(self) -> None:
        async def scenario() -> list[float]:
            backend = ScriptedBackend(["one two"], delay_seconds=0.1, piece_seconds=0.05)
            started = time.monotonic()
            return [time.monotonic() - started async for _ in backend.stream(ask())]

        first, second, _ = asyncio.run(scenario())

        assert first >= 0.1
        assert second - first >= 0.05

    def test_a_stream_that_is_closed_early_is_counted(self) -> None:
        async def scenario(pieces: int) -> int:
            backend = ScriptedBackend(["one two"])
            stream = backend.stream(ask())
            for _ in range(pieces):
                await anext(stream)
            await stream.aclose()
            return backend.cancelled

        # Never begun; after each word; after the completion.
        assert [asyncio.run(scenario(pieces)) for pieces in range(4)] == [0, 1, 1, 0]

    def test_a_stream_that_is_cancelled_before_its_first_piece_is_counted(self) -> None:
        async def scenario() -> int:
            backend = ScriptedBackend(["one"], delay_seconds=30)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(backend.stream(ask())), 0.02)
            return backend.cancelled

        assert asyncio.run(scenario()) == 1


def test_closing_is_remembered() -> None:
    backend = ScriptedBackend([])

    asyncio.run(backend.close())

    assert backend.closed
