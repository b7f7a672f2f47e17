"""Random failures before recording clouds: a short run of the proof, and that it can fail."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

import serve.guard
import serve.routing
from chunking.sensitivity import Sensitivity
from scripts.prove.routing import judge, prove

pytestmark = pytest.mark.network
RUNS = 250


def proved(**options: int) -> Mapping[str, Any]:
    return asyncio.run(prove(RUNS, **options))


def anything_leaves(_: Sensitivity, __: Sensitivity) -> bool:
    return True


def test_no_byte_above_the_limit_reaches_a_cloud_whatever_fails() -> None:
    # Three worlds, one for each limit.
    found = asyncio.run(prove(3 * RUNS))

    assert judge(found) == []
    assert found["restricted_bytes"] == 0
    assert found["cloud"]["confidential"]["marks"]["confidential"] > 0
    assert {"429", "out of memory", "stall", "reset"} <= found["local"]["behaviours"].keys()


def test_with_routing_broken_the_guard_alone_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve.routing, "may_leave", anything_leaves)

    found = proved()

    assert (found["restricted_bytes"], found["leaked_marks"]) == (0, 0)


def test_with_both_broken_the_proof_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve.routing, "may_leave", anything_leaves)
    monkeypatch.setattr(serve.guard, "may_leave", anything_leaves)

    found = proved()

    assert found["restricted_bytes"] > 0
    assert any("restricted marks reached a cloud" in said for said in judge(found))
