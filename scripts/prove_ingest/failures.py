"""Fails the embedder at every document in turn, and submits one job many times at once.

    python -m scripts.prove_ingest.failures [--documents 200] [--submissions 100]

Prints a table and a last line of JSON; exits with 1 where a collection is not what an undisturbed
run leaves.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from chunking.errors import StoreLocked
from ingest import job
from ingest.job import run_ingest
from ingest.verify import verify
from retrieval.memory import MemoryEngine, MemoryPointStore
from retrieval.points import Engine, Vector
from retrieval.qdrant.engine import QdrantEngine
from scripts.prove_ingest.children import BATCH_CHUNKS, digest_of
from scripts.prove_ingest.corpus import (
    COLLECTION,
    DIMENSION,
    Corpus,
    begin,
    embedder,
    open_index,
)
from scripts.qdrant_server import running_server

_PATIENCE_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class FailuresResult:
    """What became of a collection whose embedder failed once, for every document in turn.

    Attributes:
        failed: runs that the failure broke off.
        different: collections that the next run did not complete.
        embedded_again: most chunks embedded twice because of one failure.
    """

    documents: int
    failed: int
    different: int
    embedded_again: int
    batch: int
    seconds: float

    @property
    def held(self) -> bool:
        """Whether nothing was lost or doubled."""
        return not self.different and self.failed > 0 and self.embedded_again <= self.batch


@dataclass(frozen=True, slots=True)
class SubmissionsResult:
    """What became of one job submitted many times at once.

    Attributes:
        done: submissions that ran; `refused` were told that another one runs.
        embedded: chunks embedded by all of them; `needed` by one.
        different: whether the collection is not what one run leaves, or has a defect.
    """

    submissions: int
    done: int
    refused: int
    embedded: int
    needed: int
    different: bool
    seconds: float

    @property
    def held(self) -> bool:
        """Whether each was either done or refused, and the work was done once."""
        accounted = self.done + self.refused == self.submissions and self.done > 0
        return accounted and not self.different and self.embedded == self.needed


@dataclass(slots=True)
class FailingEmbedder:
    """Fails once, on the first batch that holds a text of one document; counts what it embeds."""

    title: str
    embedded: int = 0
    failed: bool = False
    name: str = f"hash:{DIMENSION}"
    dimension: int = DIMENSION
    input_limit: int = 256

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See `Embedder.count_tokens`."""
        return embedder().count_tokens(texts)

    def embed(self, texts: Sequence[str]) -> Vector:
        """See `Embedder.embed`."""
        if not self.failed and any(text.startswith(f"{self.title}\n") for text in texts):
            self.failed = True
            raise ConnectionError("the embedder failed")
        self.embedded += len(texts)
        return embedder().embed(texts)

    def embed_stream(self, batches: Iterable[Sequence[str]]) -> Generator[Vector, None, None]:
        """See `Embedder.embed_stream`."""
        yield from map(self.embed, batches)


def fail_everywhere(documents: int) -> FailuresResult:
    """Return what a failure at each document does to a first ingestion."""
    started = time.perf_counter()
    job.BATCH_CHUNKS = BATCH_CHUNKS
    corpus = Corpus(documents=documents, lines=6)
    expected, needed = _undisturbed(corpus)
    failed = different = again = 0
    for document in corpus.edition(2):
        engine = MemoryEngine()
        failing = FailingEmbedder(document.title)
        for _ in range(2):
            ingestion = replace(begin(open_index(engine)), embedder=failing)
            try:
                run_ingest(corpus.files(2), ingestion, prune=True)
            except ConnectionError:
                failed += 1
        different += digest_of(engine.open(COLLECTION)) != expected
        again = max(again, failing.embedded - needed)
    seconds = round(time.perf_counter() - started, 1)
    return FailuresResult(documents, failed, different, again, BATCH_CHUNKS, seconds)


def _undisturbed(corpus: Corpus) -> tuple[str, int]:
    engine = MemoryEngine({COLLECTION: MemoryPointStore(DIMENSION)})
    report = run_ingest(corpus.files(2), begin(open_index(engine)), prune=True)
    return digest_of(engine.open(COLLECTION)), report.embedded_chunks


def submit_at_once(engine: Engine, submissions: int) -> SubmissionsResult:
    """Return what becomes of one job that many submit at the same moment."""
    started = time.perf_counter()
    corpus = Corpus()
    expected, needed = _undisturbed(corpus)
    barrier = threading.Barrier(submissions)

    def submit(_: int) -> int | None:
        index = open_index(engine)
        barrier.wait(_PATIENCE_SECONDS)
        try:
            return run_ingest(corpus.files(2), begin(index), prune=True).embedded_chunks
        except StoreLocked:
            return None

    open_index(engine)
    with ThreadPoolExecutor(submissions) as pool:
        embedded = list(pool.map(submit, range(submissions)))
    done = [count for count in embedded if count is not None]
    same = digest_of(engine.open(COLLECTION)) == expected and verify(open_index(engine)).intact
    return SubmissionsResult(
        submissions=submissions,
        done=len(done),
        refused=submissions - len(done),
        embedded=sum(done),
        needed=needed,
        different=not same,
        seconds=round(time.perf_counter() - started, 1),
    )


def main() -> int:
    """Print what was found and a last line of JSON; return 1 where something did not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--submissions", type=int, default=100)
    given = parser.parse_args()
    failures = fail_everywhere(given.documents)
    print(
        f"embedder failing at each of {failures.documents} documents: {failures.failed} runs broke "
        f"off, {failures.different} collections differ, at most {failures.embedded_again} chunks "
        f"embedded again (batch {failures.batch}); {failures.seconds} s",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as server:
        engine = QdrantEngine(server.url)
        submitted = submit_at_once(engine, given.submissions)
        engine.close()
    print(
        f"one job submitted {submitted.submissions} times at once: {submitted.done} ran, "
        f"{submitted.refused} refused, {submitted.embedded} chunks embedded of {submitted.needed} "
        f"needed, {'a different' if submitted.different else 'the same'} collection; "
        f"{submitted.seconds} s"
    )
    held = failures.held and submitted.held
    result = {"failures": asdict(failures), "submissions": asdict(submitted), "held": held}
    print(json.dumps(result))
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
