"""What every chat backend promises, and what the OpenAI-compatible one makes of bad servers."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from chunking.errors import CollectionChanged, ConfigurationError, ContextLengthExceeded
from chunking.tokens import Message, Tool, ToolCall
from scripts.vllm_server import SERVED_NAME
from serve.backends.llama_cpp import LlamaCppBackend
from serve.backends.openai_address import output_parameter
from serve.backends.openai_compatible import OpenAICompatibleBackend
from serve.backends.protocol import ChatBackend, Completion, CompletionRequest, ServerFacts
from serve.backends.quote import QuoteBackend
from serve.backends.scripted import ScriptedBackend
from serve.errors import UpstreamError, UpstreamRateLimited, UpstreamRejected, UpstreamTimeout
from tests.contract.backend_cases import (
    KEY,
    SECRET,
    answer,
    ask,
    closing,
    connect,
    failure,
    pieces_of,
    run_against,
)
from tests.contract.openai_server import OpenAIServer, Reply, call_part, run_server
from tests.pair_counter import PairCounter
from tests.weights import small_gguf

VLLM_URL = os.environ.get("WINDOWFIT_TEST_VLLM_URL")
VLLM_MODEL = os.environ.get("WINDOWFIT_TEST_VLLM_MODEL", SERVED_NAME)
WEATHER = Tool("weather", description="Tells the weather.", parameters={"type": "object"})

OpenBackend = Callable[[], AbstractAsyncContextManager[ChatBackend]]


def open_quote() -> AbstractAsyncContextManager[ChatBackend]:
    return closing(QuoteBackend(PairCounter()))


def open_scripted() -> AbstractAsyncContextManager[ChatBackend]:
    return closing(ScriptedBackend(itertools.repeat(" yes, sir "), prompt_tokens=7))


@asynccontextmanager
async def open_fake_server() -> AsyncIterator[ChatBackend]:
    async with run_server() as server, closing(connect(server)) as backend:
        yield backend


def open_vllm() -> AbstractAsyncContextManager[ChatBackend]:
    backend = OpenAICompatibleBackend(
        str(VLLM_URL), api_key=None, model=VLLM_MODEL, timeout_seconds=120, temperature=0.0
    )
    return closing(backend)


def open_llama_cpp() -> AbstractAsyncContextManager[ChatBackend]:
    backend = LlamaCppBackend(
        small_gguf(), model="smol", window=2048, timeout_seconds=120, temperature=0.0
    )
    return closing(backend)


def open_scripted_with_tools() -> AbstractAsyncContextManager[ChatBackend]:
    call = ToolCall("call-1", "weather", '{"city": "Lima"}')
    calling = Completion("", 7, 3, finish_reason="tool_calls", tool_calls=(call,))
    return closing(ScriptedBackend([calling, "mild"] * 2))


@pytest.fixture(
    params=[
        pytest.param(open_quote, id="quote"),
        pytest.param(open_scripted, id="scripted"),
        pytest.param(open_fake_server, id="openai_compatible", marks=pytest.mark.network),
        pytest.param(open_llama_cpp, id="xllamacpp", marks=pytest.mark.network),
        pytest.param(
            open_vllm,
            id="vllm",
            marks=[
                pytest.mark.network,
                pytest.mark.vllm,
                pytest.mark.skipif(VLLM_URL is None, reason="WINDOWFIT_TEST_VLLM_URL is not set"),
            ],
        ),
    ]
)
def open_backend(request: pytest.FixtureRequest) -> OpenBackend:
    chosen: OpenBackend = request.param
    return chosen


@pytest.fixture(
    params=[
        pytest.param(open_scripted_with_tools, id="scripted"),
        pytest.param(open_fake_server, id="openai_compatible", marks=pytest.mark.network),
    ]
)
def open_tool_backend(request: pytest.FixtureRequest) -> OpenBackend:
    chosen: OpenBackend = request.param
    return chosen


class TestEveryBackend:
    def test_an_answer_has_text_counts_and_a_known_reason(self, open_backend: OpenBackend) -> None:
        async def scenario() -> Completion:
            async with open_backend() as backend:
                return await backend.complete(ask())

        completion = asyncio.run(scenario())

        assert isinstance(completion.text, str)
        assert completion.output_tokens >= 0
        assert completion.finish_reason in {"stop", "length"}
        if completion.prompt_tokens is not None:
            assert completion.prompt_tokens > 0
            assert 0 <= completion.cached_tokens <= completion.prompt_tokens

    def test_an_answer_stays_within_its_room(self, open_backend: OpenBackend) -> None:
        async def scenario() -> Completion:
            async with open_backend() as backend:
                return await backend.complete(ask("Count up to ten.", max_output_tokens=2))

        assert asyncio.run(scenario()).output_tokens <= 2

    def test_the_same_request_reads_the_same_prompt_tokens(self, open_backend: OpenBackend) -> None:
        async def scenario() -> list[Completion]:
            async with open_backend() as backend:
                return [await backend.complete(ask()) for _ in range(2)]

        first, second = asyncio.run(scenario())

        assert first.prompt_tokens == second.prompt_tokens

    def test_requests_may_run_at_the_same_time(self, open_backend: OpenBackend) -> None:
        async def scenario() -> list[Completion]:
            async with open_backend() as backend:
                return await asyncio.gather(*(backend.complete(ask()) for _ in range(3)))

        assert len(asyncio.run(scenario())) == 3

    def test_the_pieces_of_a_stream_join_to_its_completion(self, open_backend: OpenBackend) -> None:
        async def scenario() -> tuple[list[str], Completion]:
            async with open_backend() as backend:
                return await pieces_of(
                    backend, ask("Say launch.", max_output_tokens=200)
                )  # checks it

        texts, completion = asyncio.run(scenario())

        assert completion.text
        assert all(texts)

    def test_a_stream_ends_as_a_whole_answer_does(self, open_backend: OpenBackend) -> None:
        request = ask("Count up to ten, then go on.", max_output_tokens=3)

        async def scenario() -> tuple[Completion, Completion]:
            async with open_backend() as backend:
                _, completion = await pieces_of(backend, request)
                return await backend.complete(request), completion

        whole, streamed = asyncio.run(scenario())

        assert replace(streamed, cached_tokens=0) == replace(whole, cached_tokens=0)

    def test_a_stream_may_be_left_at_its_first_piece(self, open_backend: OpenBackend) -> None:
        async def scenario() -> Completion:
            async with open_backend() as backend:
                stream = backend.stream(ask("Say launch.", max_output_tokens=200))
                assert isinstance(await anext(stream), str)
                await stream.aclose()
                with pytest.raises(StopAsyncIteration):
                    await anext(stream)
                return (await pieces_of(backend, ask("Say launch.", max_output_tokens=200)))[1]

        assert asyncio.run(scenario()).text

    def test_a_stream_may_be_left_before_it_begins(self, open_backend: OpenBackend) -> None:
        async def scenario() -> None:
            async with open_backend() as backend:
                await backend.stream(ask()).aclose()

        asyncio.run(scenario())

    def test_streams_may_run_at_the_same_time(self, open_backend: OpenBackend) -> None:
        async def scenario() -> list[tuple[list[str], Completion]]:
            async with open_backend() as backend:
                return await asyncio.gather(*(pieces_of(backend, ask()) for _ in range(3)))

        assert len({completion.text for _, completion in asyncio.run(scenario())}) == 1

    def test_an_inspection_counts_the_probe_or_says_nothing(
        self, open_backend: OpenBackend
    ) -> None:
        async def scenario() -> tuple[ServerFacts, ServerFacts]:
            async with open_backend() as backend:
                return await backend.inspect(ask().messages), await backend.inspect(())

        facts, without_probe = asyncio.run(scenario())

        assert facts.probe_tokens is None or facts.probe_tokens > 0
        assert without_probe == replace(facts, probe_tokens=None)

    def test_closing_twice_is_allowed(self, open_backend: OpenBackend) -> None:
        async def scenario() -> None:
            async with open_backend() as backend:
                await backend.close()

        asyncio.run(scenario())


class TestEveryBackendWithTools:
    @pytest.mark.parametrize("streaming", [False, True])
    def test_a_tool_is_called_and_its_result_is_answered(
        self, open_tool_backend: OpenBackend, *, streaming: bool
    ) -> None:
        async def send(backend: ChatBackend, request: CompletionRequest) -> Completion:
            if streaming:
                return (await pieces_of(backend, request))[1]
            return await backend.complete(request)

        async def scenario() -> tuple[Completion, Completion]:
            async with open_tool_backend() as backend:
                request = ask("What is the weather in Lima?", tools=(WEATHER,))
                calling = await send(backend, request)
                turns = (
                    Message("assistant", calling.text, tool_calls=calling.tool_calls),
                    Message("tool", "mild", tool_call_id=calling.tool_calls[0].id),
                )
                after = replace(request, messages=(*request.messages, *turns))
                return calling, await send(backend, after)

        calling, answering = asyncio.run(scenario())

        assert calling.finish_reason == "tool_calls"
        assert calling.text == ""
        assert calling.tool_calls == (ToolCall("call-1", "weather", '{"city": "Lima"}'),)
        assert (answering.text, answering.tool_calls) == ("mild", ())


@pytest.mark.network
class TestAnswers:
    def test_usage_and_cache_hits_are_read(self) -> None:
        reply = Reply.chat(
            "yes",
            prompt_tokens=40,
            completion_tokens=3,
            prompt_tokens_details={"cached_tokens": 32},
        )

        assert answer(reply) == Completion("yes", 40, 3, cached_tokens=32)

    def test_without_usage_the_prompt_tokens_are_unknown(self) -> None:
        assert answer(Reply.chat("yes")) == Completion("yes", None, 0)

    def test_an_answer_without_content_is_an_empty_text(self) -> None:
        reply = Reply.chat(None, finish="length", prompt_tokens=9, completion_tokens=16)

        assert answer(reply) == Completion("", 9, 16, finish_reason="length")

    @pytest.mark.parametrize("reason", ["length", "max_tokens", "model_length"])
    def test_every_name_for_a_full_answer_becomes_length(self, reason: str) -> None:
        assert answer(Reply.chat("yes", finish=reason)).finish_reason == "length"

    def test_tool_calls_are_read(self) -> None:
        calls = [call_part(None, id="c1", name="now", arguments="{}"), call_part(None, name="x")]
        reply = Reply.chat(None, finish="tool_calls", calls=calls)

        completion = answer(reply)

        assert completion.tool_calls == (ToolCall("c1", "now", "{}"), ToolCall("", "x", ""))
        assert (completion.text, completion.finish_reason) == ("", "tool_calls")

    def test_other_reasons_become_stop(self) -> None:
        assert answer(Reply.chat("yes", finish="eos")).finish_reason == "stop"

    def test_a_failed_try_is_repeated(self) -> None:
        replies = Reply.error(500, "busy"), Reply.chat("yes")

        assert answer(*replies, max_retries=1).text == "yes"

    @pytest.mark.parametrize("streaming", [False, True])
    def test_what_is_looked_at_before_a_try_is_looked_at_again_before_the_next(
        self, *, streaming: bool
    ) -> None:
        looks: list[int] = []

        async def look() -> None:
            looks.append(len(looks))
            if len(looks) > 1:
                raise CollectionChanged("a label was raised")

        async def scenario(backend: OpenAICompatibleBackend, server: OpenAIServer) -> int:
            request = ask(SECRET, before_try=look)
            call = pieces_of(backend, request) if streaming else backend.complete(request)
            with pytest.raises(CollectionChanged):
                await call
            return len(server.received)

        replies = Reply.error(503, "busy"), Reply.chat("yes")
        assert run_against(*replies, scenario=scenario, max_retries=2) == 1
        assert looks == [0, 1]

    def test_a_rate_limit_is_waited_for(self) -> None:
        limited = Reply({"error": {}}, status=429, headers={"retry-after-ms": "5"})

        assert answer(limited, Reply.chat("yes"), max_retries=1).text == "yes"


@pytest.mark.network
class TestRequests:
    def send(self, request: CompletionRequest, **options: Any) -> tuple[dict[str, Any], Any]:
        async def scenario(
            backend: OpenAICompatibleBackend, server: OpenAIServer
        ) -> tuple[dict[str, Any], Any]:
            await backend.complete(request)
            return server.received[0].body, server.received[0].headers

        sent: tuple[dict[str, Any], Any] = run_against(
            Reply.chat("yes"), scenario=scenario, **options
        )
        return sent

    def test_the_planned_messages_are_sent_and_nothing_else(self) -> None:
        body, _ = self.send(ask("Say yes."))

        assert body == {
            "model": "small",
            "messages": [
                {"role": "system", "content": "Answer in one word."},
                {"role": "user", "content": "Say yes."},
            ],
            "max_tokens": 16,
        }

    def test_a_temperature_is_sent_when_there_is_one(self) -> None:
        assert self.send(ask(), temperature=0.0)[0]["temperature"] == 0.0

    def test_sampling_wins_over_the_profile_and_never_over_the_plan(self) -> None:
        sampling = {"temperature": 0.7, "top_p": None, "seed": 3, "max_tokens": 9, "model": "big"}

        body, _ = self.send(ask(sampling=sampling), temperature=0.0)

        assert (body["temperature"], body["seed"]) == (0.7, 3)
        assert (body["max_tokens"], body["model"]) == (16, "small")
        assert "top_p" not in body

    def test_tools_are_sent_as_openai_names_them_without_what_is_not_said(self) -> None:
        bare, full = Tool("now"), Tool("add", "Adds \ud800.", {"type": "object"}, strict=True)
        choice = {"type": "function", "function": {"name": "now"}}

        body, _ = self.send(
            ask(tools=(bare, full), tool_choice=choice, response_format={"type": "json_object"})
        )

        assert body["tools"] == [
            {"type": "function", "function": {"name": "now"}},
            {
                "type": "function",
                "function": {
                    "name": "add",
                    "description": "Adds \ufffd.",
                    "parameters": {"type": "object"},
                    "strict": True,
                },
            },
        ]
        assert body["tool_choice"] == choice
        assert body["response_format"] == {"type": "json_object"}

    def test_turns_with_tool_calls_are_sent_as_openai_names_them(self) -> None:
        call = ToolCall("c1", "now", "{}")
        messages = (
            Message("user", "When?"),
            Message("assistant", "", tool_calls=(call,)),
            Message("tool", "", tool_call_id="c1"),
            Message("assistant", "Wait.", tool_calls=(call,)),
            Message("assistant", ""),
        )
        wire = [{"id": "c1", "type": "function", "function": {"name": "now", "arguments": "{}"}}]

        body, _ = self.send(ask(messages=messages))

        assert body["messages"][1:] == [
            {"role": "assistant", "content": None, "tool_calls": wire},
            {"role": "tool", "content": "", "tool_call_id": "c1"},
            {"role": "assistant", "content": "Wait.", "tool_calls": wire},
            {"role": "assistant", "content": ""},
        ]

    def test_a_lone_surrogate_is_sent_as_it_was_counted(self) -> None:
        body, _ = self.send(ask("broken \ud800 text"))

        assert body["messages"][1]["content"] == "broken \ufffd text"

    def test_the_environment_of_the_sdk_is_not_passed_on(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-from-environment")
        monkeypatch.setenv("OPENAI_ORG_ID", "org-from-environment")
        monkeypatch.setenv("OPENAI_PROJECT_ID", "project-from-environment")

        _, headers = self.send(ask(), api_key=None)

        assert "from-environment" not in str(headers)

    def test_openai_takes_another_name_for_the_room_of_the_answer(self) -> None:
        assert output_parameter("https://api.openai.com/v1") == "max_completion_tokens"
        assert output_parameter("https://eu.api.openai.com/v1") == "max_completion_tokens"
        assert output_parameter("http://127.0.0.1:8000/v1") == "max_tokens"
        assert output_parameter("https://api.openai.com.example/v1") == "max_tokens"


@pytest.mark.network
class TestFailures:
    def test_a_failing_server_is_unavailable(self) -> None:
        error = failure(Reply.error(500, f"echo {SECRET}"))

        assert type(error) is UpstreamError
        assert "HTTP 500" in error.message
        assert error.retryable

    def test_a_rate_limit_carries_the_seconds_to_wait(self) -> None:
        error = failure(Reply({"error": {"message": f"echo {SECRET}"}}, 429, {"retry-after": "17"}))

        assert isinstance(error, UpstreamRateLimited)
        assert error.retry_after_seconds == 17
        assert UpstreamRateLimited.default_retry_after_seconds != 17

    def test_a_wait_past_the_deadline_is_told_at_once(self) -> None:
        limited = Reply({}, 429, {"retry-after": "60"})

        error = failure(limited, timeout_seconds=5, max_retries=2)

        assert isinstance(error, UpstreamRateLimited)
        assert error.retry_after_seconds == 60

    def test_a_rate_limit_without_a_number_keeps_the_default(self) -> None:
        date = {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}

        assert failure(Reply({}, 429, date)).retry_after_seconds == 5

    def test_a_used_up_quota_is_not_worth_a_retry(self) -> None:
        error = failure(Reply.error(429, "echo", code="insufficient_quota"))

        assert isinstance(error, UpstreamRejected)
        assert not error.retryable

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refused_key_is_named_by_its_variable_only(self, status: int) -> None:
        error = failure(Reply.error(status, f"echo wrong key {KEY}"))

        assert isinstance(error, UpstreamRejected)
        assert "api_key_env" in error.hint

    def test_an_unknown_model_is_rejected_by_name(self) -> None:
        error = failure(Reply.error(404, "echo The model `small` does not exist."))

        assert isinstance(error, UpstreamRejected)
        assert "'small'" in error.message

    def test_any_other_refusal_is_rejected(self) -> None:
        error = failure(Reply.error(400, f"echo {SECRET}", param="messages"))

        assert isinstance(error, UpstreamRejected)
        assert "HTTP 400" in error.message

    def test_a_redirect_is_refused_and_not_followed(self) -> None:
        error = failure(Reply({}, 307, {"location": "http://127.0.0.1:1/v1/chat/completions"}))

        assert isinstance(error, UpstreamRejected)
        assert "HTTP 307" in error.message

    @pytest.mark.parametrize("status", [408, 504])
    def test_a_gateway_that_gave_up_is_a_timeout(self, status: int) -> None:
        assert isinstance(failure(Reply.error(status, "echo")), UpstreamTimeout)

    def test_a_closed_connection_is_unavailable(self) -> None:
        error = failure(Reply(reset=True))

        assert type(error) is UpstreamError

    def test_a_server_that_is_away_is_unavailable(self) -> None:
        async def scenario() -> None:
            async with run_server() as server:
                backend = connect(server)
            try:
                with pytest.raises(UpstreamError, match=r"127\.0\.0\.1:\d+ cannot be reached"):
                    await backend.complete(ask())
            finally:
                await backend.close()

        asyncio.run(scenario())

    @pytest.mark.parametrize(
        "body",
        [
            "{",
            "<html>echo</html>",
            "",
            "null",
            {"choices": []},
            {"choices": None},
            {"error": {"message": "echo"}},
            {"choices": [{"message": {"content": ["echo"]}}]},
            {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": -1}},
        ],
    )
    def test_what_is_no_chat_completion_is_unavailable(self, body: Any) -> None:
        error = failure(Reply(body))

        assert type(error) is UpstreamError
        assert "no chat completion" in error.message

    def test_an_answer_withheld_by_a_filter_is_rejected(self) -> None:
        assert isinstance(failure(Reply.chat("ech", finish="content_filter")), UpstreamRejected)


@pytest.mark.network
class TestDeadlines:
    def test_a_slow_server_meets_the_deadline(self) -> None:
        error = failure(Reply(delay_seconds=30), timeout_seconds=0.2)

        assert isinstance(error, UpstreamTimeout)
        assert "within 0.2 seconds" in error.message

    def test_the_deadline_covers_all_retries(self) -> None:
        slow = [Reply({}, status=500, delay_seconds=0.15) for _ in range(9)]
        started = time.monotonic()

        error = failure(*slow, timeout_seconds=0.5, max_retries=8)

        assert isinstance(error, UpstreamTimeout)
        assert "0.5 seconds" in error.message
        assert time.monotonic() - started < 5

    def test_a_caller_that_leaves_closes_the_connection(self) -> None:
        async def scenario(backend: OpenAICompatibleBackend, server: OpenAIServer) -> None:
            task = asyncio.create_task(backend.complete(ask()))
            await server.arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with asyncio.timeout(2):
                await server.disconnected.wait()

        run_against(Reply(delay_seconds=30), scenario=scenario)


VLLM = (
    "This model's maximum context length is 8192 tokens. However, your prompt contains at least"
    " 8193 input tokens, which exceeds this limit even without any output tokens. Please reduce"
    " the length of the input prompt. (parameter=input_tokens, value=8193)"
)
VLLM_CHARACTERS = (
    "This model's maximum context length is 8192 tokens. However, your prompt contains 1400148"
    " characters (more than 663552 characters, which is the upper bound for 8192 input tokens)."
)
VLLM_2025 = (
    "This model's maximum context length is 16384 tokens. However, you requested 122946 tokens"
    " (112946 in the messages, 10000 in the completion)."
)
LLAMA = {
    "code": 400,
    "message": "request (9031 tokens) exceeds the available context size (8192 tokens), try"
    " increasing it",
    "type": "exceed_context_size_error",
    "n_prompt_tokens": 9031,
    "n_ctx": 8192,
}
GEMINI = [{"error": {"message": "The input token count (9031) exceeds the maximum number of"
                     " tokens allowed (8192).", "code": 400}}]  # fmt: skip


@pytest.mark.network
class TestOverflows:
    @pytest.mark.parametrize(
        ("reply", "numbers"),
        [
            (Reply.error(400, VLLM, code=400), "window 8192 < prompt at least 8193 + answer 16"),
            (Reply.error(400, VLLM_2025), "window 16384 < prompt 112946 + answer 16"),
            (
                Reply({"object": "error", "message": VLLM}, 400),
                "window 8192 < prompt at least 8193",
            ),
            (Reply({"error": LLAMA}, 400), "window 8192 < prompt 9031 + answer 16"),
            (Reply({"error": LLAMA}, 500), "window 8192 < prompt 9031 + answer 16"),
            (Reply(GEMINI, 400), "window 8192 < prompt 9031 + answer 16"),
            (
                Reply.error(400, "prompt is too long: 215000 tokens > 200000 maximum"),
                "window 200000 < prompt 215000 + answer 16",
            ),
            (
                Reply.error(
                    400,
                    "Input tokens exceed the configured limit of 272000 tokens. Your messages"
                    " resulted in 300000 tokens.",
                    code="context_length_exceeded",
                ),
                "window 272000 < prompt 300000 + answer 16",
            ),
        ],
    )
    def test_a_prompt_too_long_is_told_in_numbers(self, reply: Reply, numbers: str) -> None:
        error = failure(reply)

        assert isinstance(error, ContextLengthExceeded)
        assert error.message.startswith(numbers)

    @pytest.mark.parametrize(
        "reply",
        [
            Reply.error(400, VLLM_CHARACTERS, param="input_text"),
            Reply.error(400, f"echo {SECRET}", code="context_length_exceeded"),
        ],
    )
    def test_characters_are_not_taken_for_tokens(self, reply: Reply) -> None:
        error = failure(reply)

        assert isinstance(error, ContextLengthExceeded)
        assert error.message.startswith("the prompt does not fit the window of 8192 tokens of ")


class TestSettings:
    @pytest.mark.parametrize(
        "address", ["127.0.0.1:8000", "ftp://host/v1", "http://", "http://h:x"]
    )
    def test_an_address_that_cannot_be_called_is_a_configuration_error(self, address: str) -> None:
        with pytest.raises(ConfigurationError, match="base_url"):
            OpenAICompatibleBackend(address, api_key=None, model="small", timeout_seconds=1)

    @pytest.mark.parametrize("key", ["", "  ", "sk-é", "sk-a\nb"])
    def test_a_key_that_cannot_be_sent_is_a_configuration_error(self, key: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            OpenAICompatibleBackend(
                "http://127.0.0.1/v1", api_key=key, model="small", timeout_seconds=1
            )

        assert not key.strip() or key not in str(caught.value)
