"""Times LlamaIndex' `PromptHelper.repack` on the peer suite's candidates, beside Windowfit.

    python -m scripts.prove.repack [--cases FILE] [--repeats 5]

`repack` is what LlamaIndex runs to fit retrieved texts to a window, as its response mode `compact`
calls it: with the larger of its two prompts, the question filled in. It is timed in this process,
next to Windowfit's planning of the same candidates, turn by turn: both see the same machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Final, Literal

from chunking.counters import load_counter
from scripts.prove.peers import CASES, OUTPUT, WINDOW
from scripts.prove.peers_cases import Case, read_cases
from scripts.prove.peers_export import CANDIDATE_COUNT
from scripts.prove.peers_tokens import MistralTokenizer
from scripts.prove.peers_windowfit import COLLECTION, PROFILE, given_searcher
from serve.plan import Ask, make_plan
from serve.profiles import load_profiles

Tokenizer = Literal["default", "mistral"]
LEAST_RATIO: Final = 10.0


@dataclass(frozen=True, slots=True)
class PairedTimes:
    """Seconds of LlamaIndex' repacking and of Windowfit's planning, run by run."""

    tokenizer: Tokenizer
    repack_seconds: tuple[float, ...]
    plan_seconds: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Median of how many times as long the repacking took, pair by pair."""
        pairs = zip(self.repack_seconds, self.plan_seconds, strict=True)
        return statistics.median(repack / plan for repack, plan in pairs)


def time_repack(cases_file: Path, repeats: int, *, tokenizer: Tokenizer = "default") -> list[float]:
    """Return the seconds of each repacking; cases take turns, their candidates are 200 at most."""
    repack = repacking(tokenizer)
    cases = list(islice(read_cases(cases_file, candidates=CANDIDATE_COUNT), repeats))
    repack(cases[0])  # loads what is loaded once
    return [_seconds(repack, case) for case in islice(cycle(cases), repeats)]


def time_pairs(
    cases_file: Path,
    repeats: int,
    *,
    tokenizer: Tokenizer = "default",
    plan: Callable[[Case], int] | None = None,
) -> PairedTimes:
    """Return the seconds of both on the same candidates, one after the other, case by case.

    Args:
        plan: what stands for Windowfit; `planning()`, which has no counts from ingestion, if None.
    """
    repack, plan = repacking(tokenizer), plan or planning()
    cases = list(islice(read_cases(cases_file, candidates=CANDIDATE_COUNT), repeats))
    repack(cases[0])
    plan(cases[0])
    pairs = [
        (_seconds(repack, case), _seconds(plan, case)) for case in islice(cycle(cases), repeats)
    ]
    repacks, plans = zip(*pairs, strict=True)
    return PairedTimes(tokenizer, repacks, plans)


def repacking(tokenizer: Tokenizer) -> Callable[[Case], int]:
    """Return what repacks the candidates of a case and says into how many prompts."""
    from llama_index.core.indices.prompt_helper import PromptHelper
    from llama_index.core.prompts import BasePromptTemplate
    from llama_index.core.prompts.chat_prompts import CHAT_REFINE_PROMPT, CHAT_TEXT_QA_PROMPT
    from llama_index.core.prompts.prompt_utils import get_biggest_prompt

    encode = MistralTokenizer().encode if tokenizer == "mistral" else None
    assistant = PromptHelper(context_window=WINDOW, num_output=OUTPUT, tokenizer=encode)

    def repack(case: Case) -> int:
        prompts: list[BasePromptTemplate] = [
            prompt.partial_format(query_str=case.question)
            for prompt in (CHAT_TEXT_QA_PROMPT, CHAT_REFINE_PROMPT)
        ]
        texts = [source.content for source in case.sources]
        return len(assistant.repack(get_biggest_prompt(prompts), texts))

    return repack


def planning() -> Callable[[Case], int]:
    """Return what plans the prompt of a case, tokenizing every candidate, and says its tokens."""
    profile = replace(load_profiles()[PROFILE], window=WINDOW, default_output=OUTPUT)
    counter = load_counter(profile.tokenizer)
    searchers = {}

    def plan(case: Case) -> int:
        if case.id not in searchers:
            searchers[case.id] = given_searcher(case)
        ask = Ask(case.question, COLLECTION, PROFILE)
        made = make_plan(ask, profile=profile, counter=counter, searcher=searchers[case.id])
        return made.report.prompt_tokens

    return plan


def _seconds(work: Callable[[Case], int], case: Case) -> float:
    started = time.perf_counter()
    work(case)
    return time.perf_counter() - started


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 1 where Windowfit is not ten times as fast."""
    parser = argparse.ArgumentParser(description="Time LlamaIndex' repacking of 200 candidates.")
    parser.add_argument("--cases", type=Path, default=CASES)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    if not options.cases.is_file():
        print(f"{options.cases} is missing: run scripts.prove.peers first", file=sys.stderr)
        return 4
    choices: tuple[Tokenizer, ...] = ("default", "mistral")
    found = [time_pairs(options.cases, options.repeats, tokenizer=choice) for choice in choices]
    for times in found:
        medians = [statistics.median(s) for s in (times.repack_seconds, times.plan_seconds)]
        print(
            f"repack / {times.tokenizer}: {medians[0] * 1000:.0f} ms, windowfit "
            f"{medians[1] * 1000:.1f} ms, {times.ratio:.1f} times"
        )
    print(json.dumps({times.tokenizer: round(times.ratio, 2) for times in found}))
    return 0 if all(times.ratio >= LEAST_RATIO for times in found) else 1


if __name__ == "__main__":
    sys.exit(main())
