"""Runs the parts of a proof, each a command of its own, and keeps what they found."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a proof.

    Attributes:
        module: what runs it; its last line of output is its result as JSON.
        option: the option for a smaller run; empty where there is none.
    """

    name: str
    module: str
    option: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """The kept result of one part, and the day it was taken."""

    part: str
    result: Any
    taken: str


class Held(Protocol):
    """What a part found, a dataclass that says whether its targets hold."""

    @property
    def held(self) -> bool:
        """Whether they do."""


def conclude(kind: str, results: Sequence[Held]) -> int:
    """Print the last line of a part, its results as JSON; return its exit code."""
    held = all(one.held for one in results)
    found: list[Any] = list(results)
    print(json.dumps({kind: [asdict(one) for one in found], "held": held}))
    return 0 if held else 1


def run_part(part: Part, *, results: Path, again: bool, count: int | None) -> Run | None:
    """Return the result of a part, run now unless it is kept; None where it could not run.

    Args:
        results: the folder of kept results.
        count: size of a smaller run, which is not kept.
    """
    file = results / f"{part.name}.json"
    if file.is_file() and not again:
        record = json.loads(file.read_text(encoding="utf-8"))
        return Run(part.name, record["result"], record["taken"])
    smaller = (part.option, str(count)) if count is not None and part.option else ()
    command = (sys.executable, "-m", part.module, *smaller)
    print(f"{part.name}: python -m {' '.join(command[2:])}", file=sys.stderr, flush=True)
    started = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    if done.returncode not in {0, 1} or not lines:
        print(f"{part.name}: could not run, exit {done.returncode}", file=sys.stderr)
        return None
    try:
        result = json.loads(lines[-1])
    except ValueError:
        # A traceback ends with 1, too; what was printed before it is no result.
        print(f"{part.name}: broke off, exit {done.returncode}", file=sys.stderr)
        return None
    taken = datetime.now(UTC).date().isoformat()
    record = {"taken": taken, "seconds": round(time.monotonic() - started), "result": result}
    if count is None:
        results.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(record) + "\n", encoding="utf-8")
    return Run(part.name, result, taken)
