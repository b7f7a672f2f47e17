from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from eval.window.answers import AnswerFile
from eval.window_cli import _unasked
from tests.serving import profile
from tests.unit.eval.window.planning import planned


def test_a_dry_run_counts_each_call_once_however_many_windows_share_its_prompt(
    tmp_path: Path,
) -> None:
    kept = AnswerFile(tmp_path / "kept.jsonl")
    case, *others = planned()
    same = [case, replace(case, size=4096), replace(case, size=8192), *others]

    assert list(_unasked(iter(same), profile(), kept)) == [case, *others]
