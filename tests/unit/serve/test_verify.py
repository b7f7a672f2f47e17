"""A profile is believed once its server has not contradicted it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from chunking.counters import EstimatedCounter
from chunking.errors import ConfigurationError, ProfileMismatch
from chunking.tokens import TokenCounter
from serve.answer import answer
from serve.backends.protocol import ServerFacts
from serve.backends.scripted import ScriptedBackend
from serve.errors import UpstreamTimeout
from serve.plan import Ask
from serve.profiles import ModelProfile, load_profiles
from serve.verify import Verification, probe_of, verify_profile
from tests.serving import mistral, profile, small_runtime

PROFILE = load_profiles()["mistral-7b-8k"]
CLOUD = replace(PROFILE, place="cloud")


def verify(
    facts: ServerFacts | UpstreamTimeout,
    *,
    profile: ModelProfile = PROFILE,
    counter: TokenCounter | None = None,
) -> Verification:
    backend = ScriptedBackend([], facts=facts)
    return asyncio.run(verify_profile(profile, counter or mistral(), backend=backend))


def mismatch(facts: ServerFacts, *, profile: ModelProfile = PROFILE) -> ProfileMismatch:
    with pytest.raises(ProfileMismatch) as caught:
        verify(facts, profile=profile)
    assert caught.value.message.startswith("profile 'mistral-7b-8k': ")
    return caught.value


def probe_tokens() -> int:
    return mistral().count_messages(probe_of(PROFILE, mistral()))


def test_a_server_that_agrees_in_everything_confirms_everything() -> None:
    facts = ServerFacts(served=True, window=8192, probe_tokens=probe_tokens())

    assert verify(facts).confirmed == ("model", "window", "tokenizer")


@pytest.mark.parametrize(
    ("facts", "confirmed"),
    [
        (ServerFacts(), ()),
        (ServerFacts(served=True), ("model",)),
        (ServerFacts(served=True, window=8192), ("model", "window")),
    ],
)
def test_what_a_server_does_not_tell_is_no_mismatch(
    facts: ServerFacts, confirmed: tuple[str, ...]
) -> None:
    assert verify(facts).confirmed == confirmed


@pytest.mark.parametrize("window", [4096, 8191, 32768])
def test_another_window_is_refused_with_both_numbers(window: int) -> None:
    error = mismatch(ServerFacts(served=True, window=window))

    assert f"the server's window is {window}, the profile says 8192" in error.message
    assert f"`window` to {window}" in error.hint
    assert "of 8192 (vLLM: --max-model-len, llama.cpp: --ctx-size)" in error.hint
    assert error.param == "window"


@pytest.mark.parametrize("difference", [-1, 1, 30])
def test_another_count_is_refused_with_both_numbers(difference: int) -> None:
    tokens = probe_tokens()

    error = mismatch(ServerFacts(served=True, window=8192, probe_tokens=tokens + difference))

    assert f"the server counts {tokens + difference} tokens for the probe" in error.message
    assert f"mistral:v3 counts {tokens}" in error.message
    assert "--tokenizer-mode mistral" in error.hint
    assert error.param == "tokenizer"


def test_a_local_server_with_other_models_is_refused_with_their_names() -> None:
    error = mismatch(ServerFacts(served=False, models=("big", "bigger")))

    assert "does not serve 'mistralai/Mistral-7B-Instruct-v0.3'" in error.message
    assert "it serves big, bigger" in error.message


def test_a_provider_may_serve_a_model_that_it_does_not_list() -> None:
    assert verify(ServerFacts(served=False, models=("big",)), profile=CLOUD).confirmed == ()


def test_a_mismatch_is_an_error_of_the_configuration() -> None:
    error = mismatch(ServerFacts(window=1))

    assert isinstance(error, ConfigurationError)
    assert (error.code, error.status, error.exit_code) == ("profile_mismatch", 502, 2)
    assert not error.retryable


def test_a_server_that_is_away_is_no_mismatch() -> None:
    with pytest.raises(UpstreamTimeout):
        verify(UpstreamTimeout("away"))


def test_an_estimate_is_not_compared_and_sends_no_probe() -> None:
    backend = ScriptedBackend([], facts=ServerFacts(served=True, window=8192))
    counter = EstimatedCounter(mistral())

    verification = asyncio.run(verify_profile(PROFILE, counter, backend=backend))

    assert verification.confirmed == ("model", "window")
    assert backend.probes == [()]


def test_a_profile_without_a_server_asks_nobody() -> None:
    backend = ScriptedBackend([])
    profile = load_profiles()["quote"]

    assert asyncio.run(verify_profile(profile, mistral(), backend=backend)).confirmed == ()
    assert backend.probes == []


def test_the_probe_holds_what_counters_disagree_about() -> None:
    probe = probe_of(PROFILE, mistral())
    text = "\n".join(message.content for message in probe)

    assert [message.role for message in probe] == ["system", "user", "assistant", "user"]
    assert any(letter.isdigit() for letter in text)
    assert "\U0001f680" in text
    assert "\n\n" in text
    assert len(text) < 600


def test_control_tokens_in_the_probe_are_defused_as_in_every_prompt() -> None:
    text = probe_of(PROFILE, mistral())[-1].content

    assert "[/INST]" in mistral().control_tokens
    assert "[\u200b/INST]" in text
    assert not any(token in text for token in mistral().control_tokens if len(token) > 1)


def test_a_model_without_a_system_role_gets_a_probe_without_one() -> None:
    probe = probe_of(replace(PROFILE, system_role=False), mistral())

    assert [message.role for message in probe] == ["user", "assistant", "user"]


def test_no_prompt_goes_to_a_server_that_contradicts_its_profile() -> None:
    backend = ScriptedBackend(["never"], facts=ServerFacts(served=True, window=4096))
    known = {"scripted": profile(base_url="http://127.0.0.1:9/v1")}

    ask = Ask("What is the capital of Peru?", collection="small", model="scripted")

    with pytest.raises(ProfileMismatch, match="4096"):
        asyncio.run(answer(ask, small_runtime(backend, profiles=known)))

    assert backend.requests == []
    assert len(backend.probes) == 1
    assert "Peru" not in str(backend.probes)
