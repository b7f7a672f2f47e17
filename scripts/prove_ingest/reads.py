"""Reads a collection while it is ingested again and again, and looks for half a document.

    python -m scripts.prove_ingest.reads [--reads 10000] [--engine edge qdrant]

A writer brings the collection from one edition to the other and back. Each read takes the chunks of
one document, or now and then of all: they must be those of one edition. Prints a table and a last
line of JSON; exits with 1 where a read saw anything else.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from ingest.job import run_ingest
from retrieval.catalog import Catalog
from retrieval.edge.engine import EdgeEngine
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.points import Engine
from retrieval.qdrant.engine import QdrantEngine
from retrieval.writer import GRACE_SECONDS
from scripts.prove.parts import conclude
from scripts.prove_ingest.corpus import DIMENSION, Corpus, begin, chunk_texts, open_index
from scripts.qdrant_server import running_server

ENGINES: Final = ("memory", "edge", "qdrant")
_EVERYTHING_EVERY: Final = 50
_ANY_VECTOR: Final = np.full(DIMENSION, DIMENSION**-0.5, dtype=np.float32)
_ALL: Final = 10_000

Texts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadsResult:
    """What readers saw while one engine's collection was ingested again.

    Attributes:
        torn: reads that saw chunks of neither edition, or of both.
        runs: ingestions that ended meanwhile.
        old, new: reads that saw the first edition of a document that differs, or the second.
        p99_ms: of a read.
    """

    engine: str
    reads: int
    torn: int
    runs: int
    old: int
    new: int
    p99_ms: float
    seconds: float

    @property
    def held(self) -> bool:
        """Whether no read was torn, and both editions were seen."""
        return not self.torn and self.runs > 1 and min(self.old, self.new) > 0


class Readings:
    """Reads at random and judges what was read."""

    def __init__(self, index: Index, corpus: Corpus, seed: int) -> None:
        self._index = index
        self._chance = random.Random(seed)
        self._editions = [chunk_texts(corpus.edition(number)) for number in (1, 2)]
        self._names = sorted(self._editions[0].keys() | self._editions[1].keys())
        self.seen = {"torn": 0, "old": 0, "new": 0}
        self.milliseconds: list[float] = []

    def read(self, number: int) -> None:
        """Read one document, or every fiftieth time all of them."""
        whole = number % _EVERYTHING_EVERY == 0
        wanted = self._names if whole else [self._chance.choice(self._names)]
        started = time.perf_counter()
        if whole:
            found = self._index.steady(self._everything)
        else:
            found = self._index.steady(partial(self._document, wanted[0]))
        self.milliseconds.append(1000 * (time.perf_counter() - started))
        for name in wanted:
            self._judge(name, found.get(name, ()))

    def _document(self, name: str, catalog: Catalog) -> dict[str, Texts]:
        where = {"document": (name,)}
        hits = self._index.search(_ANY_VECTOR, limit=_ALL, where=where, catalog=catalog)
        return {name: tuple(sorted(hit.chunk.text for hit in hits))}

    def _everything(self, catalog: Catalog) -> Mapping[str, Texts]:
        found: dict[str, list[str]] = {}
        for hit in self._index.read(catalog=catalog):
            found.setdefault(hit.chunk.document, []).append(hit.chunk.text)
        return {name: tuple(sorted(texts)) for name, texts in found.items()}

    def _judge(self, name: str, texts: Texts) -> None:
        old, new = (edition.get(name, ()) for edition in self._editions)
        if texts not in (old, new):
            self.seen["torn"] += 1
        elif old != new:
            self.seen["old" if texts == old else "new"] += 1


def measure(engine_name: str, reads: int, seed: int) -> ReadsResult:
    """Return what so many reads saw on one engine."""
    corpus = Corpus()
    with _engines(engine_name) as (engine, other):
        run_ingest(corpus.files(1), begin(open_index(engine)), prune=True)
        readings = Readings(open_index(engine), corpus, seed)
        runs: list[int] = []
        stop = threading.Event()

        def write() -> None:
            # As another process has it: an index of its own, and on a server its own connection.
            index = open_index(other)
            while not stop.is_set():
                edition = 2 - len(runs) % 2
                ingestion = begin(index, grace_seconds=GRACE_SECONDS)
                run_ingest(corpus.files(edition), ingestion, prune=True)
                runs.append(edition)

        writer = threading.Thread(target=write)
        writer.start()
        started = time.perf_counter()
        number = 0
        # On a fast engine the reads go on until both editions have come at least once.
        while number < reads or (len(runs) < 2 and writer.is_alive()):  # noqa: PLR2004
            readings.read(number)
            number += 1
        stop.set()
        writer.join()
    return ReadsResult(
        engine=engine_name,
        reads=number,
        torn=readings.seen["torn"],
        runs=len(runs),
        old=readings.seen["old"],
        new=readings.seen["new"],
        p99_ms=round(float(np.percentile(readings.milliseconds, 99)), 2),
        seconds=round(time.perf_counter() - started, 1),
    )


@contextmanager
def _engines(name: str) -> Iterator[tuple[Engine, Engine]]:
    """Yield an engine for the reader and one for the writer: the same, but for a server."""
    with tempfile.TemporaryDirectory() as folder:
        if name == "qdrant":
            with running_server(Path(folder)) as server:
                engine, other = QdrantEngine(server.url), QdrantEngine(server.url)
                yield engine, other
                engine.close()
                other.close()
            return
        embedded: Engine = MemoryEngine() if name == "memory" else EdgeEngine(Path(folder))
        yield embedded, embedded
        embedded.close()


def main() -> int:
    """Print a line for each engine and a last line of JSON; return 1 where one did not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--reads", type=int, default=10_000)
    parser.add_argument("--engine", nargs="+", choices=ENGINES, default=["edge", "qdrant"])
    parser.add_argument("--seed", type=int, default=4)
    given = parser.parse_args()
    results = []
    for engine in given.engine:
        one = measure(engine, given.reads, given.seed)
        results.append(one)
        print(
            f"{engine}: {one.reads} reads during {one.runs} ingestions: {one.torn} torn "
            f"({one.old} saw the old version of a document that differs, {one.new} the new one); "
            f"p99 {one.p99_ms} ms; {one.seconds} s",
            flush=True,
        )
    return conclude("engines", results)


if __name__ == "__main__":
    sys.exit(main())
