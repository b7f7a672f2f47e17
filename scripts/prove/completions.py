"""Lets a real vLLM answer 500 planned requests and compares what it read with what was planned.

    python -m scripts.prove.completions [--count 500] [--seed N] [--json FILE]

Every request goes the whole way: search, budget, packing, the call, the check of what was served.
Most prompts have some hundred tokens, some two thousand, and a few fill the window. Answers are a
few tokens long: what is proven is the prompt. Exits with 1 on drift or a refusal for length.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from chunking.document import Document
from chunking.errors import ContextLengthExceeded, WindowfitError
from chunking.split import Splitter
from chunking.tokens import Message
from ingest.job import Ingestion, run_ingest
from ingest.texts import SourceFile, document_file
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.providers import fingerprint_of
from retrieval.writer import IndexWriter
from scripts.prove.fuzz_requests import any_text, any_title
from scripts.vllm_server import DEFAULT_MODELS, running_vllm
from serve.answer import answer
from serve.errors import UpstreamRejected, UpstreamSilentTruncation
from serve.plan import Ask
from serve.profiles import load_profiles
from serve.runtime import Runtime

SEED: Final = 20_261_121
COUNT: Final = 500
PROFILE: Final = "smollm2-135m-8k"
_FULL_WINDOWS: Final = 2
_LONG: Final = 10
_LONG_CONTEXT: Final = 1_800
_SHORT_CONTEXTS: Final = (0, 40, 80, 160)
_OUTPUT_LIMIT: Final = 4
_CALLS_AT_ONCE: Final = 4
_SECONDS_LIMIT: Final = 900
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback: never a proxy


@dataclass(frozen=True, slots=True)
class CompletionsResult:
    """What came of the completions.

    Attributes:
        requests: how many were sent.
        answered: how many were answered.
        drifted: answers whose served prompt tokens were not the planned ones.
        largest_drift: the largest of these differences, in tokens.
        refused_for_length: requests that the server or the planner refused as too long.
        failed: requests that failed for another reason, by its code.
        prompt_tokens: planned tokens of all answers.
        full_windows: answers whose prompt left less than 3 % of the window free.
        longest: the longest prompt.
        seconds: from the first request to the last answer.
    """

    requests: int
    answered: int
    drifted: int
    largest_drift: int
    refused_for_length: int
    failed: dict[str, int]
    prompt_tokens: int
    full_windows: int
    longest: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One answer, or the code of the failure."""

    planned: int = 0
    drift: int | None = None
    full: bool = False
    failure: str = ""
    too_long: bool = False


def run_completions(base_url: str, *, count: int = COUNT, seed: int = SEED) -> CompletionsResult:
    """Answer fuzzed questions on the vLLM at an address and compare its usage with the plans."""
    started = time.perf_counter()
    outcomes = asyncio.run(_answer_all(make_runtime(base_url, seed), make_asks(count, seed)))
    seconds = time.perf_counter() - started
    answered = [outcome for outcome in outcomes if outcome.drift is not None]
    drifts = [abs(outcome.drift) for outcome in answered if outcome.drift]
    failures = [each.failure for each in outcomes if each.failure and not each.too_long]
    return CompletionsResult(
        requests=len(outcomes),
        answered=len(answered),
        drifted=len(drifts),
        largest_drift=max(drifts, default=0),
        refused_for_length=sum(outcome.too_long for outcome in outcomes),
        failed={code: failures.count(code) for code in sorted(set(failures))},
        prompt_tokens=sum(outcome.planned for outcome in answered),
        full_windows=sum(outcome.full for outcome in answered),
        longest=max((outcome.planned for outcome in answered), default=0),
        seconds=round(seconds, 1),
    )


def make_runtime(base_url: str, seed: int) -> Runtime:
    """Return the service's parts over the served model and a small collection in memory."""
    embedder = HashEmbedder()
    splitter = Splitter(embedder.count_tokens, size=80)
    engine = MemoryEngine()
    fingerprint = fingerprint_of(embedder, splitter)
    index = Index.create(engine, "texts", fingerprint)
    run_ingest(_documents(seed), Ingestion(IndexWriter(index), embedder, splitter))
    with _OPENER.open(f"{base_url}/models", timeout=60) as reply:
        served = json.load(reply)["data"][0]["id"]
    profile = replace(
        load_profiles()[PROFILE], base_url=base_url, model=served, timeout_seconds=_SECONDS_LIMIT
    )
    return Runtime(engine, embedder, fingerprint, {PROFILE: profile}, Path(DEFAULT_MODELS))


def _documents(seed: int) -> list[SourceFile]:
    """Documents of many languages, code and control-token text, enough to fill a window."""
    rng = random.Random(seed)
    made = [
        Document(
            id=f"texts/{number}.txt",
            title=any_title(rng),
            source=f"texts/{number}.txt",
            text="\n".join(any_text(rng, 4) for _ in range(14)),
        )
        for number in range(30)
    ]
    return [document_file(item) for item in made]


def make_asks(count: int, seed: int) -> list[Ask]:
    """Return questions with and without history and context; the first ones fill the window."""
    rng = random.Random(seed)
    return [
        Ask(
            question=any_text(rng, 1).strip() or "What is the capital of Peru?",
            collection="texts",
            model=PROFILE,
            max_output_tokens=rng.randint(1, _OUTPUT_LIMIT),
            max_context_tokens=_context_limit(rng, number),
            history=tuple(
                Message("user" if turn % 2 == 0 else "assistant", any_text(rng, 1))
                for turn in range(2 * rng.choice((0, 0, 0, 1, 3)))
            ),
            order=rng.choice(("relevance", "document")),
        )
        for number in range(count)
    ]


def _context_limit(rng: random.Random, number: int) -> int | None:
    if number < _FULL_WINDOWS:
        return None
    return _LONG_CONTEXT if number < _FULL_WINDOWS + _LONG else rng.choice(_SHORT_CONTEXTS)


async def _answer_all(runtime: Runtime, asks: Sequence[Ask]) -> list[_Outcome]:
    gate = asyncio.Semaphore(_CALLS_AT_ONCE)

    async def one(ask: Ask) -> _Outcome:
        async with gate:
            return await _answer(runtime, ask)

    try:
        return await asyncio.gather(*map(one, asks))
    finally:
        await runtime.close()


async def _answer(runtime: Runtime, ask: Ask) -> _Outcome:
    try:
        report = (await answer(ask, runtime)).report
    except (ContextLengthExceeded, UpstreamSilentTruncation) as error:
        return _Outcome(failure=error.code, too_long=True)
    except UpstreamRejected as error:
        return _Outcome(failure=error.code, too_long=True)  # vLLM's 400, too, is about length
    except WindowfitError as error:
        return _Outcome(failure=error.code)
    drift = None if report.upstream is None else report.upstream.drift
    return _Outcome(report.prompt_tokens, drift, full=report.free <= 0.03 * report.window)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the completions and print the result as JSON; return 1 where one drifted or failed."""
    parser = argparse.ArgumentParser(description="Planned prompt tokens against served ones.")
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--json", type=Path, help="write the result to this file, too")
    options = parser.parse_args(arguments)
    with running_vllm() as base_url:
        result = run_completions(base_url, count=options.count, seed=options.seed)
    text = json.dumps(asdict(result))
    if options.json:
        options.json.write_text(text, encoding="utf-8")
    print(text)
    return 1 if result.drifted or result.answered < result.requests else 0


if __name__ == "__main__":
    sys.exit(main())
