"""The whole service in one process: real planning and packing, a scripted model, no server."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from chunking.errors import (
    ConfigurationError,
    ContextLengthExceeded,
    StoreError,
    StoreLocked,
    WindowfitError,
)
from chunking.tokens import Message
from retrieval.memory import MemoryEngine
from retrieval.points import Point, PointStore, ScoredPoint, Vector, Where
from retrieval.rebuild import begin_rebuild
from retrieval.terms import Terms
from serve.app import create_app
from serve.backends.openai_compatible import OpenAICompatibleBackend
from serve.backends.protocol import ChatBackend, CompletionRequest
from serve.backends.scripted import ScriptedBackend
from serve.errors import UpstreamError, UpstreamRateLimited, UpstreamRejected, UpstreamTimeout
from serve.profiles import ModelProfile
from tests.contract.openai_server import Reply, run_server
from tests.serving import DOCUMENTS, FINGERPRINT, SETTINGS, fill, mistral, profile, small_runtime

QUESTION = "What is the capital of Peru, said the zeppelin?"
BODY: dict[str, Any] = {"question": QUESTION}
SECRETS = ("zeppelin", "Lima", "N'Djamena", "landlocked")
PROBLEM_KEYS = {
    *("type", "title", "status", "detail", "code", "hint", "retryable", "request_id", "error"),
}


def client_of(
    backend: ChatBackend, *, engine: MemoryEngine | None = None, model: ModelProfile | None = None
) -> TestClient:
    profiles = None if model is None else {"scripted": model}
    app = create_app(small_runtime(backend, engine=engine, profiles=profiles), SETTINGS)
    return TestClient(app, raise_server_exceptions=False)


def exact(request: CompletionRequest) -> int:
    return mistral().count_messages(request.messages)


@pytest.fixture
def client() -> Iterator[TestClient]:
    """A service whose model always answers, and reads exactly what it was sent."""
    backend = ScriptedBackend(itertools.repeat("It is Lima [1][99]."), prompt_tokens=exact)
    with client_of(backend) as opened:
        yield opened


def problem(response: Any, *, code: str, status: int) -> dict[str, Any]:
    """Check all that every problem promises, and return its body."""
    body: dict[str, Any] = response.json()
    assert (response.status_code, body["status"], body["code"]) == (status, status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert set(body) == PROBLEM_KEYS
    assert body["type"] == f"urn:windowfit:error:{code}"
    assert body["hint"]
    assert body["detail"]
    assert body["request_id"] == response.headers["x-request-id"] != ""
    # LangChain and LiteLLM know an overflow by OpenAI's own words.
    opening = "Input tokens exceed the configured limit: "
    overflows = code == "context_length_exceeded"
    assert body["error"]["message"] == (opening if overflows else "") + body["detail"]
    assert body["error"]["code"] == code
    kinds = {429: "rate_limit_error"}
    expected = "server_error" if status >= 500 else "invalid_request_error"
    assert body["error"]["type"] == kinds.get(status, expected)
    assert response.headers["x-should-retry"] == str(body["retryable"]).lower()
    assert body["retryable"] or "retry-after" not in response.headers
    assert status not in {429, 503} or "retry-after" in response.headers
    assert "Traceback" not in response.text
    if status >= 500:
        assert not [secret for secret in SECRETS if secret in response.text]
    return body


# --- answers


def test_an_answer_carries_sources_receipt_usage_and_cost(client: TestClient) -> None:
    response = client.post("/answer", json=BODY)
    body = response.json()

    assert response.status_code == 200
    assert set(body) == {
        *("answer", "citations", "context", "usage", "cost_usd", "timings_ms", "model"),
        *("finish_reason", "request_id"),
    }
    assert body["answer"] == "It is Lima [1]."
    assert body["context"]["removed_citations"] == 1
    (citation,) = body["citations"]
    shown = {entry["marker"]: entry for entry in body["context"]["entries"]}
    assert citation["chunk"] == shown[1]["chunk"]
    stored = {document.id: document.text for document in DOCUMENTS}
    text = stored[citation["document"]][citation["start"] : citation["end"]]
    assert text == citation["text"]
    assert body["usage"]["prompt_tokens"] == body["context"]["prompt_tokens"]
    assert body["usage"]["source"] == "server"
    assert body["context"]["upstream"] == {
        "prompt_tokens": body["context"]["prompt_tokens"],
        "drift": 0,
        "silently_truncated": False,
    }


def test_the_headers_tell_what_the_receipt_tells(client: TestClient) -> None:
    response = client.post("/answer", json={**BODY, "max_context_tokens": 80})
    report = response.json()["context"]

    dropped = sum(entry["fate"] == "dropped" for entry in report["entries"])
    assert dropped > 0
    assert {name: value for name, value in response.headers.items() if name.startswith("x-")} == {
        "x-context-window": "8192",
        "x-context-used": str(report["prompt_tokens"]),
        "x-context-truncated": "true",
        "x-context-dropped": str(dropped),
        "x-route": "local",
        "x-request-id": response.json()["request_id"],
    }


def test_a_preview_recounts_to_its_receipt_and_calls_no_model() -> None:
    backend = ScriptedBackend(())
    with client_of(backend) as client:
        response = client.post("/context/preview", json={**BODY, "max_context_tokens": 120})
    body = response.json()

    assert response.status_code == 200
    assert backend.requests == []
    messages = [Message(turn["role"], turn["content"]) for turn in body["messages"]]
    report = body["context"]
    assert mistral().count_messages(messages) == report["prompt_tokens"]
    assert sum(report["segments"].values()) == report["prompt_tokens"]
    assert report["prompt_tokens"] + report["reserved_output"] + report["free"] == report["window"]
    assert response.headers["x-context-used"] == str(report["prompt_tokens"])


def test_a_preview_and_its_answer_have_the_same_prompt() -> None:
    backend = ScriptedBackend(["yes"])
    body = {**BODY, "mode": "full", "max_output_tokens": 64}
    with client_of(backend) as client:
        preview = client.post("/context/preview", json=body).json()
        answered = client.post("/answer", json=body).json()

    sent = [{"role": m.role, "content": m.content} for m in backend.requests[0].messages]
    assert preview["messages"] == sent
    assert preview["context"]["entries"] == answered["context"]["entries"]


def test_without_a_model_the_answer_quotes_its_sources() -> None:
    with client_of(ScriptedBackend(())) as client:
        body = client.post("/answer", json={**BODY, "model": "quote"}).json()

    assert "Capital: Lima" in body["answer"]
    assert (body["context"]["llm_calls"], body["cost_usd"]) == (0, 0)
    assert body["usage"]["source"] == "planned"


# --- facts


def test_the_models_are_listed_in_the_format_of_openai(client: TestClient) -> None:
    body = client.get("/v1/models").json()

    assert body["object"] == "list"
    plain = {card["id"] for card in body["data"] if card["collection"] is None}
    placed = {card["id"] for card in body["data"] if card["collection"] == "small"}
    assert plain == {"scripted", "quote"}
    assert placed == {"small/scripted", "small/quote"}
    for card in body["data"]:
        assert card["object"] == "model"
        assert card["output_limit"] < card["window"] == 8192


def test_a_service_goes_along_when_its_collection_is_rebuilt() -> None:
    engine = MemoryEngine()
    fill(engine, counter=mistral())
    with client_of(ScriptedBackend(itertools.repeat("It is Lima [1].")), engine=engine) as client:
        question = {"question": "What is the capital of Peru?", "collection": "small"}
        before = client.post("/context/preview", json=question).json()
        with begin_rebuild(engine, "small", FINGERPRINT, grace_seconds=0) as rebuild:
            cards = client.get("/v1/models").json()["data"]
            rebuild.switch()
        after = client.post("/context/preview", json=question).json()
        ready = client.get("/readyz")
        again = client.get("/v1/models").json()["data"]

    assert before["context"]["coverage"]["kept"] > 0
    assert after["context"]["coverage"]["corpus_documents"] == 0
    assert ready.json()["status"] == "ok"
    assert {card["collection"] for card in cards} == {None, "small"}
    assert cards == again


def test_a_running_process_is_live(client: TestClient) -> None:
    assert client.get("/livez").json() == {"status": "ok", "problems": []}


def test_a_service_that_can_search_and_count_is_ready(client: TestClient) -> None:
    response = client.get("/readyz")

    assert (response.status_code, response.json()["status"]) == (200, "ok")


def test_a_service_without_its_collection_is_live_and_not_ready() -> None:
    with client_of(ScriptedBackend(()), engine=MemoryEngine()) as client:
        ready, live = client.get("/readyz"), client.get("/livez")

    assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
    assert "collection_not_found" in ready.json()["problems"][0]
    assert live.status_code == 200


def test_a_given_request_id_is_echoed_and_a_missing_one_made(client: TestClient) -> None:
    given = client.post("/answer", json=BODY, headers={"x-request-id": "Trace_42-a"})
    made = [client.get("/livez").headers["x-request-id"] for _ in range(2)]

    assert given.headers["x-request-id"] == given.json()["request_id"] == "Trace_42-a"
    assert made[0] != made[1]
    assert all(len(request_id) == 32 for request_id in made)


@pytest.mark.parametrize("unsafe", ["", "a b", "x" * 65, "a/../b", '"', "{}"])
def test_an_unsafe_request_id_is_replaced(client: TestClient, unsafe: str) -> None:
    assert client.get("/livez", headers={"x-request-id": unsafe}).headers["x-request-id"] != unsafe


def test_the_openapi_document_describes_every_route_with_examples_and_problems(
    client: TestClient,
) -> None:
    document = client.get("/openapi.json").json()

    assert document["openapi"].startswith("3.")
    assert set(document["paths"]) == {
        *("/answer", "/context/preview", "/v1/chat/completions"),
        *("/v1/models", "/v1/models/{model}", "/livez", "/readyz"),
        *("/requests/{request_id}", "/requests/{request_id}/prompt"),
    }
    schemas = document["components"]["schemas"]
    assert unresolved(document, document) == []
    for path in ("/answer", "/context/preview", "/v1/chat/completions"):
        responses = document["paths"][path]["post"]["responses"]
        assert {"200", "400", "404", "422", "429", "502", "503", "504"} <= set(responses)
        for status, described in responses.items():
            if status != "200":
                assert "application/problem+json" in described["content"]
    examples = schemas["AnswerRequest"]["examples"]
    assert len(examples) >= 2
    with client_of(ScriptedBackend(()), model=None) as other:
        for example in examples:
            own = {**example, "collection": "small", "model": "quote"}
            assert other.post("/answer", json=own).status_code == 200


def unresolved(node: Any, document: Any) -> list[str]:
    """Return the references of an OpenAPI document that lead nowhere."""
    if isinstance(node, list):
        return [missing for item in node for missing in unresolved(item, document)]
    if not isinstance(node, dict):
        return []
    found = [missing for item in node.values() for missing in unresolved(item, document)]
    if isinstance(reference := node.get("$ref"), str):
        target = document
        for part in reference.removeprefix("#/").split("/"):
            target = target.get(part, {})
        found += [] if target else [reference]
    return found


# --- bad input: the request


@pytest.mark.parametrize(
    ("fields", "code", "status", "param", "said"),
    [
        ({"collection": "nonesuch"}, "collection_not_found", 404, "collection", "'nonesuch'"),
        ({"model": "quotes"}, "model_not_found", 404, "model", "did you mean 'quote'?"),
        ({"question": "word " * 9000}, "context_length_exceeded", 400, "question", "8192"),
        ({"question": " \n"}, "validation_error", 422, None, "question is blank"),
        ({"question": ""}, "validation_error", 422, "question", "question"),
        ({"question": 7}, "validation_error", 422, "question", "question"),
        ({"questoin": "x"}, "validation_error", 422, "questoin", "questoin"),
        ({"mode": "all"}, "validation_error", 422, "mode", "mode"),
        ({"max_output_tokens": 0}, "validation_error", 422, "max_output_tokens", "greater than"),
        ({"filter": {"continent": "Asia"}}, "validation_error", 422, "filter", "continent"),
        ({"filter": {"document": 7}}, "validation_error", 422, "filter", "filter"),
        (
            {"history": [{"role": "assistant", "content": "Hi"}]},
            "validation_error",
            422,
            None,
            "history must alternate",
        ),
        (
            {"history": [{"role": "user", "content": "Hi"}]},
            "validation_error",
            422,
            None,
            "history must alternate",
        ),
        (
            {"truncation": "disabled", "max_context_tokens": 40},
            "context_length_exceeded",
            400,
            "truncation",
            "room for 40",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
@pytest.mark.parametrize("path", ["/answer", "/context/preview"])
def test_a_wrong_request_is_refused_with_its_code_and_the_field_at_fault(
    client: TestClient,
    *,
    path: str,
    fields: dict[str, Any],
    code: str,
    status: int,
    param: str | None,
    said: str,
) -> None:
    body = problem(client.post(path, json={**BODY, **fields}), code=code, status=status)

    assert body["error"]["param"] == param
    assert said in body["detail"]
    assert body["retryable"] is False


def test_a_window_smaller_than_prompt_and_answer_is_refused_with_what_would_fit() -> None:
    model = profile(window=300, output_limit=299)
    with client_of(ScriptedBackend(["yes"]), model=model) as client:
        refused = client.post("/answer", json={**BODY, "max_output_tokens": 250})
        body = problem(refused, code="context_length_exceeded", status=400)
        most = int(body["hint"].split()[4])
        accepted = client.post("/answer", json={**BODY, "max_output_tokens": most})

    assert body["error"]["param"] == "max_output_tokens"
    assert body["detail"].startswith("window 300 < prompt ")
    assert accepted.status_code == 200


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"question=x", b"[]", b'"text"', b"null", b'{"question": NaN}', b"[" * 100_000],
    ids=["empty", "cut", "form", "list", "string", "null", "NaN", "deep"],
)
def test_what_is_no_json_object_is_refused(client: TestClient, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = client.post("/answer", content=content, headers=headers)

    assert response.status_code in {400, 422}
    body = problem(response, code="validation_error", status=response.status_code)
    assert body["error"]["param"] in {None, "question"}


@pytest.mark.parametrize("content", [b'{"question": "\xff"}', b"\x00\x01", b"\xfe\xff\x00{"])
def test_bytes_that_are_no_text_are_refused(client: TestClient, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = client.post("/answer", content=content, headers=headers)

    assert response.status_code in {400, 422}
    problem(response, code="validation_error", status=response.status_code)


def test_unpaired_surrogates_are_replaced_in_text_and_refused_in_names(client: TestClient) -> None:
    headers = {"content-type": "application/json"}
    text = client.post("/context/preview", content=rb'{"question":"a\ud800b"}', headers=headers)
    key = client.post("/answer", content=rb'{"question":"x","\ud800":1}', headers=headers)
    name = client.post("/answer", content=rb'{"question":"x","model":"\ud800"}', headers=headers)

    assert text.status_code == 200
    assert text.json()["messages"][-1]["content"].endswith("a\ufffdb")
    problem(key, code="validation_error", status=422)
    assert name.status_code in {404, 422}
    problem(name, code=name.json()["code"], status=name.status_code)


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nonesuch", 404), ("GET", "/answer", 405)]
)
def test_an_unknown_route_has_the_same_body(
    client: TestClient, method: str, path: str, status: int
) -> None:
    problem(client.request(method, path), code="validation_error", status=status)


# --- bad days: the store


@dataclass(slots=True)
class FailingStore:
    """A collection that stops answering when it is told to."""

    store: PointStore
    error: WindowfitError | None = None

    def _check(self) -> None:
        if self.error is not None:
            raise self.error

    def upsert(self, points: Any, *, only_if: Where | None = None) -> None:
        self.store.upsert(points, only_if=only_if)

    def delete(self, ids: Any) -> None:
        self.store.delete(ids)

    def query(
        self,
        sought: Vector | Terms,
        *,
        limit: int,
        where: Where,
        ids: Sequence[str] | None = None,
        terms: Terms | None = None,
        bare: bool = False,
    ) -> list[ScoredPoint]:
        self._check()
        return self.store.query(sought, limit=limit, where=where, ids=ids, terms=terms, bare=bare)

    def scroll(
        self, *, where: Where, ids: Any = None, fields: Any = None, vectors: bool = False
    ) -> Iterator[Point]:
        self._check()
        return self.store.scroll(where=where, ids=ids, fields=fields, vectors=vectors)

    def count(self, *, where: Where) -> int:
        self._check()
        return self.store.count(where=where)


@dataclass(slots=True)
class FailingEngine(MemoryEngine):
    """An engine whose collections fail together."""

    failing: list[FailingStore] = field(default_factory=list)

    def open(self, collection: str) -> PointStore:
        opened = FailingStore(MemoryEngine.open(self, collection))
        self.failing.append(opened)
        return opened

    def fail(self, error: WindowfitError | None) -> None:
        for store in self.failing:
            store.error = error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreError("cannot reach Qdrant at 10.0.0.1:6333 to search"), "vector_store_unavailable"),
        (StoreLocked("the store is held by process 7"), "store_locked"),
    ],
)
def test_a_store_that_is_down_is_unavailable_until_it_is_back(
    error: WindowfitError, code: str
) -> None:
    engine = FailingEngine()
    fill(engine, counter=mistral())
    with client_of(ScriptedBackend(itertools.repeat("yes")), engine=engine) as client:
        assert client.post("/answer", json=BODY).status_code == 200
        engine.fail(error)
        down, ready = client.post("/answer", json=BODY), client.get("/readyz")
        engine.fail(None)
        back = client.post("/answer", json=BODY)

    body = problem(down, code=code, status=503)
    assert (body["retryable"], down.headers["retry-after"]) == (True, "5")
    assert ready.status_code == 503
    assert code in ready.json()["problems"][0]
    assert back.status_code == 200


def test_a_collection_of_another_embedder_is_refused() -> None:
    engine = MemoryEngine()
    fill(engine, counter=mistral())
    runtime = small_runtime(ScriptedBackend(()), engine=engine)
    runtime.fingerprint = type(runtime.fingerprint)("hash:128", 128, runtime.fingerprint.splitter)
    with TestClient(create_app(runtime, SETTINGS)) as client:
        body = problem(
            client.post("/answer", json=BODY), code="embedding_model_mismatch", status=409
        )

    assert "hash:64" in body["detail"]
    assert "hash:128" in body["detail"]


# --- bad days: the model


@pytest.mark.parametrize(
    ("error", "code", "status", "retry_after"),
    [
        (UpstreamError("http://m cannot be reached"), "upstream_unavailable", 503, "5"),
        (UpstreamTimeout("no answer within 2 seconds"), "upstream_timeout", 504, "5"),
        (UpstreamRejected("refused the key"), "upstream_rejected", 502, None),
        (UpstreamRateLimited("asks", retry_after_seconds=17), "rate_limited", 429, "17"),
        (ContextLengthExceeded("window 8192 < 9000"), "context_length_exceeded", 400, None),
        (ConfigurationError("no key"), "configuration_error", 500, None),
    ],
)
def test_an_error_of_the_model_keeps_its_code_and_says_when_to_retry(
    error: WindowfitError, code: str, status: int, retry_after: str | None
) -> None:
    with client_of(ScriptedBackend([error])) as client:
        response = client.post("/answer", json=BODY)

    body = problem(response, code=code, status=status)
    assert (body["detail"], body["hint"]) == (error.message, error.hint)
    assert response.headers.get("retry-after") == retry_after


def test_a_server_that_cut_the_prompt_in_silence_is_caught() -> None:
    with client_of(ScriptedBackend(["yes"], prompt_tokens=10)) as client:
        response = client.post("/answer", json=BODY)

    body = problem(response, code="upstream_silent_truncation", status=502)
    assert "10 read by the server" in body["detail"]


class Broken(ScriptedBackend):
    """A backend with a defect, whose message repeats what it was asked."""

    async def complete(self, request: CompletionRequest) -> Any:
        raise RuntimeError(f"cannot digest {request.question}: {request.sources[0].text}")


def test_a_defect_answers_with_its_request_id_and_nothing_of_its_cause() -> None:
    with client_of(Broken(())) as client:
        response = client.post("/answer", json=BODY, headers={"x-request-id": "trace-7"})

    body = problem(response, code="internal_error", status=500)
    assert body["request_id"] == "trace-7"
    assert "RuntimeError" not in response.text


def test_a_missing_key_names_the_variable() -> None:
    keyed = profile(name="keyed", backend="openai", api_key_env="SOME_KEY")
    runtime = small_runtime(ScriptedBackend(()), profiles={"keyed": keyed})
    with TestClient(create_app(runtime, SETTINGS)) as client:
        response = client.post("/answer", json={**BODY, "model": "keyed"})

    assert "SOME_KEY" in problem(response, code="configuration_error", status=500)["detail"]


def test_stopping_the_service_closes_its_backends() -> None:
    backend: ScriptedBackend = ScriptedBackend(["yes"])
    with client_of(backend) as client:
        client.post("/answer", json=BODY)
        assert not backend.closed

    assert backend.closed


def test_questions_may_be_asked_at_the_same_time(client: TestClient) -> None:
    async def scenario() -> list[int]:
        transport = httpx.ASGITransport(app=client.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            posts = [
                http.post("/answer", json={"question": f"Area of Peru {n}?"}) for n in range(8)
            ]
            return [response.status_code for response in await asyncio.gather(*posts)]

    assert asyncio.run(scenario()) == [200] * 8


# --- bad days: a real connection to a model server that misbehaves


def answer_from(*replies: Reply, base_url: str | None = None, **options: Any) -> httpx.Response:
    """Ask the service in front of a server on the loopback interface that plays these replies."""

    async def scenario() -> httpx.Response:
        async with run_server(replies) as server:
            settings = {"timeout_seconds": 5.0, "max_retries": 0, "window": 8192, **options}
            backend = OpenAICompatibleBackend(
                base_url or server.base_url, api_key="sk-very-secret", model="small", **settings
            )
            app = create_app(small_runtime(backend), SETTINGS)
            transport = httpx.ASGITransport(app=app)
            try:
                async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
                    return await http.post("/answer", json=BODY)
            finally:
                await backend.close()

    return asyncio.run(scenario())


def planned_tokens() -> int:
    with client_of(ScriptedBackend(())) as client:
        preview = client.post("/context/preview", json=BODY).json()
    tokens: int = preview["context"]["prompt_tokens"]
    return tokens


@pytest.mark.network
def test_a_model_server_that_reads_the_whole_prompt_answers() -> None:
    tokens = planned_tokens()
    reply = Reply.chat("It is Lima [1].", prompt_tokens=tokens, completion_tokens=6)

    body = answer_from(reply).json()

    assert (body["answer"], body["context"]["upstream"]["drift"]) == ("It is Lima [1].", 0)
    assert body["usage"]["total_tokens"] == tokens + 6


@pytest.mark.network
@pytest.mark.parametrize(
    ("reply", "options", "code", "status"),
    [
        (Reply.error(500, "zeppelin"), {}, "upstream_unavailable", 503),
        (Reply({"text": "zeppelin"}), {}, "upstream_unavailable", 503),
        (Reply("<html>zeppelin"), {}, "upstream_unavailable", 503),
        (Reply(reset=True), {}, "upstream_unavailable", 503),
        (Reply(delay_seconds=30), {"timeout_seconds": 0.3}, "upstream_timeout", 504),
        (Reply.error(401, "zeppelin"), {}, "upstream_rejected", 502),
        (Reply.error(429, "zeppelin"), {}, "rate_limited", 429),
        (
            Reply.chat("x", prompt_tokens=5, completion_tokens=1),
            {},
            "upstream_silent_truncation",
            502,
        ),
        (
            Reply.error(
                400,
                "This model's maximum context length is 4096 tokens. However, your request has "
                "9000 input tokens. Please reduce the length of the input messages.",
            ),
            {},
            "context_length_exceeded",
            400,
        ),
    ],
    ids=[
        *("error 500", "no completion", "a web page", "reset", "slow", "key refused"),
        *("limited", "cut in silence", "overflow"),
    ],
)
def test_a_misbehaving_model_server_gets_its_typed_problem(
    reply: Reply, options: dict[str, Any], code: str, status: int
) -> None:
    response = answer_from(reply, **options)

    problem(response, code=code, status=status)
    assert "zeppelin" not in response.text
    assert "sk-very-secret" not in response.text


@pytest.mark.network
def test_a_model_server_that_is_down_is_named_in_its_problem() -> None:
    response = answer_from(base_url="http://127.0.0.1:9/v1")

    body = problem(response, code="upstream_unavailable", status=503)
    assert "127.0.0.1:9" in body["detail"]
    assert json.loads(response.text) == body
