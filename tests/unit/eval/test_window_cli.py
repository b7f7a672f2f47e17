from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from eval.window.answers import AnswerFile
from eval.window_cli import _unasked, _Verified
from serve.backends.scripted import ScriptedBackend
from serve.profiles import ModelProfile
from serve.runtime import Runtime
from serve.verify import Verification
from serve.warming import PROBE
from tests.serving import profile, small_runtime
from tests.unit.eval.window.planning import planned


def test_a_dry_run_counts_each_call_once_however_many_windows_share_its_prompt(
    tmp_path: Path,
) -> None:
    kept = AnswerFile(tmp_path / "kept.jsonl")
    case, *others = planned()
    same = [case, replace(case, size=4096), replace(case, size=8192), *others]

    assert list(_unasked(iter(same), profile(), kept)) == [case, *others]


def test_a_server_is_asked_whether_it_agrees_before_the_first_call_and_not_without_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    verify = Runtime.verify

    async def noted(self: Runtime, one: ModelProfile) -> Verification:
        asked.append(one.name)
        return await verify(self, one)

    monkeypatch.setattr(Runtime, "verify", noted)
    model = _Verified(small_runtime(ScriptedBackend(["Lima"])), profile())
    assert asked == []

    assert asyncio.run(model.complete(PROBE)).text == "Lima"
    assert asked == ["scripted"]
