"""Runs the proofs of exact fit and writes `docs/proof-fit.md` from what they found.

    python -m scripts.prove [--only laws cuts fuzz completions peers] [--again] [--count N]

Each part is a command of its own; its result is kept in `.cache/prove/PART.json`, so that a run
which was cut short goes on where it was. `--again` runs parts that have a result. Prints a table,
then everything as one line of JSON. Exits with 1 where a target is missed, 4 where a part could not
run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from scripts.prove.page import Finding, draw_page, judge

ROOT: Final = Path(__file__).parents[2]
RESULTS: Final = ROOT / ".cache" / "prove"
PAGE: Final = ROOT / "docs" / "proof-fit.md"
PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "fuzz": ("scripts.prove.fuzz", "--count"),
    "completions": ("scripts.prove.completions", "--count"),
    "peers": ("scripts.prove.peers", ""),
    "cuts": ("scripts.prove.cuts", ""),
    "laws": ("scripts.prove.laws", "--count"),
}
"""The module of each part, and its option for a smaller run."""


@dataclass(frozen=True, slots=True)
class Run:
    """The kept result of one part."""

    part: str
    result: Any
    taken: str

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the result says of the targets."""
        return judge(self.part, self.result)


def run_part(part: str, *, again: bool, count: int | None) -> Run | None:
    """Return the result of a part, run now unless it is kept; None where it could not run."""
    file = RESULTS / f"{part}.json"
    if file.is_file() and not again:
        return _kept(part, file)
    module, option = PARTS[part]
    smaller = (option, str(count)) if count is not None and option else ()
    print(f"{part}: python -m {' '.join((module, *smaller))}", file=sys.stderr, flush=True)
    started = time.monotonic()
    done = subprocess.run(
        (sys.executable, "-m", module, *smaller),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    if done.returncode not in {0, 1} or not lines:
        print(f"{part}: could not run, exit {done.returncode}", file=sys.stderr)
        return None
    record = {
        "taken": datetime.now(UTC).date().isoformat(),
        "seconds": round(time.monotonic() - started),
        "result": json.loads(lines[-1]),
    }
    if count is None:
        RESULTS.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(record) + "\n", encoding="utf-8")
    return Run(part, record["result"], record["taken"])


def _kept(part: str, file: Path) -> Run:
    record = json.loads(file.read_text(encoding="utf-8"))
    return Run(part, record["result"], record["taken"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts, print the table and a last line of JSON, write the page of a whole run."""
    parser = argparse.ArgumentParser(description="Prove that prompts fit exactly.")
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), default=list(PARTS))
    parser.add_argument("--again", action="store_true", help="run parts that have a result, too")
    parser.add_argument("--count", type=int, help="a smaller run, which is not kept")
    given = parser.parse_args(arguments)
    tried = [run_part(part, again=given.again, count=given.count) for part in given.only]
    runs = [run for run in tried if run is not None]
    findings = [finding for run in runs for finding in run.findings]
    for finding in findings:
        print(f"{'held  ' if finding.held else 'MISSED'}  {finding.target}: {finding.found}")
    if given.count is None and len(runs) == len(PARTS):
        PAGE.write_text(draw_page({run.part: (run.result, run.taken) for run in runs}), "utf-8")
    print(json.dumps({run.part: run.result for run in runs}))
    if len(runs) < len(tried):
        return 4
    return 0 if all(finding.held for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
