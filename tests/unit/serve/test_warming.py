"""Warming up: the local models that requests can reach, and no others."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from serve.backends.scripted import ScriptedBackend
from serve.errors import UpstreamTimeout
from serve.review import PENDING
from serve.warming import PROBE, reachable, warm_up
from tests.routes import PROFILES, routed_runtime, script

SERVED = {
    name: replace(one, backend="openai", base_url="http://127.0.0.1:9/v1")
    for name, one in PROFILES.items()
}
EITHER = {"name": "either", "target": "local", "fallback": ["far"]}


def test_local_models_that_rules_can_reach_are_called_once_with_no_text_of_anybody() -> None:
    runtime = routed_runtime(rules=[EITHER], profiles=SERVED)

    assert asyncio.run(warm_up(runtime)) == {"near": "ready", "nearer": "ready"}
    assert script(runtime, "near").requests == [PROBE]
    assert script(runtime, "far").requests == []
    assert reachable(runtime.policy) == ("near", "nearer", "far")


def test_without_rules_the_default_alone_is_warmed() -> None:
    runtime = routed_runtime(profiles=SERVED)

    assert asyncio.run(warm_up(runtime)) == {"near": "ready"}


def test_a_model_that_is_away_is_told_by_its_code_and_raises_nothing() -> None:
    down = ScriptedBackend([UpstreamTimeout("slow")])
    runtime = routed_runtime({"near": down}, rules=[EITHER], profiles=SERVED)

    assert asyncio.run(warm_up(runtime)) == {"near": "upstream_timeout", "nearer": "ready"}


def test_an_unapproved_model_is_not_called() -> None:
    profiles = {**SERVED, "nearer": replace(SERVED["nearer"], review=PENDING)}
    runtime = routed_runtime(rules=[{**EITHER, "fallback": ["nearer"]}], profiles=profiles)

    assert asyncio.run(warm_up(runtime)) == {"near": "ready"}
    assert script(runtime, "nearer").requests == []
