"""Runs the proofs of ingestion and writes `docs/proof-ingest.md` from what they found.

    python -m scripts.prove_ingest [--only PART …] [--again] [--count N]

Each part is a command of its own; its result is kept in `.cache/prove-ingest/PART.json`, so that a
run which was cut short goes on where it was. Prints a table, then everything as one line of JSON.
Exits with 1 where a target is missed, 4 where a part could not run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Final

from scripts.prove.parts import ROOT, Part, run_part
from scripts.prove_ingest.judges import draw_page, judge

RESULTS: Final = ROOT / ".cache" / "prove-ingest"
PAGE: Final = ROOT / "docs" / "proof-ingest.md"
PARTS: Final = (
    Part("kills", "scripts.prove_ingest.kills", "--kills"),
    Part("reads", "scripts.prove_ingest.reads", "--reads"),
    Part("failures", "scripts.prove_ingest.failures", "--documents"),
    Part("rebuilds", "scripts.prove_ingest.rebuilds", "--documents"),
    Part("distributed", "scripts.prove_ingest.distributed", "--entities"),
    Part("restarts", "scripts.prove_ingest.restarts", "--restarts"),
    Part("disk", "scripts.prove_ingest.disk", "--offsets"),
    Part("torture", "scripts.prove_ingest.torture", "--megabytes"),
    Part("memory", "scripts.prove_ingest.memory", "--megabytes"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts, print the table and a last line of JSON, write the page of a whole run."""
    parser = argparse.ArgumentParser(description="Prove that ingestion loses and doubles nothing.")
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
    findings = list(judge(runs))
    for finding in findings:
        print(f"{'held  ' if finding.held else 'MISSED'}  {finding.target}: {finding.found}")
    if given.count is None and len(runs) == len(PARTS):
        PAGE.write_text(draw_page(runs), encoding="utf-8")
    print(json.dumps({run.part: run.result for run in runs}))
    if len(runs) < len(tried):
        return 4
    return 0 if all(finding.held for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
