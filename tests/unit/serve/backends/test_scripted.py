"""The scripted backend plays its script and remembers what it was asked."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from chunking.errors import UpstreamRejected, UpstreamTimeout
from chunking.tokens import Message
from serve.backends.protocol import Completion, CompletionRequest
from serve.backends.scripted import ScriptedBackend


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


def test_problems_can_be_given() -> None:
    assert asyncio.run(ScriptedBackend([], problems=["away"]).check()) == ("away",)


def test_closing_is_remembered() -> None:
    backend = ScriptedBackend([])

    asyncio.run(backend.close())

    assert backend.closed
