"""Runs a command and meters it from outside: its memory, that of its children, and its progress."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

MIB: Final = 1024 * 1024
MIB_LIMIT: Final = 1536.0
"""Most resident memory that a large corpus, or a hostile one, may take."""
_LOOK_SECONDS: Final = 0.02


@dataclass(slots=True)
class Metered:
    """How a command ran.

    Attributes:
        exit_code: negative for a signal; None where it was killed for taking too long.
        output: its standard output.
        peak_mib: most resident memory of its own process; `all_mib` with its children.
        steps: seconds at which it told of progress, with how many files were done.
        fed: bytes of standard input that it has taken.
        peaks: `peak_mib` as it rose, each with what was fed by then.
        errors: the rest of its standard error.
    """

    exit_code: int | None = None
    seconds: float = 0
    output: str = ""
    peak_mib: float = 0
    all_mib: float = 0
    steps: list[tuple[float, int]] = field(default_factory=list)
    fed: int = 0
    peaks: list[tuple[int, float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def peak_when(self, fed: int) -> float:
        """Return the most resident memory in MiB before so many bytes had been taken."""
        return max((peak for taken, peak in self.peaks if taken <= fed), default=0)

    @property
    def report(self) -> dict[str, Any]:
        """What it printed as its last line; empty where that is no JSON object."""
        lines = self.output.strip().splitlines()
        try:
            value = json.loads(lines[-1]) if lines else {}
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


def run_metered(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    limit_seconds: float,
    lines: Iterable[bytes] | None = None,
) -> Metered:
    """Run a command to its end and return how it ran.

    Args:
        environment: added to this process' own.
        folder: where it runs.
        lines: what it reads from standard input, made while it reads.
    """
    found = Metered()
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        cwd=folder,
        stdin=subprocess.DEVNULL if lines is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=False,
    )
    output: list[bytes] = []
    threads = [
        threading.Thread(target=_follow, args=(process.stderr, found, started)),
        threading.Thread(target=lambda: output.append((process.stdout or _no()).read())),
    ]
    if lines is not None:
        threads.append(threading.Thread(target=_feed, args=(process.stdin, lines, found)))
    for thread in threads:
        thread.start()
    late = False
    while process.poll() is None:
        _meter(process.pid, found)
        late = time.perf_counter() - started > limit_seconds
        if late:
            process.kill()
            process.wait()
        time.sleep(_LOOK_SECONDS)
    found.seconds = time.perf_counter() - started
    for thread in threads:
        thread.join()
    for stream in (process.stdout, process.stderr):
        (stream or _no()).close()
    found.exit_code = None if late else process.returncode
    found.output = b"".join(output).decode("utf-8", "replace")
    return found


def _feed(stream: IO[bytes] | None, lines: Iterable[bytes], found: Metered) -> None:
    try:
        with stream or _no() as target:
            for line in lines:
                target.write(line)
                found.fed += len(line)
    except BrokenPipeError:
        # It ended before it had read everything; its exit code says why.
        return


def _follow(stream: IO[bytes] | None, found: Metered, started: float) -> None:
    for line in stream or _no():
        try:
            step = json.loads(line)
            found.steps.append((time.perf_counter() - started, step["files_done"]))
        except (ValueError, KeyError, TypeError):
            found.errors.append(line.decode("utf-8", "replace").rstrip())


def _no() -> IO[bytes]:
    raise RuntimeError("the process has no such pipe")


def _meter(pid: int, found: Metered) -> None:
    own = _resident(pid, "VmHWM:")
    now = sum(_resident(one, "VmRSS:") for one in (pid, *_children(pid)))
    if own > found.peak_mib:
        found.peak_mib = own
        found.peaks.append((found.fed, own))
    found.all_mib = max(found.all_mib, now, own)


def _resident(pid: int, what: str) -> float:
    """Return a figure of a process in MiB; 0 for one that has ended."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
            if line.startswith(what):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def _children(pid: int) -> list[int]:
    """Return the processes that a process started and that run, with all of theirs."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            direct = [int(one) for one in file.read_text("utf-8").split()]
        except OSError:
            continue
        for one in direct:
            found += [one, *_children(one)]
    return found
