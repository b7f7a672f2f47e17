"""Routes over HTTP: rules, refusals and fallbacks as a client sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from fastapi.testclient import TestClient

from serve.app import create_app
from serve.backends.protocol import ChatBackend
from serve.backends.scripted import ScriptedBackend
from serve.errors import UpstreamTimeout
from serve.review import PENDING
from serve.settings import ServeSettings
from tests.routes import PROFILES, labelled, routed_runtime, script
from tests.serving import CHAD, PERU

QUESTION = "What is the capital of Peru?"
EITHER: Mapping[str, object] = {"name": "either", "target": "near", "fallback": ["cloud"]}
SETTINGS = ServeSettings(collection="small", model="near", warm_up=False)


@contextmanager
def serving(
    backends: Mapping[str, ChatBackend] | None = None,
    settings: ServeSettings = SETTINGS,
    **options: Any,
) -> Iterator[TestClient]:
    runtime = routed_runtime(backends, **{"rules": [EITHER], **options})
    with TestClient(create_app(runtime, settings), raise_server_exceptions=False) as client:
        yield client


def down() -> ScriptedBackend:
    return ScriptedBackend([UpstreamTimeout("slow")] * 9)


def events(text: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def test_a_routed_answer_says_where_it_went_and_why() -> None:
    with serving({"near": down()}) as client:
        response = client.post("/answer", json={"question": QUESTION, "route": "auto"})

    route = response.json()["context"]["route"]
    assert response.headers["x-route"] == route["target"] == "cloud"
    assert (route["rule"], route["fallback_used"]) == ("either", True)
    assert route["passed"] == [{"model": "near", "reason": "upstream_timeout"}]
    assert route["inputs"]["context_sensitivity"] == "internal"
    assert response.json()["model"] == "far"


def test_restricted_text_and_no_local_model_is_a_refusal_of_policy() -> None:
    with serving({"near": down()}, documents=labelled("restricted", PERU)) as client:
        response = client.post("/answer", json={"question": QUESTION, "route": "auto"})

    body = response.json()
    assert (response.status_code, body["code"]) == (403, "policy_no_route")
    assert response.headers["x-should-retry"] == "false"
    assert body["error"]["code"] == "policy_no_route"
    assert "far: sensitivity" in body["detail"]
    assert "Lima" not in response.text


def test_a_client_of_openais_asks_for_auto_and_gets_the_model_that_answered() -> None:
    chat = {"model": "small/auto", "messages": [{"role": "user", "content": QUESTION}]}
    with serving({"near": down()}) as client:
        body = client.post("/v1/chat/completions", json=chat).json()

    assert body["model"] == "small/auto"
    assert body["context"]["model"] == "far"
    assert body["choices"][0]["message"]["content"] == "far [1]."


def test_auto_is_listed_where_there_are_rules() -> None:
    with serving() as client, serving(rules=[]) as plain:
        listed = {card["id"] for card in client.get("/v1/models").json()["data"]}
        without = {card["id"] for card in plain.get("/v1/models").json()["data"]}
        card = client.get("/v1/models/small/auto").json()

    assert {"auto", "small/auto"} <= listed
    assert not {"auto", "small/auto"} & without
    assert "near where none holds" in card["description"]


def test_a_stream_that_falls_back_at_once_has_the_headers_of_the_model_that_answers() -> None:
    body = {"question": QUESTION, "route": "auto", "stream": True}
    with serving({"near": down()}) as client:
        response = client.post("/answer", json=body)

    first, *_, last = events(response.text)
    assert response.headers["x-route"] == "cloud"
    assert first["context"]["model"] == last["model"] == "far"


def test_a_stream_that_falls_back_late_sends_the_new_plan_once_more() -> None:
    late = ScriptedBackend([UpstreamTimeout("slow")], delay_seconds=0.2)
    settings = SETTINGS.model_copy(update={"grace_seconds": 0.01})
    runtime = routed_runtime({"near": late}, rules=[EITHER])
    body = {"model": "auto", "stream": True, "messages": [{"role": "user", "content": QUESTION}]}
    with TestClient(create_app(runtime, settings)) as client:
        response = client.post("/v1/chat/completions", json=body)

    told = [event["context"]["model"] for event in events(response.text) if "context" in event]
    assert told == ["near", "far", "far"]
    assert "error" not in response.text


def test_a_stream_of_restricted_text_to_a_cloud_is_refused_by_status() -> None:
    body = {"question": QUESTION, "model": "far", "stream": True}
    with serving(documents=labelled("restricted", PERU)) as client:
        response = client.post("/answer", json=body)

    assert (response.status_code, response.json()["code"]) == (403, "policy_no_route")


def test_an_unapproved_model_is_refused_in_previews_too() -> None:
    profiles = {**PROFILES, "far": replace(PROFILES["far"], review=PENDING)}
    with serving(profiles=profiles) as client:
        response = client.post("/context/preview", json={"question": QUESTION, "model": "far"})
        cards = {card["id"]: card for card in client.get("/v1/models").json()["data"]}

    assert (response.status_code, response.json()["code"]) == (403, "policy_model_unapproved")
    assert (cards["far"]["review"], cards["near"]["review"]) == ("pending", "approved")


def test_a_conversation_about_restricted_text_does_not_go_on_in_a_cloud() -> None:
    documents = (*labelled("restricted", PERU), CHAD)
    with serving({"near": ScriptedBackend(["Lima [1]."])}, documents=documents) as client:
        first = client.post("/answer", json={"question": QUESTION, "model": "near"}).json()
        turns = [
            {"role": "user", "content": QUESTION},
            {"role": "assistant", "content": first["answer"]},
        ]
        asked = {"question": "And of Chad?", "filter": {"title": "Chad"}, "route": "cloud"}
        alone = client.post("/answer", json=asked)
        response = client.post("/answer", json={**asked, "history": turns})

    assert alone.status_code == 200
    assert response.json()["code"] == "policy_no_route"


def test_models_that_rules_can_reach_are_warm_before_the_first_request() -> None:
    profiles = {
        name: replace(one, backend="openai", base_url="http://127.0.0.1:9/v1")
        for name, one in PROFILES.items()
    }
    runtime = routed_runtime(rules=[EITHER], profiles=profiles)
    settings = SETTINGS.model_copy(update={"warm_up": True})
    with TestClient(create_app(runtime, settings)) as client:
        client.get("/livez")
        client.post("/answer", json={"question": QUESTION, "route": "auto"})

    sent = [request.messages[-1].content for request in script(runtime, "near").requests]
    assert sent[0] == "Answer with one word: ready"
    assert script(runtime, "far").requests == []


def test_where_requests_may_name_auto_alone_no_caller_passes_a_rule_by() -> None:
    settings = SETTINGS.model_copy(update={"routes": ("auto",), "route": "auto"})
    with serving(settings=settings) as client:
        named = client.post("/answer", json={"question": QUESTION, "route": "far"})
        model = client.post("/context/preview", json={"question": QUESTION, "model": "far"})
        auto = client.post("/answer", json={"question": QUESTION, "route": "auto"})
        neither = client.post("/answer", json={"question": QUESTION})
        listed = [card["id"] for card in client.get("/v1/models").json()["data"]]

    assert [named.status_code, model.status_code] == [403, 403]
    assert named.json()["code"] == "policy_refused"
    assert [auto.status_code, neither.status_code] == [200, 200]
    assert listed == ["auto", "small/auto"]


def test_the_record_does_not_say_that_a_text_was_said_here_before() -> None:
    documents = (*labelled("restricted", PERU), CHAD)
    with serving({"near": ScriptedBackend(["It is Lima [1]."] * 9)}, documents=documents) as client:
        said = client.post("/answer", json={"question": QUESTION, "route": "near"}).json()
        turns = [
            {"role": "user", "content": "Well?"},
            {"role": "assistant", "content": said["answer"]},
        ]
        about_chad = {"question": "Where is Chad?", "filter": {"title": "Chad"}, "history": turns}
        after = client.post("/answer", json={**about_chad, "route": "auto"}).json()
        refused = client.post("/answer", json={**about_chad, "route": "far"})

    inputs = after["context"]["route"]["inputs"]
    assert inputs["request_sensitivity"] == "internal"
    assert inputs["context_sensitivity"] == "restricted"
    assert refused.json()["code"] == "policy_no_route"
    assert "history" not in refused.text
