"""Measures how fast prompts are planned, as ratios of medians in one run.

    python -m scripts.prove.speed [--json FILE] [--repeats 31]

Needs the World Factbook ingested with `mistral:v3` and `tiktoken:o200k_base` (`make bench-fit`
does that). Every measured pair runs in turns, and planning is measured in seconds of processor
time, so that other processes on the machine count as little as may be.

- planning 200 candidates for a window of 8,192 tokens against one plain tokenization of the final
  prompt, for every tokenizer family: at most 1.3 times as long;
- the same in milliseconds at p95, where counts add up: at most 10 ms;
- against LlamaIndex's `PromptHelper.repack` of the same candidates: at least 10 times faster;
- a plan of mode `full` for a window of a million tokens: at most 1 s warm, and exact.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from chunking.counters import load_counter
from chunking.errors import WindowfitError
from chunking.tokens import TokenCounter
from retrieval.index import Index
from retrieval.providers import fingerprint_of, open_embedder, open_engine, open_splitter
from retrieval.records import Hit
from retrieval.search import Searcher
from retrieval.settings import IndexSettings
from scripts.prove.counted import count_chunks, counted
from scripts.prove.repack import RESERVED, WINDOW, measure_repack, plan_once, timed
from serve.context.report import Candidate
from serve.plan import Ask, make_plan
from serve.profiles import load_profiles

QUESTIONS = (
    "What would a business plan for a telecom start-up in India have to consider?",
    "Which has the larger total area, Bolivia or Lesotho?",
    "What is the median age in Japan?",
    "Which countries border Austria and what are their populations?",
    "How much electricity does Norway produce, and from which sources?",
)
FAMILIES = (
    "mistral:v1",
    "mistral:v2",
    "mistral:v3",
    "mistral:tekken",
    "huggingface:HuggingFaceTB/SmolLM2-135M-Instruct",
    "huggingface:Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
    "tiktoken:cl100k_base",
    "tiktoken:o200k_base",
    "estimated:tiktoken:o200k_base",
)
CANDIDATES = 200
RATIO_LIMIT, MILLISECONDS_LIMIT, FULL_SECONDS = 1.3, 10.0, 1.0
FULL_WINDOW = 1_000_000


@dataclass(frozen=True, slots=True)
class Planning:
    """Planning with one tokenizer, in milliseconds, against one tokenization of its prompt."""

    tokenizer: str
    additive: bool
    plan_ms: float
    plan_p95_ms: float
    tokenize_ms: float
    ratio: float
    window_use: float
    exact: bool

    @property
    def held(self) -> bool:
        """Whether both limits hold."""
        fast = self.plan_p95_ms <= MILLISECONDS_LIMIT or not self.additive
        return self.ratio <= RATIO_LIMIT and fast and self.exact


@dataclass(frozen=True, slots=True)
class FullPlan:
    """Plans of mode `full` for a million tokens, warm."""

    seconds: float
    slowest_seconds: float
    prompt_tokens: int
    counted_tokens: int
    documents: int
    percent: float

    @property
    def held(self) -> bool:
        """Whether it is exact and fast enough."""
        return self.prompt_tokens == self.counted_tokens and self.seconds <= FULL_SECONDS


def candidates_of(
    found: Sequence[tuple[str, Sequence[Hit]]], index: Index, counter: TokenCounter
) -> list[tuple[str, tuple[Candidate, ...]]]:
    """Return the hits as candidates, counted as ingestion counts them."""
    wanted = sorted({hit.chunk.document for _, hits in found for hit in hits})
    counts = count_chunks(
        index.documents(wanted), [hit.chunk for hit in index.read({"document": wanted})], counter
    )
    return [(question, counted(map(_candidate, hits), counts)) for question, hits in found]


def _candidate(hit: Hit) -> Candidate:
    return Candidate(hit.chunk, hit.score, hit.via, gap=hit.gap, sketch=hit.sketch)


def measure_planning(
    name: str, asked: Sequence[tuple[str, Sequence[Candidate]]], counter: TokenCounter, repeats: int
) -> Planning:
    """Time planning and tokenizing in turns over all questions."""
    plans: list[float] = []
    counts: list[float] = []
    uses: list[float] = []
    exact = True
    for question, candidates in asked:
        context = plan_once(question, candidates, counter)
        text = "\n".join(message.content for message in context.messages)
        total = counter.count_messages(context.messages)
        exact = exact and total == context.segments.total
        uses.append(total / (WINDOW - RESERVED))
        for _ in range(repeats):
            plans.append(timed(lambda q=question, c=candidates: plan_once(q, c, counter)))  # type: ignore[misc]
            counts.append(timed(lambda t=text: counter.count(t)))  # type: ignore[misc]
    median, plain = statistics.median(plans), statistics.median(counts)
    return Planning(
        tokenizer=name,
        additive=counter.additive,
        plan_ms=round(median * 1000, 2),
        plan_p95_ms=round(statistics.quantiles(plans, n=20)[-1] * 1000, 2),
        tokenize_ms=round(plain * 1000, 2),
        ratio=round(median / plain, 2),
        window_use=round(min(uses), 4),
        exact=exact,
    )


def measure_full(searcher: Searcher, *, repeats: int) -> FullPlan:
    """Time whole plans of mode `full`, search and reading included, and count the last one anew."""
    counter = load_counter("tiktoken:o200k_base")
    profile = replace(
        load_profiles()["gpt-6-luna"],
        window=FULL_WINDOW,
        input_limit=None,
        tokenizer=counter.name,
        default_output=RESERVED,
    )

    def plan(question: str) -> Any:
        ask = Ask(question, collection="factbook", model=profile.name, mode="full")
        return make_plan(ask, profile=profile, counter=counter, searcher=searcher)

    plan(QUESTIONS[0])
    seconds = [
        timed(lambda q=question: plan(q), time.perf_counter)  # type: ignore[misc]
        for _ in range(repeats)
        for question in QUESTIONS
    ]
    last = plan(QUESTIONS[0])
    return FullPlan(
        seconds=round(statistics.median(seconds), 3),
        slowest_seconds=round(max(seconds), 3),
        prompt_tokens=last.report.prompt_tokens,
        counted_tokens=counter.count_messages(last.context.messages),
        documents=last.report.coverage.kept,
        percent=last.report.coverage.percent,
    )


def open_searcher(settings: IndexSettings) -> Searcher:
    """Return the searcher of the ingested Factbook."""
    embedder = open_embedder(settings)
    fingerprint = fingerprint_of(embedder, open_splitter(settings, embedder))
    return Searcher(Index.open(open_engine(settings), "factbook", fingerprint), embedder)


def run(repeats: int) -> dict[str, Any]:
    """Measure everything and print a line for each; return the results."""
    settings = IndexSettings.load()
    searcher = open_searcher(settings)
    found = [(question, searcher.search(question, limit=CANDIDATES)) for question in QUESTIONS]
    # As in a long-lived service: what start-up left behind is not looked through again and again.
    gc.collect()
    gc.freeze()
    planning = []
    for name in FAMILIES:
        try:
            counter = load_counter(name, folders=(settings.models_folder,))
        except WindowfitError as error:
            print(f"{name:52} skipped: {error.message}")
            continue
        asked = candidates_of(found, searcher.index, counter)
        one = measure_planning(name, asked, counter, repeats)
        planning.append(one)
        print(
            f"{name:52} plan {one.plan_ms:6.2f} ms (p95 {one.plan_p95_ms:6.2f})  tokenize "
            f"{one.tokenize_ms:6.2f} ms  ratio {one.ratio:4.2f}  use {one.window_use:.1%}  "
            f"{'held' if one.held else 'NOT HELD'}"
        )
    counter = load_counter("mistral:v3")
    question, candidates = candidates_of(found[:1], searcher.index, counter)[0]
    repacks = [
        measure_repack(
            question, candidates, counter, tokenizer=tokenizer, repeats=max(5, repeats // 4)
        )
        for tokenizer in (None, "mistral:v3")
    ]
    for repack in repacks:
        print(
            f"LlamaIndex repack ({repack['tokenizer']}) {repack['repack_ms']} ms, "
            f"plan {repack['plan_ms']} ms: {repack['ratio']} times as fast"
        )
    full = measure_full(searcher, repeats=3)
    print(
        f"full plan of {full.prompt_tokens} tokens ({full.documents} documents, {full.percent} %): "
        f"median {full.seconds} s, slowest {full.slowest_seconds} s; "
        f"recounted {full.counted_tokens}"
    )
    fast = all(one.held for one in planning) and all(repack["held"] for repack in repacks)
    held = fast and full.held
    return {
        "planning": [asdict(one) | {"held": one.held} for one in planning],
        "repack": repacks,
        "full": asdict(full) | {"held": full.held},
        "held": held,
    }


def main() -> int:
    """Print the table and a last line of JSON; return 1 where a limit does not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, help="write the results here, too")
    parser.add_argument("--repeats", type=int, default=31, help="runs of each pair and question")
    given = parser.parse_args()
    results = run(given.repeats)
    line = json.dumps(results)
    if given.json:
        given.json.write_text(line + "\n", encoding="utf-8")
    print(line)
    return 0 if results["held"] else 1


if __name__ == "__main__":
    sys.exit(main())
