"""Times every way to chunk the same documents, in turns; runs among the peers.

    python -m scripts.bench_chunk_worker DOCUMENTS.jsonl TOKENIZER --rounds 5 --size 200

In every round each way chunks all documents once, made anew before the clock starts: nothing is
remembered from the round before, but from one document to the next it may be. What is counted is
processor time, so that other processes count as little as may be; ratios are medians over rounds of
the ratio within a round. A way that is slow in the first round is not run in the others.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import json
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from chunking.document import Document
from scripts.bench_chunk_arms import KNOWN, PLAIN, WINDOWFIT, Arm, arms, load
from scripts.bench_documents import ratio, read_documents

SLOW = 2.5
"""A peer that takes so many times the fastest one's time is not run again."""
PACKAGES = (
    "chonkie",
    "langchain-text-splitters",
    "llama-index-core",
    "semantic-text-splitter",
    "semchunk",
    "tiktoken",
    "tokenizers",
)
WARM_CHARACTERS = 20_000


def timed(arm: Arm, documents: Iterable[Document]) -> tuple[float, int]:
    """Return the seconds of processor time that an arm takes, and how many chunks it makes."""
    way = arm.begin()
    gc.collect()
    start = time.process_time()
    chunks = sum(len(way(document)) for document in documents)
    return time.process_time() - start, chunks


def measure(
    ways: Sequence[Arm], documents: Sequence[Document], rounds: int
) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Return the seconds of each arm in each round that it ran in, and its number of chunks."""
    seconds: dict[str, list[float]] = {arm.name: [] for arm in ways}
    chunks: dict[str, int] = {}
    order = list(ways)
    for number in range(rounds):
        for arm in order:
            taken, chunks[arm.name] = timed(arm, documents)
            seconds[arm.name].append(taken)
            print(f"{number + 1} {arm.name} {taken:.2f} s", file=sys.stderr)
        if not number:
            fastest = min(seconds[arm.name][0] for arm in ways if arm.peer)
            order = [a for a in order if not a.peer or seconds[a.name][0] <= SLOW * fastest]
        order = order[1:] + order[:1]
    return seconds, chunks


def warm_up(ways: Iterable[Arm], documents: Sequence[Document]) -> None:
    """Let every way load what it loads once."""
    text = documents[0].text[:WARM_CHARACTERS]
    for arm in ways:
        if arm.name != KNOWN:
            arm.begin()(Document("warm", text, title="", source="warm"))


def main() -> int:
    """Print a line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("documents", type=Path)
    parser.add_argument("tokenizer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=200)
    given = parser.parse_args()
    documents = read_documents(given.documents)
    text = load(given.tokenizer)
    ways = arms(text, given.size)
    warm_up(ways, documents)
    known = next(arm for arm in ways if arm.name == KNOWN)
    timed(known, documents)
    gc.freeze()
    seconds, chunks = measure(ways, documents, given.rounds)
    tokens = sum(text.count(document.text) for document in documents)
    print(json.dumps(summary(ways, seconds, chunks, tokens, documents)))
    return 0


def summary(
    ways: Sequence[Arm],
    seconds: dict[str, list[float]],
    chunks: dict[str, int],
    tokens: int,
    documents: Sequence[Document],
) -> dict[str, Any]:
    """Return everything that was measured, and the two ratios that are promised."""
    rows: list[dict[str, Any]] = [
        {
            "name": arm.name,
            "peer": arm.peer,
            "at_seams": arm.at_seams,
            "rounds": len(seconds[arm.name]),
            "seconds": round(statistics.median(seconds[arm.name]), 3),
            "rate": round(tokens / statistics.median(seconds[arm.name])),
            "to_plain": round(ratio(seconds, arm.name, PLAIN), 2),
            "to_windowfit": round(ratio(seconds, arm.name, WINDOWFIT), 2),
            "chunks": chunks[arm.name],
        }
        for arm in ways
    ]
    peers = [row for row in rows if row["peer"]]
    characters = sum(len(document.text) for document in documents)
    return {
        "text": f"{len(documents)} documents, {characters:,} characters, {tokens:,} tokens",
        "to_plain": next(row["to_plain"] for row in rows if row["name"] == WINDOWFIT),
        "speedup": min(row["to_windowfit"] for row in peers if row["at_seams"]),
        "speedup_over_all": min(row["to_windowfit"] for row in peers),
        "arms": rows,
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


if __name__ == "__main__":
    sys.exit(main())
