"""Proves that what may not leave does not: random failures before clouds that count every byte.

    python -m scripts.prove.routing [--runs 10000] [--seed N] [--together 32]

Each run is one request over a corpus of mixed labels, by a random way in (the service's routes,
streams that clients leave, a caller that never routes, as an evaluation), under random rules, while
all model servers fail at random: 429, 500, 503, out of memory, timeouts, resets, cut streams. Every
document, heading and question bears the mark of its label, and the servers look for the marks in
the bytes of their sockets. Prints one JSON object. Exits with 1 where a byte got out that may not,
or where the clouds saw so little that nothing would be proved.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from chunking.sensitivity import Sensitivity
from scripts.prove.routing_servers import FakeServer, Received
from scripts.prove.routing_ways import WAYS, World
from scripts.prove.routing_world import (
    CLOUD_LIMITS,
    DOCUMENTS,
    MARKS,
    RAISED,
    make_runtime,
    marked_counter,
    marked_engine,
)

SEED: Final = 20_261_122
RUNS_OF_A_WORLD: Final = 125
FAILING: Final = 0.4
_RAISED_AFTER_SECONDS: Final = 0.02
LABEL_WEIGHTS: Final = (4, 2, 2, 2)
FEWEST_CLOUD_SHARE: Final = 0.05
"""Requests that reached a cloud, by runs: below this the proof is an empty one."""
EXPECTED: Final = {
    "fell back": 500,
    "kept from a cloud": 500,
    "called a tool": 500,
    "left with text": 500,
    "escalated": 5000,
}
"""What must have happened, and from how many runs on it can be asked for."""


async def prove(runs: int, *, seed: int = SEED, together: int = 32) -> dict[str, Any]:
    """Send the requests, and return what reached the clouds and what became of the requests.

    Args:
        together: requests that are under way at one time.
    """
    started = time.perf_counter()
    chance = random.Random(seed)
    marks = (*MARKS.values(), RAISED)
    near = FakeServer(marks, seed=seed + 1, failing=FAILING)
    far = FakeServer(marks, seed=seed + 2, failing=FAILING)
    counter = marked_counter()
    outcomes: Counter[str] = Counter()
    ways: Counter[str] = Counter()
    routes: Counter[str] = Counter()
    raised = 0
    async with near.running(), far.running():
        for number, size in enumerate(_sizes(runs)):
            labels = chance.choices(list(Sensitivity), weights=LABEL_WEIGHTS, k=DOCUMENTS)
            engine = marked_engine(counter, labels)
            limit = CLOUD_LIMITS[number % len(CLOUD_LIMITS)]
            world = World(
                make_runtime(engine, counter, near=near, far=far, chance=chance, limit=limit),
                chance,
                labels,
            )
            plan = [chance.choice(list(WAYS)) for _ in range(size)]
            raised += await _run_world(world, plan, together, far)
            await world.close()
            ways.update(plan)
            outcomes.update(world.outcomes)
            routes.update(world.routes)
    seconds = round(time.perf_counter() - started, 1)
    return {
        "runs": runs,
        "seed": seed,
        "seconds": seconds,
        "ways": dict(ways),
        "outcomes": dict(outcomes.most_common()),
        "routes": dict(routes.most_common()),
        "cloud": {limit: _account(limit, seen) for limit, seen in far.received.items()},
        "local": _account(Sensitivity.RESTRICTED, near.received.get("local", Received())),
        "leaked_marks": sum(_leaked(limit, seen) for limit, seen in far.received.items()),
        "raised_marks": raised,
        "restricted_bytes": sum(_restricted_bytes(seen) for seen in far.received.values()),
    }


def judge(found: Mapping[str, Any]) -> list[str]:
    """Return what speaks against the proof; nothing where it holds."""
    said = []
    if found["restricted_bytes"]:
        said.append(f"{found['restricted_bytes']} bytes of restricted marks reached a cloud")
    if found["raised_marks"]:
        said.append(f"{found['raised_marks']} marks reached a cloud after their label was raised")
    if found["leaked_marks"]:
        said.append(f"{found['leaked_marks']} marks above the limit reached a cloud")
    reached = sum(cloud["requests"] for cloud in found["cloud"].values())
    if reached < FEWEST_CLOUD_SHARE * found["runs"]:
        said.append(f"only {reached} requests reached a cloud in {found['runs']} runs")
    said += [
        f"nothing {what}"
        for what, runs in EXPECTED.items()
        if found["runs"] >= runs and not found["routes"].get(what)
    ]
    if not found["local"]["marks"].get(Sensitivity.RESTRICTED):
        said.append("no restricted text reached a local model either")
    return said


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the proof and print what was found."""
    parser = argparse.ArgumentParser(description="Prove that restricted text reaches no cloud.")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--together", type=int, default=32)
    given = parser.parse_args(arguments)
    found = asyncio.run(prove(given.runs, seed=given.seed, together=given.together))
    against = judge(found)
    print(json.dumps({**found, "against": against}))
    return 1 if against else 0


async def _run_world(world: World, ways: Sequence[str], together: int, far: FakeServer) -> int:
    """Run one half, raise labels at its end, and run the other; return what left in spite of that.

    Requests that are under way then may be past the last look at their labels, so that marks count
    from the other half on.
    """
    half = len(ways) // 2
    raising = half - together // 2
    await _run_all(world, ways[:raising], together)
    async with asyncio.TaskGroup() as group:
        group.create_task(_run_all(world, ways[raising:half], together))
        await asyncio.sleep(_RAISED_AFTER_SECONDS)
        await asyncio.to_thread(world.raise_labels)
    before = _raised_marks(far)
    await _run_all(world, ways[half:], together)
    return _raised_marks(far) - before


def _raised_marks(far: FakeServer) -> int:
    return sum(seen.marks[RAISED] for seen in far.received.values())


async def _run_all(world: World, ways: Sequence[str], together: int) -> None:
    turns = asyncio.Semaphore(together)

    async def run(way: str) -> None:
        async with turns:
            await world.run(way)

    async with asyncio.TaskGroup() as group:
        for way in ways:
            group.create_task(run(way))


def _sizes(runs: int) -> list[int]:
    """Return the runs of each world, so that rules and labels change often."""
    whole, rest = divmod(runs, RUNS_OF_A_WORLD)
    return [RUNS_OF_A_WORLD] * whole + ([rest] if rest else [])


def _account(limit: str, seen: Received) -> dict[str, Any]:
    marks = {label: seen.marks[mark] for label, mark in MARKS.items()}
    return {
        "limit": limit,
        "requests": seen.requests,
        "bytes": seen.bytes,
        "marks": marks,
        "behaviours": dict(seen.behaviours.most_common()),
    }


def _leaked(limit: str, seen: Received) -> int:
    return sum(seen.marks[mark] for label, mark in MARKS.items() if label > Sensitivity(limit))


def _restricted_bytes(seen: Received) -> int:
    mark = MARKS[Sensitivity.RESTRICTED]
    return seen.marks[mark] * len(mark)


if __name__ == "__main__":
    sys.exit(main())
