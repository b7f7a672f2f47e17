"""Runs the command line in this process, as a shell would."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import windowfit


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Ended]


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run a command in this process, in an empty folder, with an embedder that needs no weights."""
    for variable in [name for name in os.environ if name.startswith("WINDOWFIT_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("WINDOWFIT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WINDOWFIT_EMBEDDER", "hash:64")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["windowfit", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            windowfit.main()
        printed = capsys.readouterr()
        code = 0 if ended.value.code is None else int(ended.value.code)
        assert "Traceback" not in printed.err
        return Ended(code, printed.out, printed.err)

    return run
