"""What the OpenAI-compatible backend makes of streams: whole, broken, withheld, late and left."""

from __future__ import annotations

import asyncio
import gc
import time
import types
from collections.abc import Callable
from typing import Any

import pytest

from chunking.errors import ContextLengthExceeded
from chunking.tokens import ToolCall
from serve.backends.openai_compatible import OpenAICompatibleBackend
from serve.backends.protocol import Completion
from serve.errors import UpstreamError, UpstreamRateLimited, UpstreamRejected, UpstreamTimeout
from tests.contract.backend_cases import SECRET, ask, failure, pieces_of, run_against, streamed
from tests.contract.openai_server import DONE, OpenAIServer, Reply, call_part, event

pytestmark = pytest.mark.network

STOP = event(finish="stop")
USAGE: dict[str, Any] = {"choices": [], "usage": {"prompt_tokens": 40, "completion_tokens": 3}}


def stream_failure(*events: Any, **options: Any) -> Any:
    settings = {"timeout_seconds": options.pop("timeout_seconds", 5)}
    return failure(Reply.stream(*events, **options), call=streamed, **settings)


class TestStreams:
    def test_pieces_come_as_they_are_written(self) -> None:
        async def scenario(backend: OpenAICompatibleBackend, _: OpenAIServer) -> list[float]:
            return [time.monotonic() async for _ in backend.stream(ask())]

        reply = Reply.stream(event("a"), event("b"), STOP, USAGE, DONE, event_seconds=0.2)
        first, second, end = run_against(reply, scenario=scenario)

        assert second - first > 0.1
        assert end - second > 0.1

    def test_usage_is_asked_for_and_the_last_one_holds(self) -> None:
        counting = event("yes", usage={"prompt_tokens": 40, "completion_tokens": 1})
        cached = {**USAGE["usage"], "prompt_tokens_details": {"cached_tokens": 32}}

        async def scenario(
            backend: OpenAICompatibleBackend, server: OpenAIServer
        ) -> tuple[Any, Completion]:
            _, completion = await pieces_of(backend, ask())
            return server.received[0].body, completion

        reply = Reply.stream(counting, STOP, {"choices": [], "usage": cached}, DONE)
        body, completion = run_against(reply, scenario=scenario)

        assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})
        assert completion == Completion("yes", 40, 3, cached_tokens=32)

    def test_a_server_that_sends_no_usage_leaves_the_prompt_tokens_unknown(self) -> None:
        _, completion = streamed(Reply.stream(event("yes"), STOP, DONE))

        assert completion == Completion("yes", None, 0)

    def test_usage_beside_the_last_choice_is_read(self) -> None:
        ending = event("yes", finish="length", usage={"prompt_tokens": 4, "completion_tokens": 1})

        _, completion = streamed(Reply.stream(ending, DONE))

        assert completion == Completion("yes", 4, 1, finish_reason="length")

    def test_a_stream_without_the_closing_mark_is_whole_once_a_reason_was_given(self) -> None:
        assert streamed(Reply.stream(event("yes"), STOP))[1].text == "yes"

    def test_comments_empty_pieces_and_other_choices_are_passed_over(self) -> None:
        other = {"choices": [{"index": 1, "delta": {"content": "no"}, "finish_reason": "length"}]}
        role = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}}]}
        bare = {"choices": [{"index": 0, "finish_reason": None}], "usage": None}
        reply = Reply.stream(
            b": keepalive\n\n", {"choices": []}, role, bare, other, event(""), event("yes"), STOP
        )

        assert streamed(reply) == (["yes"], Completion("yes", None, 0))

    def test_a_character_split_between_packets_arrives_whole(self) -> None:
        raw = 'data: {"choices": [{"delta": {"content": "é🚀"}}]}\n\n'.encode()
        halves = raw[:40], raw[40:42], raw[42:]

        texts, _ = streamed(Reply.stream(*halves, STOP, DONE, event_seconds=0.02))

        assert texts == ["é🚀"]

    def test_a_refusal_is_the_answer(self) -> None:
        refusal = {"choices": [{"delta": {"refusal": "I will not."}, "finish_reason": "stop"}]}

        assert streamed(Reply.stream(refusal))[0] == ["I will not."]


