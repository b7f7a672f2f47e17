"""OpenAI's chat completions over the small corpus: what comes back, kept and rebuilt."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from chunking.tokens import ToolCall
from serve.app import create_app
from serve.backends.protocol import Completion, CompletionRequest
from serve.backends.scripted import ScriptedBackend
from serve.requests import RequestStore
from tests.serving import SETTINGS, mistral, small_runtime

QUESTION = "What is the capital of Peru?"
USER = {"role": "user", "content": QUESTION}
CHAT: dict[str, Any] = {"model": "small/scripted", "messages": [USER]}
TOOL = {"type": "function", "function": {"name": "area", "parameters": {"type": "object"}}}
PATH = "/v1/chat/completions"


def client_of(backend: ScriptedBackend, folder: Path, **changes: Any) -> TestClient:
    requests = RequestStore(folder / "r.sqlite3", limit=99, limit_bytes=10**7, days=9)
    settings = SETTINGS.model_copy(update=changes)
    app = create_app(small_runtime(backend, requests=requests), settings)
    return TestClient(app, raise_server_exceptions=False)


def exact(request: CompletionRequest) -> int:
    return mistral().count_messages(request.messages, tools=request.tools)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    answers = itertools.repeat("It is Lima [1][99].")
    with client_of(ScriptedBackend(answers, prompt_tokens=exact), tmp_path) as opened:
        yield opened


def test_a_completion_is_openais_and_carries_the_receipt(client: TestClient) -> None:
    response = client.post(PATH, json=CHAT)
    body = response.json()

    assert response.status_code == 200
    assert set(body) == {
        *("id", "object", "created", "model", "choices", "usage", "system_fingerprint"),
        *("context", "citations", "cost_usd", "timings_ms", "request_id"),
    }
    assert (body["object"], body["model"]) == ("chat.completion", "small/scripted")
    assert body["id"] == f"chatcmpl-{body['request_id']}"
    (choice,) = body["choices"]
    assert choice["message"]["content"] == "It is Lima [1]."
    assert (choice["finish_reason"], choice["message"]["role"]) == ("stop", "assistant")
    assert body["usage"]["prompt_tokens"] == body["context"]["prompt_tokens"]
    assert response.headers["x-context-used"] == str(body["context"]["prompt_tokens"])


def test_sources_are_annotations_at_the_place_of_their_marker(client: TestClient) -> None:
    body = client.post(PATH, json=CHAT).json()

    message, (citation,) = body["choices"][0]["message"], body["citations"]
    (annotation,) = message["annotations"]
    told = annotation["url_citation"]
    assert annotation["type"] == "url_citation"
    assert message["content"][told["start_index"] : told["end_index"]] == "[1]"
    assert told["title"] == citation["breadcrumb"]
    span = f"{citation['start']},{citation['end']}"
    assert told["url"] == f"urn:windowfit:small:{citation['document']}#char={span}"


def test_the_callers_instructions_follow_windowfits(tmp_path: Path) -> None:
    backend = ScriptedBackend(["Lima"])
    messages = [{"role": "system", "content": "Answer in one word."}, USER]
    with client_of(backend, tmp_path) as client:
        body = client.post(PATH, json={**CHAT, "messages": messages}).json()

    sent = backend.requests[0].messages[0].content
    assert sent.startswith("You answer questions from the numbered sources")
    assert sent.endswith("\n\nAnswer in one word.")
    assert body["context"]["segments"]["system"] > 80


def test_calls_of_tools_come_back_for_the_caller_to_run(tmp_path: Path) -> None:
    call = ToolCall("callabcd1", "area", '{"of":"Peru"}')
    asking = Completion("", None, 9, finish_reason="tool_calls", tool_calls=(call,))
    backend = ScriptedBackend([asking, "1,285,216 [1]."])
    with client_of(backend, tmp_path) as client:
        first = client.post(PATH, json={**CHAT, "tools": [TOOL]}).json()["choices"][0]
        result = {"role": "tool", "tool_call_id": call.id, "content": "1285216"}
        messages = [USER, first["message"], result]
        second = client.post(PATH, json={**CHAT, "tools": [TOOL], "messages": messages})

    assert (first["finish_reason"], first["message"]["content"]) == ("tool_calls", None)
    assert first["message"]["tool_calls"] == [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": "area", "arguments": call.arguments},
        }
    ]
    assert second.status_code == 200, second.text
    assert backend.requests[1].messages[-2].tool_calls == (call,)
    assert [tool.name for tool in backend.requests[1].tools] == ["area"]


def test_json_is_passed_on_with_its_lists_as_they_are(tmp_path: Path) -> None:
    text = '{"years": [2024], "areas": [99, 100]}'
    body = {**CHAT, "response_format": {"type": "json_object"}}
    with client_of(ScriptedBackend([text]), tmp_path) as client:
        given = client.post(PATH, json=body).json()

    assert given["choices"][0]["message"]["content"] == text
    assert given["context"]["removed_citations"] == 0


@pytest.mark.parametrize(
    ("fields", "status", "code", "param", "hint"),
    [
        ({"model": "nonesuch/quote"}, 404, "collection_not_found", "collection", "ingest"),
        ({"model": "small/quotes"}, 404, "model_not_found", "model", "/v1/models"),
        ({"tempreture": 1}, 422, "validation_error", "tempreture", "'temperature'"),
        ({"windowfit": {"mod": "full"}}, 422, "validation_error", "windowfit", "'mode'"),
        ({"stream_options": 7}, 422, "validation_error", "stream_options", "correct"),
        ({"n": 2}, 422, "validation_error", "n", "one answer"),
        ({"messages": []}, 422, "validation_error", "messages", "end with"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            *(422, "validation_error", "messages", '"type": "text"'),
        ),
        (
            {"messages": [{"role": "user", "content": "word " * 9000}]},
            *(400, "context_length_exceeded", "messages", "shorten"),
        ),
        (
            {"truncation": "disabled", "windowfit": {"max_context_tokens": 40}},
            *(400, "context_length_exceeded", "truncation", "allow truncation"),
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
@pytest.mark.parametrize("stream", [True, False])
def test_a_wrong_request_is_refused_by_status_with_a_hint(
    client: TestClient,
    *,
    stream: bool,
    fields: dict[str, Any],
    status: int,
    code: str,
    param: str,
    hint: str,
) -> None:
    response = client.post(PATH, json={**CHAT, **fields, "stream": stream})

    body = response.json()
    assert (response.status_code, body["code"], body["error"]["param"]) == (status, code, param)
    assert response.headers["content-type"] == "application/problem+json"
    assert hint in body["hint"]
    assert response.headers["x-should-retry"] == "false"


def test_every_model_of_the_list_can_be_fetched_and_asked(tmp_path: Path) -> None:
    with client_of(ScriptedBackend(itertools.repeat("Lima")), tmp_path) as client:
        for card in client.get("/v1/models").json()["data"]:
            assert client.get(f"/v1/models/{card['id']}").json() == card
            answered = client.post(PATH, json={**CHAT, "model": card["id"]})
            assert answered.json()["model"] == card["id"]
        missing = client.get("/v1/models/small/nonesuch")

    assert (missing.status_code, missing.json()["code"]) == (404, "model_not_found")


# --- kept requests


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", ["/answer", PATH])
def test_a_receipt_can_be_fetched_again(client: TestClient, path: str, stream: bool) -> None:
    body = {"question": QUESTION} if path == "/answer" else CHAT
    headers = {"x-request-id": "trace-1"}

    given = client.post(path, json={**body, "stream": stream}, headers=headers)
    receipt = client.get("/requests/trace-1").json()

    assert given.status_code == 200
    assert (receipt["kind"], receipt["request_id"]) == ("answer", "trace-1")
    assert receipt["answer"] == "It is Lima [1]."
    assert receipt["context"]["upstream"]["drift"] == 0
    if not stream:
        told = given.json()
        for key in ("context", "citations", "cost_usd", "timings_ms"):
            assert receipt[key] == told[key]
    prompt = client.get("/requests/trace-1/prompt").json()
    assert (prompt["identical"], prompt["changed"]) == (True, {})
    assert prompt["tokens"] == receipt["context"]["prompt_tokens"]
    assert prompt["sha256"] == receipt["prompt_sha256"]


def test_a_preview_is_kept_and_its_prompt_is_the_one_it_showed(client: TestClient) -> None:
    shown = client.post("/context/preview", json={"question": QUESTION}).json()

    receipt = client.get(f"/requests/{shown['request_id']}").json()
    prompt = client.get(f"/requests/{shown['request_id']}/prompt").json()

    assert (receipt["kind"], receipt.get("answer")) == ("preview", None)
    assert receipt["context"] == shown["context"]
    assert prompt["messages"] == shown["messages"]


def test_of_two_requests_with_one_id_the_newest_is_kept(client: TestClient) -> None:
    for question in ("Capital of Peru?", "Capital of Chad?"):
        client.post("/answer", json={"question": question}, headers={"x-request-id": "same"})

    prompt = client.get("/requests/same/prompt").json()

    assert prompt["messages"][-1]["content"].endswith("Capital of Chad?")


@pytest.mark.parametrize("path", ["/requests/none", "/requests/none/prompt", "/requests/%00%ff"])
def test_a_request_that_is_not_kept_is_not_found(client: TestClient, path: str) -> None:
    response = client.get(path)

    assert (response.status_code, response.json()["code"]) == (404, "request_not_found")


def test_a_failed_request_is_not_kept(client: TestClient) -> None:
    headers = {"x-request-id": "failed"}
    client.post("/answer", json={"question": QUESTION, "model": "no"}, headers=headers)

    assert client.get("/requests/failed").status_code == 404


def test_a_disk_that_fails_is_told_by_readyz_and_stops_no_answer(tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("a file")
    with client_of(ScriptedBackend(["Lima"]), tmp_path / "in the way") as client:
        answered = client.post("/answer", json={"question": QUESTION})
        ready, receipt = client.get("/readyz"), client.get("/requests/x")

    assert answered.status_code == 200
    assert ready.status_code == 200
    assert "not kept" in ready.json()["problems"][0]
    assert (receipt.status_code, receipt.json()["code"]) == (503, "requests_unavailable")
    assert receipt.headers["retry-after"]


# --- sizes


def test_a_body_above_the_limit_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    with client_of(ScriptedBackend(["Lima"]), tmp_path, body_limit_bytes=2000) as client:
        announced = client.post("/answer", json={"question": "x" * 3000})
        chunked = client.post("/answer", content=itertools.repeat(b"x" * 500, 8))
        fits = client.post("/answer", json={"question": "Capital of Peru?"})

    for response in (announced, chunked):
        assert (response.status_code, response.json()["code"]) == (413, "request_too_large")
        assert response.headers["x-request-id"] == response.json()["request_id"]
        assert "2000" in response.json()["detail"]
    assert fits.status_code == 200
