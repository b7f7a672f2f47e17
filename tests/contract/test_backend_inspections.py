"""What the OpenAI-compatible backend learns of a server, and what it sends to learn it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from chunking.tokens import Message
from serve.backends.openai_compatible import OpenAICompatibleBackend
from serve.backends.protocol import ServerFacts
from serve.errors import UpstreamError, UpstreamRateLimited, UpstreamRejected, UpstreamTimeout
from tests.contract.backend_cases import KEY, connect, failure, run_against
from tests.contract.openai_server import OpenAIServer, Received, Reply, run_server

pytestmark = pytest.mark.network

PROBE = (Message("system", "Be brief."), Message("user", "Hi\n\ud800"))
WIRE = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi\n\ufffd"},
]
LISTED = {"id": "small", "max_model_len": 8192}


def inspect(
    models: Any = None,
    routes: Mapping[str, Reply] | None = None,
    probe: Any = PROBE,
    **options: Any,
) -> tuple[ServerFacts, list[Received]]:
    async def scenario(
        backend: OpenAICompatibleBackend, server: OpenAIServer
    ) -> tuple[ServerFacts, list[Received]]:
        return await backend.inspect(probe), server.received

    result: tuple[ServerFacts, list[Received]] = run_against(
        scenario=scenario, models=models, routes=routes, **options
    )
    return result


def facts(models: Any = None, **options: Any) -> ServerFacts:
    return inspect(models, **options)[0]


class TestModels:
    @pytest.mark.parametrize(
        ("model", "window"),
        [
            ({"id": "small"}, None),
            ({"id": "models/small"}, None),
            ({"id": "small:latest"}, None),
            ({"id": "small", "max_model_len": 4096}, 4096),
            ({"id": "small", "max_model_len": None, "meta": {"n_ctx": 4096}}, 4096),
            ({"id": "small", "meta": {"n_ctx_train": 32768}}, None),
            ({"id": "/models/small.gguf", "aliases": ["small"], "meta": {"n_ctx": 8192}}, 8192),
        ],
    )
    def test_a_server_may_name_model_and_window_its_own_way(
        self, model: dict[str, Any], window: int | None
    ) -> None:
        found = facts({"data": [{"id": "other", "max_model_len": 1}, model]})

        assert (found.served, found.window) == (True, window)

    @pytest.mark.parametrize(
        ("own", "base", "window"),
        [(None, 8192, 8192), (4096, 8192, 4096), (None, None, None)],
    )
    def test_an_adapter_of_vllm_has_the_window_of_its_base_model(
        self, own: int | None, base: int | None, window: int | None
    ) -> None:
        adapter = {"id": "small", "root": "/a", "parent": "base", "max_model_len": own}

        found = facts({"data": [adapter, {"id": "base", "max_model_len": base, "parent": None}]})

        assert (found.served, found.window) == (True, window)

    def test_an_adapter_whose_base_model_is_not_listed_has_no_known_window(self) -> None:
        assert facts({"data": [{"id": "small", "parent": "base"}]}).window is None

    def test_a_model_that_is_not_served_is_told_with_those_that_are(self) -> None:
        found, received = inspect({"data": [{"id": f"m{number}"} for number in range(12)]})

        assert found == ServerFacts(served=False, models=tuple(f"m{n}" for n in range(10)))
        assert [request.path for request in received] == ["/v1/models"]

    @pytest.mark.parametrize("status", [403, 404, 405, 501])
    def test_a_server_that_lists_no_models_is_asked_nothing_else(self, status: int) -> None:
        found, received = inspect(Reply.error(status, "echo"))

        assert found == ServerFacts()
        assert [request.path for request in received] == ["/v1/models"]

    def test_the_window_of_an_older_llama_server_stands_in_its_properties(self) -> None:
        properties = Reply({"default_generation_settings": {"n_ctx": 4096}})

        found = facts({"data": [{"id": "small"}]}, routes={"/props": properties})

        assert found.window == 4096

    @pytest.mark.parametrize(
        ("listing", "kind"),
        [
            (Reply.error(401, f"echo {KEY}"), UpstreamRejected),
            (Reply.error(429, "echo"), UpstreamRateLimited),
            (Reply.error(503, "echo"), UpstreamError),
            (Reply("<html>echo"), UpstreamError),
            (Reply({"data": "echo"}), UpstreamError),
            (Reply(reset=True), UpstreamError),
        ],
    )
    def test_a_server_that_fails_is_told_as_for_an_answer(
        self, listing: Reply, kind: type[UpstreamError]
    ) -> None:
        assert type(failure(call=inspect, models=listing)) is kind

    def test_a_server_that_is_away_is_told_as_for_an_answer(self) -> None:
        async def scenario() -> None:
            async with run_server() as server:
                backend = connect(server)
            try:
                with pytest.raises(UpstreamError, match=r"127\.0\.0\.1:\d+ cannot be reached"):
                    await backend.inspect(PROBE)
            finally:
                await backend.close()

        asyncio.run(scenario())

    def test_a_slow_server_meets_the_deadline(self) -> None:
        error = failure(call=inspect, models=Reply(delay_seconds=30), timeout_seconds=0.2)

        assert isinstance(error, UpstreamTimeout)
        assert "within 0.2 seconds" in error.message


class TestProbes:
    def test_vllm_counts_the_messages_as_they_would_be_sent(self) -> None:
        counted = {"count": 17, "max_model_len": 8192, "tokens": [1] * 17}

        found, received = inspect(routes={"/tokenize": Reply(counted)})

        assert found == ServerFacts(True, ("small",), 8192, 17)
        [sent] = [request.body for request in received if request.path == "/tokenize"]
        assert sent == {"model": "small", "messages": WIRE, "add_generation_prompt": True}

    def test_llama_counts_the_conversation_as_its_template_renders_it(self) -> None:
        async def scenario(
            backend: OpenAICompatibleBackend, server: OpenAIServer
        ) -> tuple[ServerFacts, list[Received]]:
            return await backend.inspect(PROBE), server.asked("/tokenize")

        routes = {
            "/tokenize": Reply({"tokens": [5, 6, 7]}),
            "/apply-template": Reply({"prompt": "P"}),
        }
        found, asked = run_against(scenario=scenario, routes=routes)

        assert found.probe_tokens == 3
        assert asked[-1].body == {"content": "P", "add_special": True, "parse_special": True}

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 422, 500, 501])
    def test_a_server_without_such_routes_leaves_the_count_unknown(self, status: int) -> None:
        routes = {path: Reply.error(status, "echo") for path in ("/tokenize", "/apply-template")}

        assert facts(routes=routes) == ServerFacts(True, ("small",), 8192)

    @pytest.mark.parametrize("body", ["<html>", {}, {"count": "many"}, {"tokens": []}, []])
    def test_an_answer_of_another_shape_leaves_the_count_unknown(self, body: Any) -> None:
        routes = {"/tokenize": Reply(body), "/apply-template": Reply(body)}

        assert facts(routes=routes).probe_tokens is None

    def test_a_server_that_goes_away_in_between_is_told_as_for_an_answer(self) -> None:
        error = failure(call=inspect, routes={"/tokenize": Reply.error(503, "echo")})

        assert type(error) is UpstreamError

    def test_an_empty_probe_is_not_sent(self) -> None:
        _, received = inspect(probe=())

        assert [request.path for request in received] == ["/v1/models"]

    def test_the_key_is_sent_to_the_server_of_the_profile_only(self) -> None:
        _, received = inspect(routes={"/tokenize": Reply({"count": 1})})

        assert {request.headers["authorization"] for request in received} == {f"Bearer {KEY}"}
