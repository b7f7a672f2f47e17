"""Kills ingestions at random moments and at every write, and compares what the next run makes.

    python -m scripts.prove_ingest.kills [--kills 200] [--engine edge qdrant]

A collection holds one edition; a run that brings it to the next is killed with SIGKILL, up to three
times in a row, and then run to its end. The points, payloads and vectors must be those of a
collection that was never disturbed. Prints a table and a last line of JSON; exits with 1 where a
collection differs.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.prove.parts import conclude
from scripts.prove_ingest.children import BATCH_CHUNKS, Place, read_child, run_child
from scripts.prove_ingest.corpus import COLLECTION, Corpus
from scripts.qdrant_server import running_server

ENGINES: Final = ("edge", "qdrant")
_MOST_KILLS_IN_A_ROW: Final = 3


@dataclass(frozen=True, slots=True)
class KillsResult:
    """What became of killed ingestions on one engine.

    Attributes:
        kills: killed at random moments; `landed` while the run was under way.
        boundaries: writes of one undisturbed run; it was killed before and behind each.
        different: collections that were not those of an undisturbed run, or had a defect.
        embedded_again: most chunks embedded twice because of one kill; a batch is `batch`.
    """

    engine: str
    kills: int
    landed: int
    boundaries: int
    different: int
    embedded_again: int
    batch: int
    seconds: float

    @property
    def held(self) -> bool:
        """Whether nothing was lost or doubled."""
        return not self.different and self.embedded_again <= self.batch


class Bench:
    """One engine with a collection that can be brought back to the first edition."""

    def __init__(
        self,
        folder: Path,
        url: str | None = None,
        grpc_port: int | None = None,
        *,
        corpus: Corpus | None = None,
    ) -> None:
        self.corpus = corpus or Corpus()
        self._url = url
        self._first = Place(folder / "first", url, grpc_port)
        self._place = Place(folder / "now", url, grpc_port)
        run_child(self._first, self.corpus, 1)
        self.expected, self.seconds, self.writes, self.chunks = self._undisturbed()

    def _undisturbed(self) -> tuple[str, float, int, int]:
        place = self.reset()
        outcome = run_child(place, self.corpus, 2)
        if outcome.report is None:
            raise RuntimeError("an undisturbed run failed")
        digest, _, intact = read_child(place)
        if not intact:
            raise RuntimeError("an undisturbed run left a defect")
        return digest, outcome.seconds, outcome.writes, int(outcome.report["embedded_chunks"])

    def reset(self) -> Place:
        """Return the place with the first edition in it."""
        if self._url is None:
            shutil.rmtree(self._place.folder, ignore_errors=True)
            if self._first.folder.exists():
                shutil.copytree(self._first.folder, self._place.folder)
        else:
            engine = self._place.open()
            engine.drop(COLLECTION)
            engine.close()
            run_child(self._place, self.corpus, 1)
        return self._place

    def moment(self, chance: random.Random) -> float:
        """Return a moment of a run, now and then one behind its end."""
        return chance.uniform(0, 1.1 * self.seconds)

    def finish(self, place: Place) -> tuple[bool, int]:
        """Run to the end; return whether all is as it should be, and how much was embedded."""
        outcome = run_child(place, self.corpus, 2)
        digest, _, intact = read_child(place)
        same = outcome.report is not None and intact and digest == self.expected
        return same, outcome.embedded


def kill_at_random(bench: Bench, kills: int, chance: random.Random) -> tuple[int, int, int]:
    """Return how many kills landed, how many collections differ, most chunks embedded again."""
    landed = different = again = done = 0
    while done < kills:
        place = bench.reset()
        row = min(kills - done, chance.randint(1, _MOST_KILLS_IN_A_ROW))
        hits = [
            run_child(place, bench.corpus, 2, kill_after=bench.moment(chance)) for _ in range(row)
        ]
        cut_short = sum(hit.report is None for hit in hits)
        same, embedded = bench.finish(place)
        landed += cut_short
        different += not same
        twice = embedded + sum(hit.embedded for hit in hits) - bench.chunks
        again = max(again, -(-twice // max(1, cut_short)))
        done += row
    return landed, different, again


def kill_at_every_write(bench: Bench) -> tuple[int, int]:
    """Return how many collections differ, and most chunks embedded again."""
    different = again = 0
    for write in range(bench.writes):
        for die_at in (write, write + 0.5):
            place = bench.reset()
            first = run_child(place, bench.corpus, 2, die_at=die_at)
            same, embedded = bench.finish(place)
            different += first.report is not None or not same
            again = max(again, first.embedded + embedded - bench.chunks)
    return different, again


def measure(engine: str, kills: int, seed: int, corpus: Corpus) -> KillsResult:
    """Return what kills do to ingestions on one engine."""
    started = time.perf_counter()
    with _bench(engine, corpus) as bench:
        landed, different, again = kill_at_random(bench, kills, random.Random(seed))
        at_writes, again_at_writes = kill_at_every_write(bench)
        return KillsResult(
            engine=engine,
            kills=kills,
            landed=landed,
            boundaries=bench.writes,
            different=different + at_writes,
            embedded_again=max(again, again_at_writes),
            batch=BATCH_CHUNKS,
            seconds=round(time.perf_counter() - started, 1),
        )


@contextmanager
def _bench(engine: str, corpus: Corpus) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as folder:
        if engine == "edge":
            yield Bench(Path(folder), corpus=corpus)
        else:
            with running_server(Path(folder) / "server") as server:
                yield Bench(Path(folder), server.url, corpus=corpus)


def main() -> int:
    """Print a line for each engine and a last line of JSON; return 1 where one did not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200, help="kills at random moments")
    parser.add_argument("--engine", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--documents", type=int, default=Corpus().documents, help="of the corpus")
    given = parser.parse_args()
    results = []
    for engine in given.engine:
        one = measure(engine, given.kills, given.seed, Corpus(documents=given.documents))
        results.append(one)
        print(
            f"{engine}: {one.kills} kills ({one.landed} landed), 2 x {one.boundaries} at writes: "
            f"{one.different} collections differ, at most {one.embedded_again} chunks embedded "
            f"again (batch {one.batch}); {one.seconds} s",
            flush=True,
        )
    return conclude("engines", results)


if __name__ == "__main__":
    sys.exit(main())
