"""A local tier behind the whole service: Ollama, which cuts in silence, and an adapter on vLLM."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import pytest

from serve.backends.scripted import ScriptedBackend
from serve.profiles import ModelProfile, load_profiles
from serve.verify import probe_of
from tests.contract.openai_server import DONE, OpenAIServer, Reply, event, run_server
from tests.integration.test_streams import ASKED, CHAT, QUESTION, Connection, data, post, settings
from tests.running import running
from tests.serving import mistral, profile, small_runtime

pytestmark = pytest.mark.network

OLLAMA = {
    "object": "list",
    "data": [{"id": "mistral:latest", "object": "model", "created": 1, "owned_by": "library"}],
}
READ = 64
"""Prompt tokens that the fake Ollama has read; it has dropped the rest and says nothing of it."""
WHOLE = Reply.chat("It is Lima.", prompt_tokens=READ, completion_tokens=4)
PIECES = Reply.stream(
    event("It is "),
    event("Lima."),
    event(finish="stop"),
    {"choices": [], "usage": {"prompt_tokens": READ, "completion_tokens": 4}},
    DONE,
)
BASE = {"id": "mistral-base", "root": "mistral-base", "parent": None, "max_model_len": 8192}
ADAPTER = {"id": "contracts", "root": "/adapters/contracts", "parent": "mistral-base"}
"""What vLLM lists where it was started with --enable-lora: an adapter has no window of its own."""

Scenario = Callable[[int, OpenAIServer], Coroutine[Any, Any, Any]]


def served(
    scenario: Scenario,
    model: str,
    *,
    replies: tuple[Reply, ...] = (),
    models: Any = None,
    routes: Mapping[str, Reply] | None = None,
    **changes: Any,
) -> Any:
    """Run a scenario against the service, whose one model is `model` of the fake server."""

    async def serve() -> Any:
        async with run_server(replies, models, routes) as server:
            local = tier(model, server.base_url)
            runtime = small_runtime(ScriptedBackend(()), profiles={local.name: local})
            async with running(runtime, settings(model=local.name, **changes)) as port:
                return await asyncio.wait_for(scenario(port, server), 30)

    return asyncio.run(serve())


def tier(model: str, base_url: str) -> ModelProfile:
    return profile(name="local-tier", backend="openai", model=model, base_url=base_url)


async def asked(connection: Connection, *, stream: bool) -> tuple[int, dict[str, Any], list[str]]:
    """Return status, the body or the last event, and all events."""
    status, _ = await connection.head()
    if stream:
        events = await connection.events()
        return status, data(events)[-1], events
    return status, json.loads(await connection.reader.read()), []


def ask(path: str, *, stream: bool = False) -> Scenario:
    body = ASKED if path == "/answer" else {**CHAT, "model": "local-tier"}

    async def scenario(port: int, server: OpenAIServer) -> Any:
        sent = {**body, "stream": True} if stream else body
        async with post(port, path, sent) as connection:
            result = await asked(connection, stream=stream)
        return *result, [one.body for one in server.asked("/v1/chat/completions")]

    return scenario


@pytest.mark.parametrize("path", ["/answer", "/v1/chat/completions"])
def test_a_prompt_that_ollama_cut_in_silence_is_refused(path: str) -> None:
    status, body, _, _ = served(ask(path), "mistral", replies=(WHOLE,), models=OLLAMA)

    assert (status, body["error"]["code"]) == (502, "upstream_silent_truncation")
    assert f"{READ} read by the server" in body["error"]["message"]
    assert "Lima" not in json.dumps(body)


@pytest.mark.parametrize("path", ["/answer", "/v1/chat/completions"])
def test_a_streamed_prompt_that_ollama_cut_in_silence_ends_with_its_error(path: str) -> None:
    status, last, events, _ = served(
        ask(path, stream=True), "mistral", replies=(PIECES,), models=OLLAMA
    )

    assert (status, last["error"]["code"]) == (200, "upstream_silent_truncation")
    assert events[-1] != "data: [DONE]"


@pytest.mark.parametrize("stream", [False, True])
def test_a_cut_is_in_the_report_where_the_settings_do_not_refuse_it(*, stream: bool) -> None:
    _, last, _, _ = served(
        ask("/answer", stream=stream),
        "mistral",
        replies=(PIECES if stream else WHOLE,),
        models=OLLAMA,
        upstream_check="report",
    )

    upstream = last["context"]["upstream"]
    assert (upstream["prompt_tokens"], upstream["silently_truncated"]) == (READ, True)


def adapter_routes() -> dict[str, Reply]:
    probe = probe_of(tier("contracts", "http://unused"), mistral())
    return {"/tokenize": Reply({"count": mistral().count_messages(probe), "max_model_len": 8192})}


def test_a_profile_may_name_an_adapter_that_vllm_serves() -> None:
    reply = Reply.chat("It is Lima [1].")
    status, body, _, sent = served(
        ask("/answer"),
        "contracts",
        replies=(reply,),
        models={"data": [BASE, ADAPTER]},
        routes=adapter_routes(),
    )

    assert (status, body["answer"]) == (200, "It is Lima [1].")
    assert [one["model"] for one in sent] == ["contracts"]
    assert QUESTION in sent[0]["messages"][-1]["content"]


def test_an_adapter_has_the_window_of_its_base_model() -> None:
    status, body, _, sent = served(
        ask("/answer"),
        "contracts",
        models={"data": [{**BASE, "max_model_len": 4096}, ADAPTER]},
        routes=adapter_routes(),
    )

    assert (status, body["error"]["code"], sent) == (502, "profile_mismatch", [])
    assert "the server's window is 4096, the profile says 8192" in body["error"]["message"]


@pytest.mark.parametrize("name", ["ollama-qwen", "contracts-lora"])
def test_the_profiles_of_the_documentation_are_complete_and_approved(
    name: str, tmp_path: Path
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    [block] = [
        block
        for block in re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
        if f"[profiles.{name}]" in block
    ]
    path = tmp_path / "profiles.toml"
    path.write_text(block)

    known = load_profiles(path)[name]

    assert (known.place, known.review.status) == ("local", "approved")


def test_an_adapter_that_is_not_loaded_is_refused_with_those_that_are() -> None:
    _, body, _, sent = served(
        ask("/answer"), "contracts", models={"data": [BASE, {**ADAPTER, "id": "claims"}]}
    )

    assert (body["error"]["code"], sent) == ("profile_mismatch", [])
    assert "it serves mistral-base, claims" in body["error"]["message"]
