"""The Factbook suite: what libraries make of the same ranked chunks and the same window.

    python -m scripts.prove.peers [--questions 66] [--candidates 200] [--json FILE]

The question is narrow: given these chunks in this order, a window of 8,192 tokens and 512 of them
kept for the answer, which prompts go to the language model, and does the answer tell which sources
stood in them? Search is not compared: every arm gets the candidates that Windowfit's search ranks
first, with the same breadcrumb above each text. No model is called; a mock records its messages.

Every peer runs twice: with its defaults, and with the right tokenizer (Mistral's own, from
`mistral-common`) wherever it can take one. How each is used, and the page that says so, stands in
`peers_llamaindex.py`, `peers_langchain.py`, `peers_haystack.py` and `peers_litellm.py`; where a
library offers nothing for retrieved chunks, the arm makes the strongest reasonable use of what it
offers for conversations. Prompts are counted by `mistral-common` with the full chat template,
without any code of Windowfit's.

The last line printed is JSON. The exit code is 1 where Windowfit breaks one of its promises, 4
where the peers or the index are not there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

from chunking.errors import WindowfitError
from scripts.prove.peers_cases import read_cases, read_outcomes
from scripts.prove.peers_environment import ROOT, PeersUnavailable, run_module
from scripts.prove.peers_export import CANDIDATE_COUNT, export_cases
from scripts.prove.peers_measure import ArmResult, measure, table
from scripts.prove.peers_tokens import MistralTokenizer
from scripts.prove.peers_windowfit import ARM, run_windowfit

WINDOW: Final = 8192
OUTPUT: Final = 512
QUESTION_COUNT: Final = 66
SEED: Final = 3
LEAST_WINDOW_USE: Final = 0.97
CASES: Final = ROOT / ".cache" / "prove" / "peers-cases.jsonl"
OUTCOMES: Final = ROOT / ".cache" / "prove" / "peers-outcomes.jsonl"


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """The suite's numbers, and what they were taken with."""

    window: int
    output: int
    candidates: int
    seed: int
    versions: dict[str, str]
    arms: tuple[ArmResult, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """What Windowfit promises and did not keep; empty when all is well."""
        own = next((arm for arm in self.arms if arm.arm == ARM), None)
        return ("Windowfit did not run",) if own is None else broken_promises(own)

    def table(self) -> str:
        """Return the arms as a Markdown table."""
        return table(self.arms)

    def summary(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        return {
            "window": self.window,
            "output": self.output,
            "candidates": self.candidates,
            "seed": self.seed,
            "versions": self.versions,
            "arms": [arm.row() for arm in self.arms],
            "problems": list(self.problems),
        }


def broken_promises(own: ArmResult) -> tuple[str, ...]:
    """Return what Windowfit's arm did not keep of: fit, honest sources, a full window, one call."""
    checks = {
        f"{own.overflowed_calls} of {own.calls} prompts overflow": own.overflowed_calls == 0,
        f"{own.listed_whole} of {own.listed} listed sources stand whole in the prompt": (
            own.listed is not None and own.listed_whole == own.listed
        ),
        f"window use {own.window_use:.3f} < {LEAST_WINDOW_USE}": own.window_use >= LEAST_WINDOW_USE,
        f"{own.calls} calls for {own.questions} questions": own.calls == own.questions > 0,
    }
    return tuple(problem for problem, kept in checks.items() if not kept)


def run(
    questions: Path | None,
    *,
    question_count: int = QUESTION_COUNT,
    candidates: int = CANDIDATE_COUNT,
    seed: int = SEED,
    window: int = WINDOW,
    output: int = OUTPUT,
    cases_file: Path = CASES,
    outcomes_file: Path = OUTCOMES,
) -> SuiteResult:
    """Run every arm over the Factbook questions and measure what each would have sent.

    Args:
        questions: the file `factbook_qa/dev.jsonl`; None uses the cases exported last.
        candidates: how many of the exported candidates each arm is given, best first.

    Raises:
        PeersUnavailable: the peers' environment cannot be made, or a peer failed.
        StoreError: the ingested Factbook is missing or held by another process.
    """
    if questions is not None:
        export_cases(cases_file, questions, size=question_count, seed=seed)
    limits = ("--candidates", str(candidates), "--window", str(window), "--output", str(output))
    printed = run_module("scripts.prove.peers_worker", cases_file, outcomes_file, *limits)
    cases = {case.id: case for case in read_cases(cases_file, candidates=candidates)}
    outcomes = chain(
        read_outcomes(outcomes_file),
        run_windowfit(cases.values(), window=window, output=output),
    )
    arms = measure(cases, outcomes, count=MistralTokenizer().count, window=window, output=output)
    versions: dict[str, str] = json.loads(printed.splitlines()[-1])
    return SuiteResult(window, output, candidates, seed, versions, tuple(arms))


def questions_file() -> Path | None:
    """Return the question set that `WINDOWFIT_TEST_DATA` names, if it is there."""
    folder = os.environ.get("WINDOWFIT_TEST_DATA")
    path = Path(folder) / "factbook_qa" / "dev.jsonl" if folder else None
    return path if path is not None and path.is_file() else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description="Compare how libraries fit the same window.")
    parser.add_argument(
        "--questions", type=int, default=QUESTION_COUNT, help="how many, of all types"
    )
    parser.add_argument(
        "--candidates", type=int, default=CANDIDATE_COUNT, help="ranked chunks each"
    )
    parser.add_argument("--json", type=Path, default=None, help="write the numbers there, too")
    options = parser.parse_args(arguments)
    questions = questions_file()
    if questions is None and not CASES.is_file():
        print("set WINDOWFIT_TEST_DATA to the folder of the question sets", file=sys.stderr)
        return 4
    try:
        result = run(questions, question_count=options.questions, candidates=options.candidates)
    except (PeersUnavailable, WindowfitError) as error:
        print(error, file=sys.stderr)
        return 4
    print(result.table())
    if options.json is not None:
        options.json.write_text(json.dumps(result.summary(), indent=2) + "\n", encoding="utf-8")
    for problem in result.problems:
        print(f"broken promise: {problem}", file=sys.stderr)
    print(json.dumps(result.summary()))
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
