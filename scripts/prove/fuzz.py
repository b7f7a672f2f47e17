"""Compares our counts of fuzzed requests with independent ones, one tokenizer family at a time.

    python -m scripts.prove.fuzz [--count 10000] [--seed N] [--family mistral:v3 …] [--json FILE]

Mistral's families are counted by mistral-common itself, Hugging Face's by a real vLLM (its
`/tokenize` and its rendered chat completion), OpenAI's by LiteLLM and by the published examples of
OpenAI's cookbook. Two numbers of ours are compared: the sum of the report's parts, as it was
planned, and the count of the final messages. Exits with 1 where a count differs.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

from chunking.counters import HuggingFaceCounter, load_counter
from chunking.tokens import TokenCounter
from scripts.prove.dummy_vllm import MODEL, dummy_model, dummy_vllm
from scripts.prove.fuzz_cookbook import cookbook_differences
from scripts.prove.fuzz_oracles import Oracle, litellm_oracle, mistral_oracle, vllm_oracle
from scripts.prove.fuzz_requests import Planned, Traits, fuzzed
from scripts.vllm_server import DEFAULT_MODELS

SEED: Final = 20_260_122
COUNT: Final = 10_000
FAMILIES: Final[Mapping[str, Traits]] = {
    "mistral:v1": Traits(tools=False),
    "mistral:v2": Traits(calls_together=False),
    "mistral:v3": Traits(),
    "mistral:tekken": Traits(),
    "huggingface:HuggingFaceTB/SmolLM2-135M-Instruct": Traits(odd_orders=True),
    "huggingface:Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF": Traits(odd_orders=True),
    "tiktoken:o200k_base": Traits(tools=False, odd_orders=True),
    "tiktoken:cl100k_base": Traits(tools=False, odd_orders=True),
}
_BATCH: Final = 2500
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Difference:
    """One request whose counts differ; `number` is its place among the requests of the seed."""

    number: int
    planned: int | None
    counted: int | None
    expected: int | None
    sources: int


@dataclass(frozen=True, slots=True)
class FamilyResult:
    """What came of one tokenizer family.

    Attributes:
        oracle: who else counted.
        requests: how many were compared, published examples included.
        differences: how many of our counts were not the oracle's.
        largest: the largest of these differences, in tokens.
        refused: requests that both sides refuse.
        tools: requests with tools, calls or results.
        sources: pieces of documents in all prompts.
        prompt_tokens: tokens of all prompts.
        longest: tokens of the longest prompt.
        seconds: how long it took, the start of a server included.
        first: the first differences.
    """

    family: str
    oracle: str
    requests: int
    differences: int
    largest: int
    refused: int
    tools: int
    sources: int
    prompt_tokens: int
    longest: int
    seconds: float
    first: tuple[Difference, ...]


def run_family(family: str, *, count: int = COUNT, seed: int = SEED) -> FamilyResult:
    """Plan fuzzed requests of one family and compare their counts with the oracle's.

    Raises:
        WindowfitError: the tokenizer cannot be loaded.
        ServerError, PeersUnavailable: the oracle cannot be started.
    """
    started = time.perf_counter()
    # Seeded by text, which gives the same numbers on every machine.
    rng = random.Random(f"{seed}:{family}")
    tally = _Tally()
    with _sides(family) as (counter, name, oracle):
        requests = fuzzed(rng, count, counter=counter, traits=FAMILIES[family])
        while batch := list(islice(requests, _BATCH)):
            tally.add(batch, oracle([planned.body for planned in batch]))
    result = tally.result(family, name)
    if family.startswith("tiktoken:"):
        result = _with_examples(result, counter)
    return replace(result, seconds=round(time.perf_counter() - started, 1))


@contextmanager
def _sides(family: str) -> Iterator[tuple[TokenCounter, str, Oracle]]:
    """Yield our counter, the oracle's name and the oracle; a server is stopped afterwards."""
    provider, _, model = family.partition(":")
    if provider == "mistral":
        yield load_counter(family), "mistral-common", mistral_oracle(model)
    elif provider == "tiktoken":
        yield load_counter(family), "LiteLLM and the cookbook's examples", litellm_oracle(model)
    else:
        with dummy_model(DEFAULT_MODELS / model.rpartition("/")[2]) as folder:
            counter = HuggingFaceCounter(folder)
            with dummy_vllm(folder) as base_url:
                yield counter, "vLLM /tokenize and /render", vllm_oracle(base_url, MODEL)


class _Tally:
    """What was compared so far."""

    def __init__(self) -> None:
        self._all = 0
        self._refused = 0
        self._tools = 0
        self._sources = 0
        self._expected: list[int] = []
        self._differences: list[Difference] = []

    def add(self, batch: Sequence[Planned], expected: Sequence[int | None]) -> None:
        for planned, theirs in zip(batch, expected, strict=True):
            if planned.planned != theirs or planned.counted != theirs:
                self._differences.append(
                    Difference(self._all, planned.planned, planned.counted, theirs, planned.sources)
                )
            elif theirs is None:
                self._refused += 1
            self._all += 1
            self._sources += planned.sources
            roles = {turn["role"] for turn in planned.body["messages"]}
            self._tools += "tools" in planned.body or "tool" in roles
            self._expected.append(theirs or 0)

    def result(self, family: str, oracle: str) -> FamilyResult:
        return FamilyResult(
            family=family,
            oracle=oracle,
            requests=self._all,
            differences=len(self._differences),
            largest=max(map(_size, self._differences), default=0),
            refused=self._refused,
            tools=self._tools,
            sources=self._sources,
            prompt_tokens=sum(self._expected),
            longest=max(self._expected, default=0),
            seconds=0.0,
            first=tuple(self._differences[:_SHOWN]),
        )


def _size(difference: Difference) -> int:
    expected = difference.expected or 0
    return max(abs((ours or 0) - expected) for ours in (difference.planned, difference.counted))


def _with_examples(result: FamilyResult, counter: TokenCounter) -> FamilyResult:
    """Add the cookbook's examples, whose prompt tokens OpenAI's API itself said."""
    differences = cookbook_differences(counter)
    return replace(
        result,
        requests=result.requests + len(differences),
        differences=result.differences + sum(map(bool, differences)),
        largest=max([result.largest, *map(abs, differences)]),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the families; print one line each, then all of it as JSON; return 1 on a difference."""
    parser = argparse.ArgumentParser(description="Our token counts against independent ones.")
    parser.add_argument("--count", type=int, default=COUNT, help="requests for each family")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--family", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--json", type=Path, help="write the results to this file, too")
    options = parser.parse_args(arguments)
    results = []
    for family in options.family:
        result = run_family(family, count=options.count, seed=options.seed)
        print(
            f"{family}: {result.requests} requests, {result.differences} differences, "
            f"largest {result.largest}, {result.seconds:.0f} s, by {result.oracle}",
            file=sys.stderr,
        )
        results.append(asdict(result))
    text = json.dumps({"seed": options.seed, "families": results})
    if options.json:
        options.json.write_text(text, encoding="utf-8")
    print(text)
    return 1 if any(result["differences"] for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
