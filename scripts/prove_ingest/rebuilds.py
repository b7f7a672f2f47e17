"""Kills rebuilds before and behind every write, and reads the collection while it is rebuilt.

    python -m scripts.prove_ingest.rebuilds [--documents 12] [--engine edge qdrant]

A collection that holds one edition is rebuilt from the next by another splitter and embedder. After
each kill the collection must be readable as it was or as it is to be; run again, the rebuild must
leave the points, payloads and vectors of an ingestion into an empty store, and no other place. Then
readers hammer a collection that is rebuilt again and again. Prints a line for each engine and a
last line of JSON; exits with 1 where something did not hold.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chunking.document import Document
from chunking.errors import EmbeddingModelMismatch, WindowfitError
from chunking.split import Splitter
from ingest.job import Ingestion, run_ingest
from ingest.rebuild import run_rebuild
from ingest.texts import document_file
from ingest.verify import verify
from retrieval.edge.engine import EdgeEngine
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.ledger import LEDGER
from retrieval.memory import MemoryEngine
from retrieval.points import Engine
from retrieval.providers import fingerprint_of
from retrieval.qdrant.engine import QdrantEngine
from retrieval.writer import GRACE_SECONDS, IndexWriter
from scripts.prove.parts import conclude
from scripts.prove_ingest.children import digest_of
from scripts.prove_ingest.corpus import COLLECTION, Corpus
from scripts.prove_ingest.fuse import Fuse, FusedEngine
from scripts.qdrant_server import running_server

ENGINES: Final = ("edge", "qdrant")
_FORK = multiprocessing.get_context("fork")
_SECONDS_LIMIT: Final = 120


@dataclass(frozen=True, slots=True)
class Cut:
    """How a collection is cut and embedded."""

    dimension: int
    size: int

    @property
    def embedder(self) -> HashEmbedder:
        """The embedder."""
        return HashEmbedder(self.dimension)

    @property
    def splitter(self) -> Splitter:
        """The splitter."""
        return Splitter(self.embedder.count_tokens, size=self.size, limit=2 * self.size)

    def open(self, engine: Engine) -> Index:
        """Return the collection, to be read."""
        return Index.open(engine, COLLECTION, fingerprint_of(self.embedder, self.splitter))

    def begin(self, index: Index) -> Ingestion:
        """Return what a run works with."""
        return Ingestion(IndexWriter(index, grace_seconds=0), self.embedder, self.splitter)

    def ingest(self, engine: Engine, documents: Sequence[Document]) -> None:
        """Bring documents into the collection."""
        fingerprint = fingerprint_of(self.embedder, self.splitter)
        index = Index.create(engine, COLLECTION, fingerprint)
        run_ingest(map(document_file, documents), self.begin(index))

    def rebuild(
        self, engine: Engine, documents: Sequence[Document], *, grace_seconds: float = 0
    ) -> None:
        """Rebuild the collection from documents, and from those that it holds besides."""
        run_rebuild(
            list(map(document_file, documents)),
            engine,
            COLLECTION,
            self.begin,
            fingerprint=fingerprint_of(self.embedder, self.splitter),
            grace_seconds=grace_seconds,
        )


OLD: Final = Cut(dimension=32, size=40)
NEW: Final = Cut(dimension=48, size=64)


@dataclass(frozen=True, slots=True)
class RebuildsResult:
    """What became of rebuilds on one engine.

    Attributes:
        boundaries: writes of one undisturbed rebuild; it was killed before and behind them.
        different: collections that were not those of an ingestion into an empty store.
        torn: of the kills, those behind which a reader saw neither the old nor the new collection.
        reads: while rebuilds went on; `torn_reads` saw neither or failed.
        rebuilds: that ended meanwhile.
    """

    engine: str
    boundaries: int
    different: int
    torn: int
    reads: int
    torn_reads: int
    rebuilds: int
    seconds: float

    @property
    def held(self) -> bool:
        """Whether nothing was lost, doubled or torn."""
        return not (self.different or self.torn or self.torn_reads) and self.reads > 0


class Bench:
    """One engine with a collection that can be brought back to the first edition."""

    def __init__(self, folder: Path, url: str | None, documents: int) -> None:
        self._folder = folder
        self._url = url
        corpus = Corpus(documents=documents, lines=12)
        self.old, self.new = corpus.edition(1), corpus.edition(2)
        brought = {one.id for one in self.new}
        self.all = [*self.new, *(one for one in self.old if one.id not in brought)]

    def opened(self) -> closing[Engine]:
        """Return the engine, for a `with` statement of this process."""
        engine = EdgeEngine(self._folder) if self._url is None else QdrantEngine(self._url)
        return closing(engine)

    def reset(self) -> None:
        """Leave the first edition alone in the store."""
        if self._url is None:
            shutil.rmtree(self._folder, ignore_errors=True)
        with self.opened() as engine:
            for name in engine.collections():
                engine.drop(name)
            OLD.ingest(engine, self.old)

    def rebuild(self, die_at: float = -1) -> int | None:
        """Rebuild in a process of its own; return its writes, None where it was killed."""
        ours, theirs = _FORK.Pipe(duplex=False)

        def run() -> None:
            fuse = Fuse(die_at)
            with self.opened() as engine:
                NEW.rebuild(FusedEngine(engine, fuse), self.new)
            theirs.send(fuse.writes)

        process = _FORK.Process(target=run)
        process.start()
        theirs.close()
        process.join(_SECONDS_LIMIT)
        try:
            return int(ours.recv()) if ours.poll(0) else None
        except EOFError:
            return None

    def expected(self) -> str:
        """Return the digest of an ingestion into an empty store."""
        engine = MemoryEngine()
        NEW.ingest(engine, self.all)
        return digest_of(engine.open(COLLECTION))

    def shown(self) -> str | None:
        """Return which collection readers see whole: "old" or "new"; None for neither."""
        with self.opened() as engine:
            for cut, documents, name in ((OLD, self.old, "old"), (NEW, self.all, "new")):
                try:
                    return name if texts(cut.open(engine)) == cut_texts(cut, documents) else None
                except EmbeddingModelMismatch:
                    continue
        return None

    def is_as_expected(self, expected: str) -> bool:
        """Return whether the store holds the rebuilt collection and nothing else."""
        with self.opened() as engine:
            index = NEW.open(engine)
            same = digest_of(index.points) == expected
            return same and verify(index).intact and engine.collections() == (index.place, LEDGER)


def texts(index: Index) -> list[str]:
    """Return the texts of all chunks that readers see, sorted."""
    hits = index.steady(lambda catalog: index.read(catalog=catalog))
    return sorted(hit.chunk.text for hit in hits)


def cut_texts(cut: Cut, documents: Sequence[Document]) -> list[str]:
    """Return the texts of the chunks of documents, sorted."""
    return sorted(chunk.text for one in documents for chunk in cut.splitter.split(one))


def kill_at_writes(bench: Bench, every: int = 1) -> tuple[int, int, int]:
    """Return how many writes there are, how many collections differ, how many readers saw half."""
    expected = bench.expected()
    bench.reset()
    writes = bench.rebuild() or 0
    different, torn = int(not (writes and bench.is_as_expected(expected))), 0
    for write in range(0, writes, every):
        for die_at in (write, write + 0.5):
            bench.reset()
            ended = bench.rebuild(die_at)
            torn += bench.shown() is None
            again = bench.rebuild()
            different += ended is not None or again is None or not bench.is_as_expected(expected)
    return writes, different, torn


def read_through(bench: Bench, rebuilds: int, *, readers: int = 2) -> tuple[int, int]:
    """Return how many reads there were, and how many saw neither collection, or failed."""
    bench.reset()
    seen: list[bool] = []
    done = threading.Event()
    with bench.opened() as engine:
        index = OLD.open(engine)
        # By the same cut, so that one reader goes on from the old collection to the new one.
        allowed = [cut_texts(OLD, bench.old), cut_texts(OLD, bench.all)]

        def read() -> None:
            while not done.is_set():
                try:
                    seen.append(texts(index) in allowed)
                except WindowfitError:
                    seen.append(False)

        with ThreadPoolExecutor(readers) as pool:
            reading = [pool.submit(read) for _ in range(readers)]
            try:
                for _ in range(rebuilds):
                    OLD.rebuild(engine, bench.new, grace_seconds=GRACE_SECONDS)
            finally:
                done.set()
            for one in reading:
                one.result()
        return len(seen), len(seen) - sum(seen) + (texts(index) != allowed[1])


def measure(engine: str, documents: int, every: int, rebuilds: int) -> RebuildsResult:
    """Return what kills and readers find of rebuilds on one engine."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, _url(engine, Path(folder)) as url:
        bench = Bench(Path(folder) / "store", url, documents)
        writes, different, torn = kill_at_writes(bench, every)
        reads, torn_reads = read_through(bench, rebuilds)
    seconds = round(time.perf_counter() - started, 1)
    return RebuildsResult(engine, writes, different, torn, reads, torn_reads, rebuilds, seconds)


@contextmanager
def _url(engine: str, folder: Path) -> Iterator[str | None]:
    if engine == "edge":
        yield None
        return
    with running_server(folder / "server") as server:
        yield server.url


def main() -> int:
    """Print a line for each engine and a last line of JSON; return 1 where one did not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--documents", type=int, default=12)
    parser.add_argument("--every", type=int, default=1, help="n to kill at every n-th write")
    parser.add_argument("--rebuilds", type=int, default=4, help="rebuilds under readers")
    parser.add_argument("--engine", nargs="+", choices=ENGINES, default=list(ENGINES))
    given = parser.parse_args()
    results = []
    for engine in given.engine:
        one = measure(engine, given.documents, given.every, given.rebuilds)
        results.append(one)
        print(
            f"{engine}: killed at 1 in {given.every} of {one.boundaries} writes, before "
            f"and behind it: {one.different} collections differ, {one.torn} were half of each; "
            f"{one.torn_reads} of {one.reads} reads torn in {one.rebuilds} rebuilds; "
            f"{one.seconds} s",
            flush=True,
        )
    return conclude("engines", results)


if __name__ == "__main__":
    sys.exit(main())
