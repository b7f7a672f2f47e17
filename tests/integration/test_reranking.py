"""A reranker by profile, from the settings to the receipt, and what is said when it is off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from chunking.errors import ConfigurationError
from retrieval.rerank import Rerankers, WordReranker
from retrieval.settings import IndexSettings
from serve.app import create_app
from serve.backends.scripted import ScriptedBackend
from serve.runtime import Runtime
from serve.settings import ServeSettings
from tests.serving import SETTINGS, profile, small_runtime

QUESTION = "Which country is landlocked?"
ABSENT = "sentence-transformers:cross-encoder/absent"


def runtime_with(rerankers: Rerankers) -> Runtime:
    """Return a runtime of three models: without a word on reranking, with words, with none."""
    profiles = {
        "scripted": profile(),
        "precise": profile(name="precise", reranker="words"),
        "plain": profile(name="plain", reranker="none"),
    }
    runtime = small_runtime(ScriptedBackend(()), profiles=profiles)
    runtime.rerankers = rerankers
    return runtime


def steps(client: TestClient, model: str) -> set[str]:
    body = {"question": QUESTION, "model": model}
    report: dict[str, Any] = client.post("/context/preview", json=body).json()["context"]
    return {entry["via"] for entry in report["entries"]}


def test_a_profile_turns_reranking_on_and_off_and_the_receipt_says_so() -> None:
    words = {"words": WordReranker()}
    for default, expected in (("none", "question"), ("words", "question > reranked")):
        with TestClient(create_app(runtime_with(Rerankers(default, words)), SETTINGS)) as client:
            assert steps(client, "scripted") == {expected}
            assert steps(client, "precise") == {"question > reranked"}
            assert steps(client, "plain") == {"question"}
            cards = client.get("/v1/models").json()["data"]
        told = {card["id"]: card["reranker"] for card in cards if card["collection"] is None}
        chosen = None if default == "none" else "words"
        assert told == {"scripted": chosen, "precise": "words", "plain": None}


def test_a_reranker_without_weights_is_told_and_stops_no_answer() -> None:
    problem = f"reranking by {ABSENT} is off: its weights are in no folder"
    runtime = runtime_with(Rerankers(ABSENT, {}, (problem,)))
    with TestClient(create_app(runtime, SETTINGS)) as client:
        assert steps(client, "scripted") == {"question"}
        ready = client.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "problems": [problem]})


def test_a_service_opens_with_rerankers_of_settings_and_profiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "own.toml"
    own.write_text('[profiles.quote]\nreranker = "words"\n')
    index_settings = IndexSettings.load(home=tmp_path / "home", embedder="hash:64", reranker=ABSENT)
    runtime = Runtime.open(index_settings, ServeSettings.load(profiles=own), secrets={})
    runtime.engine.close()
    assert len(runtime.rerankers.problems) == 1
    assert runtime.rerankers.choose(runtime.profiles["quote"].reranker) == WordReranker()
    assert runtime.rerankers.choose(None) is None

    own.write_text('[profiles.quote]\nreranker = "word"\n')
    # The store is not left locked by a start that fails.
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="unknown reranker 'word'") as caught:
            Runtime.open(index_settings, ServeSettings.load(profiles=own), secrets={})
        assert caught.value.hint == "did you mean 'words'?"
