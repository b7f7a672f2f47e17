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
import sys
from collections.abc import Sequence
from typing import Final

from scripts.prove.page import draw_page, judge
from scripts.prove.parts import ROOT, Part, run_part

RESULTS: Final = ROOT / ".cache" / "prove"
PAGE: Final = ROOT / "docs" / "proof-fit.md"
PARTS: Final = (
    Part("fuzz", "scripts.prove.fuzz", "--count"),
    Part("completions", "scripts.prove.completions", "--count"),
    Part("peers", "scripts.prove.peers"),
    Part("cuts", "scripts.prove.cuts"),
    Part("laws", "scripts.prove.laws", "--count"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts, print the table and a last line of JSON, write the page of a whole run."""
    parser = argparse.ArgumentParser(description="Prove that prompts fit exactly.")
    names = [part.name for part in PARTS]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--again", action="store_true", help="run parts that have a result, too")
    parser.add_argument("--count", type=int, help="a smaller run, which is not kept")
    given = parser.parse_args(arguments)
    tried = [
        run_part(part, results=RESULTS, again=given.again, count=given.count)
        for part in PARTS
        if part.name in given.only
    ]
    runs = [run for run in tried if run is not None]
    findings = [finding for run in runs for finding in judge(run.part, run.result)]
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
