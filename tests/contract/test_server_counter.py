"""A server's own counts, from servers that answer as vLLM and as llama.cpp do, and worse ones."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from chunking.errors import InputError
from chunking.tokens import Message, Tool, ToolCall
from serve.backends.server_counter import COMMON_MARKERS, ServerCounter
from serve.errors import UpstreamError, UpstreamRejected, UpstreamTimeout

Answer = tuple[int, Any]
Route = Callable[[Mapping[str, Any]], Answer]

TURNS = (
    Message("user", "hi"),
    Message("assistant", "", (ToolCall("c1", "f", "{}"),)),
    Message("tool", "done", tool_call_id="c1"),
)


class Server:
    """Routes and what they were asked."""

    def __init__(self, routes: Mapping[str, Route]) -> None:
        self.routes = routes
        self.asked: list[tuple[str, Mapping[str, Any], Mapping[str, str]]] = []
        self.base_url = ""


@contextmanager
def serving(routes: Mapping[str, Route]) -> Iterator[Server]:
    state = Server(routes)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.asked.append((self.path, body, dict(self.headers)))
            route = state.routes.get(self.path)
            status, answer = route(body) if route else (404, {})
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            try:
                self.wfile.write(data)
            except ConnectionError:
                return

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.base_url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def vllm(body: Mapping[str, Any]) -> Answer:
    if "messages" in body:
        return 200, {"count": 10 * len(body["messages"]) + len(body.get("tools", ())), "tokens": []}
    return 200, {"count": len(body["prompt"]), "max_model_len": 99, "tokens": []}


def llama_tokenize(body: Mapping[str, Any]) -> Answer:
    if "content" not in body:
        return 200, {"tokens": []}
    return 200, {"tokens": [1] * (len(body["content"]) + bool(body["add_special"]))}


LLAMA: dict[str, Route] = {
    "/apply-template": lambda body: (200, {"prompt": "<" * len(body["messages"])}),
    "/tokenize": llama_tokenize,
}


def counter(server: Server, **options: Any) -> ServerCounter:
    return ServerCounter("m", base_url=server.base_url, **options)


def test_vllm_counts_texts_and_requests_with_their_tools() -> None:
    with serving({"/tokenize": vllm}) as server:
        asked = counter(server)
        assert asked.count("four") == 4
        assert asked.count_messages(TURNS) == 30
        assert asked.count_messages(TURNS, tools=[Tool("f")]) == 31
    text, *_, chat = (body for _, body, _ in server.asked)
    assert text == {"model": "m", "prompt": "four", "add_special_tokens": False}
    assert chat["add_generation_prompt"]
    assert chat["messages"][1]["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
    assert chat["messages"][2]["tool_call_id"] == "c1"
    assert chat["tools"][0]["function"]["name"] == "f"


def test_llama_cpp_counts_texts_without_and_requests_with_its_opening_token() -> None:
    with serving(LLAMA) as server:
        asked = counter(server)
        assert asked.count("four") == 4
        assert asked.count_messages(TURNS) == 4
    assert server.asked[-1][1]["parse_special"]


def test_a_text_is_asked_for_once_and_an_empty_one_never() -> None:
    with serving({"/tokenize": vllm}) as server:
        asked = counter(server)
        assert [asked.count(text) for text in ("", "a", "a")] == [0, 1, 1]
    assert len(server.asked) == 1


def test_lone_surrogates_are_counted_as_what_is_sent() -> None:
    with serving({"/tokenize": vllm}) as server:
        assert counter(server).count("\ud800") == 1
    assert server.asked[0][1]["prompt"] == "\ufffd"


def test_the_key_is_sent_and_a_refused_one_is_said_to_be() -> None:
    with (
        serving({"/tokenize": lambda _: (401, {"error": "wrong key s3cret"})}) as server,
        pytest.raises(UpstreamRejected, match="401") as refusal,
    ):
        counter(server, api_key="s3cret").count("a")
    assert server.asked[0][2]["Authorization"] == "Bearer s3cret"
    assert "s3cret" not in refusal.value.message + refusal.value.hint
    assert "api_key_env" in refusal.value.hint


@pytest.mark.parametrize(
    ("route", "status"), [("/tokenize", 400), ("/tokenize", 422), ("/apply-template", 500)]
)
def test_a_conversation_that_the_template_refuses_is_an_error_of_the_request(
    route: str, status: int
) -> None:
    with (
        serving({route: lambda _: (status, {"error": "secret text"})}) as server,
        pytest.raises(InputError, match=f"server:m .* answers {status}") as refusal,
    ):
        counter(server).count_messages(TURNS)
    assert "secret" not in refusal.value.message


@pytest.mark.parametrize(
    "routes",
    [
        {},
        {"/tokenize": lambda _: (200, b"no json")},
        {"/tokenize": lambda _: (200, {"count": -1})},
        {"/tokenize": lambda _: (200, {"tokens": []}), "/apply-template": lambda _: (200, {})},
    ],
    ids=["no such route", "no JSON", "no count", "no prompt"],
)
def test_a_server_that_counts_nothing_is_rejected(routes: dict[str, Route]) -> None:
    with serving(routes) as server, pytest.raises(UpstreamRejected, match="neither vLLM's"):
        counter(server).count_messages(TURNS)


def test_a_server_that_is_away_is_unavailable() -> None:
    with serving({}) as server:
        pass
    with pytest.raises(UpstreamError, match="cannot be reached") as away:
        counter(server, timeout_seconds=2).count("a")
    assert away.value.retryable


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_in_trouble_is_unavailable(status: int) -> None:
    with (
        serving({"/tokenize": lambda _: (status, {})}) as server,
        pytest.raises(UpstreamError, match=str(status)),
    ):
        counter(server).count("a")


def test_a_slow_server_is_left_at_the_deadline() -> None:
    def slow(_: Mapping[str, Any]) -> Answer:
        time.sleep(1.0)
        return 200, {"count": 1}

    with serving({"/tokenize": slow}) as server:
        started = time.monotonic()
        with pytest.raises(UpstreamTimeout, match=r"within 0\.2 s"):
            counter(server, timeout_seconds=0.2).count("a")
        assert time.monotonic() - started < 0.9


def test_no_redirect_is_followed() -> None:
    with (
        serving({"/tokenize": lambda _: (302, {})}) as server,
        pytest.raises(UpstreamError, match="302"),
    ):
        counter(server).count("a")


def test_it_says_what_it_is() -> None:
    one = ServerCounter("m", base_url="http://a/v1")
    other = ServerCounter("m", base_url="http://b/v1")
    assert one.name == "server:m"
    assert one.identity != other.identity
    assert one.exact
    assert one.exact_tools
    assert not one.additive
    assert one.base is one
    assert one.factor == 1
    assert {"<|im_end|>", "[/INST]", "</s>", "<|eot_id|>"} <= set(COMMON_MARKERS)
    assert list(one.control_tokens) == sorted(
        one.control_tokens, key=lambda text: (-len(text), text)
    )
