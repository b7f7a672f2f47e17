"""What an operator is told at the start, so that no rule does nothing in silence."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from serve.app import create_app
from serve.backends import model_file
from serve.hindrances import Hindrance, find_hindrances
from serve.profiles import ModelProfile, load_profiles
from serve.review import PENDING
from serve.routing import make_policy
from serve.rules import Rule
from serve.settings import ServeSettings
from tests.routes import PROFILES, routed_runtime

SHIPPED = load_profiles()
KEY = {"OPENAI_API_KEY": "sk-1"}
INSIDE = replace(
    SHIPPED["mistral-7b-8k"],
    name="inside",
    backend="xllamacpp",
    base_url=None,
    model_file="ours.gguf",
)
UP = Rule(name="up", target="local", escalate="cloud")


def found(
    profiles: Mapping[str, ModelProfile] = SHIPPED,
    *,
    secrets: Mapping[str, str] = KEY,
    local: Sequence[str] = ("mistral-7b-8k",),
    cloud: Sequence[str] = (),
    rules: Sequence[Rule] = (UP,),
    models_folder: Path = Path("models"),
) -> dict[str, Hindrance]:
    policy = make_policy(profiles, default=local[0], local=local, cloud=cloud, rules=rules)
    hindrances = find_hindrances(policy, profiles, secrets, models_folder=models_folder)
    return {one.model: one for one in hindrances}


def test_where_all_is_well_nothing_is_told() -> None:
    assert found() == {}


def test_a_key_that_is_not_set_is_told_by_its_variable() -> None:
    assert "needs the variable OPENAI_API_KEY" in found(secrets={})["gpt-6-luna"].told


def test_a_model_of_a_list_without_a_review_is_told_with_the_command() -> None:
    told = found(cloud=("gemini-3.8-flash",))["gemini-3.8-flash"]

    assert "is pending" in told.told
    assert "windowfit models review gemini-3.8-flash" in told.hint


def test_a_place_without_an_approved_model_is_told_with_those_that_could_be() -> None:
    profiles = {**SHIPPED, "gpt-6-luna": replace(SHIPPED["gpt-6-luna"], review=PENDING)}

    told = found(profiles)["cloud"]

    assert told.told == "no model of the place cloud is approved"
    assert "windowfit models review NAME" in told.hint
    assert told.hint.endswith("gpt-6-luna, gemini-3.8-flash")


def test_what_no_rule_names_is_nobodys_concern() -> None:
    assert found(secrets={}, rules=[Rule(name="here", target="local")]) == {}


def test_two_local_models_at_one_address_are_told() -> None:
    told = found(local=("mistral-7b-8k", "qwen2.5-1.5b-32k"))["qwen2.5-1.5b-32k"]

    assert "has the address of 'mistral-7b-8k'" in told.told


def test_a_file_of_weights_is_looked_for_in_the_folder_of_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_file, "find_spec", lambda name: object())
    profiles = {**SHIPPED, "inside": INSIDE}

    told = found(profiles, local=("inside",), models_folder=tmp_path)["inside"]
    assert f"there is no file {tmp_path / 'ours.gguf'}" in told.told
    assert "`model_file`" in told.hint

    (tmp_path / "ours.gguf").touch()
    assert found(profiles, local=("inside",), models_folder=tmp_path) == {}


def test_the_package_that_runs_a_file_of_weights_is_told_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_file, "find_spec", lambda name: None)
    (tmp_path / "ours.gguf").touch()

    told = found({**SHIPPED, "inside": INSIDE}, local=("inside",), models_folder=tmp_path)["inside"]

    assert "needs the package 'xllamacpp'" in told.told
    assert told.hint == "pip install 'windowfit[local]'"


def test_the_service_tells_it_when_it_starts(caplog: pytest.LogCaptureFixture) -> None:
    profiles = {**PROFILES, "far": replace(PROFILES["far"], review=PENDING)}
    runtime = routed_runtime(profiles=profiles, rules=[{"name": "up", "target": "far"}])
    settings = ServeSettings(collection="small", model="near", warm_up=False)

    with (
        caplog.at_level(logging.WARNING, "windowfit.serve"),
        TestClient(create_app(runtime, settings)),
    ):
        pass

    (line,) = [one for one in caplog.records if one.message == "model cannot answer"]
    assert line.fields["model"] == "far"  # type: ignore[attr-defined]
    assert "pending" in line.fields["problem"]  # type: ignore[attr-defined]