class TestToolCalls:
    def calls(self, *parts: dict[str, Any]) -> tuple[ToolCall, ...]:
        events = [event(calls=[part]) for part in parts]
        _, completion = streamed(Reply.stream(*events, event(finish="tool_calls"), DONE))
        assert completion.finish_reason == "tool_calls"
        assert completion.text == ""
        return completion.tool_calls

    def test_parts_of_several_calls_are_put_together(self) -> None:
        found = self.calls(
            call_part(0, id="a", name="now", arguments=""),
            call_part(1, id="b", name="add", arguments='{"x"'),
            call_part(0, arguments="{}"),
            call_part(1, arguments=": 1}"),
        )

        assert found == (ToolCall("a", "now", "{}"), ToolCall("b", "add", '{"x": 1}'))

    @pytest.mark.parametrize("index", [0, None])
    def test_whole_calls_under_one_index_or_none_are_told_apart_by_their_ids(
        self, index: int | None
    ) -> None:
        found = self.calls(
            call_part(index, id="a", name="now", arguments="{}"),
            call_part(index, id="b", name="now", arguments='{"in": "Lima"}'),
        )

        assert found == (ToolCall("a", "now", "{}"), ToolCall("b", "now", '{"in": "Lima"}'))

    def test_an_id_that_is_repeated_begins_no_second_call(self) -> None:
        found = self.calls(
            call_part(0, id="a", name="now", arguments="{"), call_part(0, id="a", arguments="}")
        )

        assert found == (ToolCall("a", "now", "{}"),)


class TestBrokenStreams:
    @pytest.mark.parametrize("reset", [True, False])
    def test_a_connection_lost_in_the_middle_is_unavailable(self, *, reset: bool) -> None:
        error = stream_failure(event("ech"), event("o"), reset=reset, whole=False)

        assert type(error) is UpstreamError

    @pytest.mark.parametrize("events", [(), (DONE,), (event("ech"),), (event("ech"), USAGE, DONE)])
    def test_an_answer_that_ends_without_a_reason_is_unavailable(self, events: Any) -> None:
        with pytest.raises(UpstreamError, match="before it was complete"):
            streamed(Reply.stream(*events))

    def test_a_server_that_does_not_stream_is_unavailable(self) -> None:
        with pytest.raises(UpstreamError, match="before it was complete"):
            streamed(Reply.chat("echo"))

    @pytest.mark.parametrize(
        "nonsense",
        [
            b"data: {\n\n",
            b"data: <html>echo</html>\n\n",
            b"data: \xff\xfe\n\n",
            b"data: 7\n\n",
            b'data: ["echo"]\n\n',
            b'data: {"choices": 3}\n\n',
            b'data: {"choices": [{"delta": {"content": ["echo"]}}]}\n\n',
            b'data: {"choices": [], "usage": {"prompt_tokens": -1}}\n\n',
        ],
    )
    def test_what_is_no_chunk_is_unavailable(self, nonsense: bytes) -> None:
        error = stream_failure(event("a"), nonsense, STOP)

        assert type(error) is UpstreamError
        assert "no chat completion" in error.message

    @pytest.mark.parametrize(
        ("said", "kind"),
        [
            ({"message": f"echo {SECRET}"}, UpstreamError),
            ({"message": "echo", "code": "server_error"}, UpstreamError),
            ({"message": "echo", "code": 500}, UpstreamError),
            ({"message": "echo", "code": 400}, UpstreamRejected),
            ({"message": "echo", "code": 429}, UpstreamRateLimited),
            ("echo", UpstreamError),
        ],
    )
    def test_an_error_inside_the_stream_is_typed_and_not_repeated(
        self, said: Any, kind: type[UpstreamError]
    ) -> None:
        error = stream_failure(event("a"), {"error": said})

        assert type(error) is kind

    def test_an_overflow_inside_the_stream_is_told_in_numbers(self) -> None:
        message = "This model's maximum context length is 8192 tokens. However, your request has"
        said = {"message": f"{message} 9000 input tokens.", "type": "BadRequestError", "code": 400}

        error = stream_failure(event("a"), {"error": said})

        assert isinstance(error, ContextLengthExceeded)
        assert error.message.startswith("window 8192 < prompt 9000 + answer 16")

    @pytest.mark.parametrize(
        ("reply", "kind"),
        [
            (Reply.error(503, "echo"), UpstreamError),
            (Reply.error(401, "echo"), UpstreamRejected),
            (Reply(reset=True), UpstreamError),
        ],
    )
    def test_a_refusal_before_the_stream_is_that_of_a_whole_answer(
        self, reply: Reply, kind: type[UpstreamError]
    ) -> None:
        assert type(failure(reply, call=streamed)) is kind

    def test_an_answer_that_a_filter_cuts_is_rejected(self) -> None:
        error = stream_failure(event("ech"), event(finish="content_filter"), DONE)

        assert isinstance(error, UpstreamRejected)

    def test_what_came_before_the_failure_was_given(self) -> None:
        async def scenario(backend: OpenAICompatibleBackend, _: OpenAIServer) -> list[Any]:
            stream = backend.stream(ask())
            given = [await anext(stream), await anext(stream)]
            with pytest.raises(UpstreamError):
                await anext(stream)
            return given

        reply = Reply.stream(event("a"), event("b"), {"error": {"message": "echo"}})

        assert run_against(reply, scenario=scenario) == ["a", "b"]


