"""Runs the proofs of ingestion and writes `docs/proof-ingest.md` from what they found.

    python -m scripts.prove_ingest [--only kills reads failures rebuilds] [--again] [--count N]

Each part is a command of its own; its result is kept in `.cache/prove-ingest/PART.json`, so that a
run which was cut short goes on where it was. Prints a table, then everything as one line of JSON.
Exits with 1 where a target is missed, 4 where a part could not run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from scripts.prove.page import Finding
from scripts.prove.parts import ROOT, Part, Run, run_part

RESULTS: Final = ROOT / ".cache" / "prove-ingest"
PAGE: Final = ROOT / "docs" / "proof-ingest.md"
PARTS: Final = (
    Part("kills", "scripts.prove_ingest.kills", "--kills"),
    Part("reads", "scripts.prove_ingest.reads", "--reads"),
    Part("failures", "scripts.prove_ingest.failures", "--documents"),
    Part("rebuilds", "scripts.prove_ingest.rebuilds", "--documents"),
)
_HEAD: Final = """# Proof of ingestion

Written by `make prove-ingest`; do not edit. Each part is a command of its own. The corpus is made
up by `scripts/prove_ingest/corpus.py`: two editions that differ in 6 % of their lines and in a few
documents. Two collections are equal that hold the same points with the same payloads and vectors,
and where `windowfit ingest verify` finds no defect.

| target | found | held |
|---|---|---|
"""


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


def judge(runs: Sequence[Run]) -> Iterator[Finding]:
    """Yield what the results say of the targets."""
    for run in runs:
        yield from _JUDGES[run.part](run.result)


def draw_page(runs: Sequence[Run]) -> str:
    """Return the page for the results of all parts."""
    rows = [
        f"| {finding.target} | {finding.found} | {'yes' if finding.held else '**no**'} |"
        for finding in judge(runs)
    ]
    taken = ", ".join(f"{run.part} on {run.taken}" for run in runs)
    return _HEAD + "\n".join(rows) + f"\n\nTaken: {taken}.\n"


def _judge_kills(result: Any) -> Iterator[Finding]:
    for one in result["engines"]:
        deaths = one["kills"] + 2 * one["boundaries"]
        yield Finding(
            f"{one['engine']}: killed at random moments, and before and behind every write",
            f"{deaths} kills, {one['landed']} of {one['kills']} random ones in mid-run; "
            f"{one['different']} collections differ",
            one["different"] == 0,
        )
        yield Finding(
            f"{one['engine']}: at most one batch embedded again for each kill",
            f"{one['embedded_again']} chunks, batch {one['batch']}",
            one["embedded_again"] <= one["batch"],
        )


def _judge_reads(result: Any) -> Iterator[Finding]:
    for one in result["engines"]:
        yield Finding(
            f"{one['engine']}: a reader sees the old version or the new one",
            f"{one['torn']} of {one['reads']:,} reads torn during {one['runs']} ingestions "
            f"(p99 {one['p99_ms']} ms)",
            one["torn"] == 0 and one["runs"] > 1 and min(one["old"], one["new"]) > 0,
        )


def _judge_failures(result: Any) -> Iterator[Finding]:
    failures, submitted = result["failures"], result["submissions"]
    yield Finding(
        f"an embedder that fails at each of {failures['documents']} documents",
        f"{failures['different']} collections differ, at most {failures['embedded_again']} chunks "
        f"embedded again (batch {failures['batch']})",
        failures["different"] == 0 and failures["embedded_again"] <= failures["batch"],
    )
    yield Finding(
        f"one job submitted {submitted['submissions']} times at once",
        f"{submitted['done']} ran, {submitted['refused']} refused; {submitted['embedded']} chunks "
        f"embedded of {submitted['needed']} needed",
        not submitted["different"] and submitted["embedded"] == submitted["needed"],
    )


def _judge_rebuilds(result: Any) -> Iterator[Finding]:
    for one in result["engines"]:
        yield Finding(
            f"{one['engine']}: a rebuild killed before and behind every write, and run again",
            f"{2 * one['boundaries']} kills; {one['different']} collections differ, readers saw "
            f"neither the old nor the new one behind {one['torn']}",
            one["different"] == one["torn"] == 0,
        )
        yield Finding(
            f"{one['engine']}: readers during rebuilds see the old collection or the new one",
            f"{one['torn_reads']} of {one['reads']:,} reads torn in {one['rebuilds']} rebuilds",
            one["torn_reads"] == 0 < one["reads"],
        )


_JUDGES: Final[Mapping[str, Callable[[Any], Iterator[Finding]]]] = {
    "kills": _judge_kills,
    "reads": _judge_reads,
    "failures": _judge_failures,
    "rebuilds": _judge_rebuilds,
}


if __name__ == "__main__":
    sys.exit(main())
