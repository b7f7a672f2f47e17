"""Kills a real Qdrant server while it is written to, starts it again, and looks what became of it.

    python -m scripts.prove_ingest.restarts [--restarts 20]

In the middle of each job the server is killed with SIGKILL and started on the same storage, now and
then before the job has given up, now and then after. A job ends by itself, or with a typed error
(exit code 4), and then it is run again: points, payloads and vectors must be those of a collection
that was never disturbed. Prints a table and a last line of JSON; exits with 1 where a job ended
otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.prove.parts import conclude
from scripts.prove_ingest.children import BATCH_CHUNKS, Outcome, run_child
from scripts.prove_ingest.kills import Bench
from scripts.qdrant_server import Server, running_server, start

TRANSPORTS: Final = ("rest", "grpc")
_UNAVAILABLE: Final = 4
"""The exit code of a job whose store failed."""
_MOST_SECONDS_DOWN: Final = 1.5
"""A client asks again within 0.8 seconds, so that some jobs live through it and some do not."""
_MIDDLE: Final = (0.1, 0.8)
"""The shares of an undisturbed run between which the server is killed."""


@dataclass(frozen=True, slots=True)
class RestartsResult:
    """What became of jobs whose server was killed and started again, over one transport.

    Attributes:
        landed: restarts whose kill came while the job was under way.
        survived: jobs that ended by themselves; `failed` with a typed error and exit code 4.
        otherwise: jobs that ended in any other way, or hung.
        different: collections that were not those of an undisturbed run, or had a defect.
        embedded_again: most chunks embedded twice because of one restart; a batch is `batch`.
        longest_seconds: the longest job that a restart disturbed.
    """

    transport: str
    restarts: int
    landed: int
    survived: int
    failed: int
    otherwise: int
    different: int
    embedded_again: int
    batch: int
    longest_seconds: float
    seconds: float

    @property
    def held(self) -> bool:
        """Whether nothing was lost or doubled, and each job ended as it should."""
        clean = not self.different and not self.otherwise and self.landed > 0
        return clean and self.embedded_again <= self.batch


def measure(transport: str, restarts: int, seed: int) -> RestartsResult:
    """Return what restarts of the server do to jobs over one transport."""
    started = time.perf_counter()
    chance = random.Random(f"{transport}/{seed}")
    outcomes: list[Outcome] = []
    landed = different = again = 0
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder, "server")) as server:
        grpc_port = server.grpc_port if transport == "grpc" else None
        bench = Bench(Path(folder), server.url, grpc_port)
        for _ in range(restarts):
            place = bench.reset()
            moment = chance.uniform(*_MIDDLE) * bench.seconds
            disturb = _restart_after(Path(folder, "server"), server, moment, chance)
            outcome = run_child(place, bench.corpus, 2, meanwhile=disturb)
            same, embedded = bench.finish(place)
            outcomes.append(outcome)
            landed += moment < outcome.seconds
            different += not same
            again = max(again, outcome.embedded + embedded - bench.chunks)
    ends = [outcome.exit_code for outcome in outcomes]
    return RestartsResult(
        transport=transport,
        restarts=restarts,
        landed=landed,
        survived=ends.count(0),
        failed=ends.count(_UNAVAILABLE),
        otherwise=len(ends) - ends.count(0) - ends.count(_UNAVAILABLE),
        different=different,
        embedded_again=again,
        batch=BATCH_CHUNKS,
        longest_seconds=round(max(outcome.seconds for outcome in outcomes), 1),
        seconds=round(time.perf_counter() - started, 1),
    )


def _restart_after(
    folder: Path, server: Server, moment: float, chance: random.Random
) -> Callable[[], None]:
    """Return what kills the server of a folder at a moment and starts it at the same addresses."""
    down = chance.uniform(0, _MOST_SECONDS_DOWN)
    port = int(server.url.rpartition(":")[2])
    settings = {"QDRANT__SERVICE__GRPC_PORT": str(server.grpc_port)}

    def restart() -> None:
        time.sleep(moment)
        pid = json.loads((folder / "server.json").read_text("utf-8"))["pid"]
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        time.sleep(down)
        start(folder, port=port, settings=settings)

    return restart


def main() -> int:
    """Print a line for each transport and a last line of JSON; return 1 where one did not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--transport", nargs="+", choices=TRANSPORTS, default=list(TRANSPORTS))
    parser.add_argument("--seed", type=int, default=4)
    given = parser.parse_args()
    results = []
    for transport in given.transport:
        one = measure(transport, given.restarts, given.seed)
        results.append(one)
        print(
            f"{transport}: {one.restarts} restarts ({one.landed} in mid-job): {one.survived} jobs "
            f"went on, {one.failed} ended with a typed error, {one.otherwise} otherwise; "
            f"{one.different} collections differ, at most {one.embedded_again} chunks embedded "
            f"again (batch {one.batch}); longest job {one.longest_seconds} s; {one.seconds} s",
            flush=True,
        )
    return conclude("transports", results)


if __name__ == "__main__":
    sys.exit(main())