class TestDeadlines:
    @pytest.mark.parametrize(
        "reply",
        [
            Reply(delay_seconds=30),
            Reply.stream(hang_seconds=30),
            Reply.stream(event("a"), hang_seconds=30),
            Reply.stream(*[event("a")] * 100, event_seconds=0.1),
        ],
        ids=["before the headers", "before the first piece", "after a piece", "drop by drop"],
    )
    def test_one_deadline_holds_for_the_whole_answer(self, reply: Reply) -> None:
        async def scenario(backend: OpenAICompatibleBackend, server: OpenAIServer) -> None:
            with pytest.raises(UpstreamTimeout, match=r"within 0\.4 seconds"):
                await pieces_of(backend, ask())
            async with asyncio.timeout(2):
                await server.disconnected.wait()

        started = time.monotonic()
        run_against(reply, scenario=scenario, timeout_seconds=0.4)

        assert 0.3 < time.monotonic() - started < 3


async def assert_nothing_is_read() -> None:
    """Assert that no generator of a response waits for its next part; errors may be kept."""
    await asyncio.sleep(0.1)  # what was let go of closes in tasks of its own
    left = [
        found.__qualname__
        for found in gc.get_objects()
        if type(found) is types.AsyncGeneratorType  # isinstance would ask lazy modules for theirs
        and found.ag_frame is not None
        and "/http" in found.ag_code.co_filename  # the client's, not the SDK's, which never begins
    ]
    assert left == []


class TestLeaving:
    """The server sees the connection close while the backend itself stays open."""

    def leave(self, reply: Reply, *, after_pieces: int, by: Callable[[Any, Any], Any]) -> None:
        async def scenario(backend: OpenAICompatibleBackend, server: OpenAIServer) -> None:
            stream = backend.stream(ask())
            for _ in range(after_pieces):
                assert await anext(stream) == "a"
            await by(stream, server)
            async with asyncio.timeout(1):
                await server.disconnected.wait()

        run_against(reply, scenario=scenario)

    def test_closing_after_a_piece_closes_the_connection(self) -> None:
        async def close(stream: Any, _: OpenAIServer) -> None:
            await stream.aclose()

        self.leave(Reply.stream(event("a"), hang_seconds=30), after_pieces=1, by=close)

    def test_closing_while_pieces_still_come_closes_the_connection(self) -> None:
        async def close(stream: Any, _: OpenAIServer) -> None:
            await stream.aclose()

        endless = Reply.stream(*[event("a")] * 1000, event_seconds=0.01)
        self.leave(endless, after_pieces=2, by=close)

    @pytest.mark.parametrize(
        ("reply", "after_pieces"),
        [
            (Reply(delay_seconds=30), 0),
            (Reply.stream(hang_seconds=30), 0),
            (Reply.stream(event(""), hang_seconds=30), 0),
            (Reply.stream(event("a"), hang_seconds=30), 1),
        ],
        ids=["before the headers", "before any event", "before the first text", "after a piece"],
    )
    def test_a_caller_that_is_cancelled_closes_the_connection(
        self, reply: Reply, after_pieces: int
    ) -> None:
        async def cancel(stream: Any, server: OpenAIServer) -> None:
            waiting = asyncio.create_task(anext(stream))
            await server.arrived.wait()
            await asyncio.sleep(0.1)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

        self.leave(reply, after_pieces=after_pieces, by=cancel)

    @pytest.mark.parametrize("bad", [b"data: 7\n\n", {"error": {"message": "echo"}}])
    def test_a_failure_leaves_no_reading_to_the_garbage_collector(self, bad: Any) -> None:
        async def scenario(backend: OpenAICompatibleBackend, _: OpenAIServer) -> None:
            with pytest.raises(UpstreamError) as kept:
                await pieces_of(backend, ask())
            await assert_nothing_is_read()
            assert kept.value.__traceback__ is not None

        run_against(Reply.stream(event("a"), bad, hang_seconds=30), scenario=scenario)

    def test_being_cancelled_while_it_closes_leaves_none_either(self) -> None:
        async def scenario(backend: OpenAICompatibleBackend, _: OpenAIServer) -> None:
            for steps in range(8):
                stream = backend.stream(ask())
                assert await anext(stream) == "a"
                closing = asyncio.create_task(stream.aclose())
                for _step in range(steps):
                    await asyncio.sleep(0)
                closing.cancel()
                kept = await asyncio.gather(closing, return_exceptions=True)
                await assert_nothing_is_read()
                assert len(kept) == 1

        endless = Reply.stream(event("a"), hang_seconds=30)
        run_against(*[endless] * 8, scenario=scenario)

    def test_a_backend_that_was_left_still_answers(self) -> None:
        async def scenario(backend: OpenAICompatibleBackend, _: OpenAIServer) -> Completion:
            stream = backend.stream(ask())
            await anext(stream)
            await stream.aclose()
            return await backend.complete(ask())

        first = Reply.stream(event("a"), hang_seconds=30)

        assert run_against(first, Reply.chat("yes"), scenario=scenario).text == "yes"
