"""Runs the peers over a file of cases; started in their environment by `peers_environment.py`.

    python -m scripts.prove.peers_worker CASES OUTCOMES [--candidates N] [--window N] [--output N]

No network: a connection that a library tries to open is refused. The last line printed is the
versions of the libraries, as JSON.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NoReturn

from scripts.prove import peers_haystack, peers_langchain, peers_litellm, peers_llamaindex
from scripts.prove.peers_cases import Case, Outcome, read_cases, write_outcomes
from scripts.prove.peers_room import Arm, Room
from scripts.prove.peers_tokens import MistralTokenizer

LIBRARIES: Final = (
    "haystack-ai",
    "langchain-core",
    "litellm",
    "llama-index-core",
    "mistral_common",
    "tiktoken",
)


def arms(room: Room) -> Mapping[str, Arm]:
    """Return every arm by name; those of one library stand together, its defaults first."""
    return {
        **peers_llamaindex.arms(room),
        **peers_langchain.arms(room),
        **peers_haystack.arms(room),
        **peers_litellm.arms(room),
    }


def run_arms(cases: list[Case], room: Room) -> Iterator[Outcome]:
    """Yield the outcome of every arm for every case, arm by arm."""
    for name, run in arms(room).items():
        started = time.perf_counter()
        for case in cases:
            prompts, listed = run(case)
            yield Outcome(name, case.id, prompts, listed)
        seconds = time.perf_counter() - started
        print(f"{name}: {len(cases)} cases in {seconds:.0f} s", file=sys.stderr)


def refuse_network() -> None:
    """Make every connection of this process fail: what is measured needs none."""

    def refuse(*_: object) -> NoReturn:
        raise ConnectionRefusedError("the peer suite runs without network")

    for method in ("connect", "connect_ex"):
        setattr(socket.socket, method, refuse)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Run the peers over a file of cases.")
    parser.add_argument("cases", type=Path)
    parser.add_argument("outcomes", type=Path)
    parser.add_argument("--candidates", type=int, default=None)
    parser.add_argument("--window", type=int, default=8192)
    parser.add_argument("--output", type=int, default=512)
    arguments = parser.parse_args()
    refuse_network()
    room = Room(arguments.window, arguments.output, MistralTokenizer())
    cases = list(read_cases(arguments.cases, candidates=arguments.candidates))
    write_outcomes(arguments.outcomes, run_arms(cases, room))
    print(json.dumps({name: importlib.metadata.version(name) for name in LIBRARIES}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
