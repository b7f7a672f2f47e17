"""Runs a writer in a process of its own, and kills it while it writes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[1]


def acknowledged_before_kill(script: str, folder: Path, *, at_least: int = 50) -> list[str]:
    """Return the lines that a script printed until `kill -9` ended it; it gets the folder's name.

    Args:
        script: Python that writes for ever, and prints a line for each write that was acknowledged.
        at_least: lines that are waited for before it is killed.
    """
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], cwd=_ROOT, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline().strip() for _ in range(at_least)]
        writer.send_signal(signal.SIGKILL)
        return lines + [line.strip() for line in writer.stdout if line.endswith("\n")]
