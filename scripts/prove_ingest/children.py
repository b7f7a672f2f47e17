"""Runs one ingestion in a process of its own, which may be killed; and reads what it left."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from chunking.errors import WindowfitError
from ingest import job
from ingest.job import run_ingest
from ingest.verify import verify
from retrieval.edge.engine import EdgeEngine
from retrieval.embed import Embedder
from retrieval.points import Engine, PointStore, Vector
from retrieval.qdrant.engine import QdrantEngine
from scripts.prove_ingest.corpus import COLLECTION, Corpus, begin, open_index
from scripts.prove_ingest.fuse import Fuse, FusedStore

BATCH_CHUNKS: Final = 32
_FORK = multiprocessing.get_context("fork")
"""Forked, a run starts in milliseconds; the parent opens no embedded engine that could break."""
_SECONDS_LIMIT: Final = 120
_VOLATILE: Final = frozenset({"lease"})
"""Points that say who writes, not what is stored."""


@dataclass(frozen=True, slots=True)
class Place:
    """A store: a folder of the embedded engine, or the URL of a Qdrant server."""

    folder: Path
    url: str | None = None
    grpc_port: int | None = None

    def open(self) -> Engine:
        """Return the engine, opened by this process."""
        if self.url is None:
            return EdgeEngine(self.folder)
        return QdrantEngine(self.url, grpc_port=self.grpc_port)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run in a process of its own ended.

    Attributes:
        report: what it reported; None where it was killed or failed.
        seconds: how long it took.
        writes: how many writes its store took; 0 where it was killed.
        embedded: how many texts it embedded, also where it was killed.
        error: code of the typed error that it ended with, if any.
        exit_code: with which a command would have ended; None where it was killed, hung, or failed
            without a typed error.
    """

    report: dict[str, Any] | None
    seconds: float
    writes: int = 0
    embedded: int = 0
    error: str = ""
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class MeteredEmbedder:
    """Embeds, and counts the texts where the parent can read the count after a kill."""

    embedder: Embedder
    meter: Any

    @property
    def name(self) -> str:
        """See `Embedder.name`."""
        return self.embedder.name

    @property
    def dimension(self) -> int:
        """See `Embedder.dimension`."""
        return self.embedder.dimension

    @property
    def input_limit(self) -> int:
        """See `Embedder.input_limit`."""
        return self.embedder.input_limit

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See `Embedder.count_tokens`."""
        return self.embedder.count_tokens(texts)

    def embed(self, texts: Sequence[str]) -> Vector:
        """See `Embedder.embed`."""
        self.meter.value += len(texts)
        return self.embedder.embed(texts)

    def embed_stream(self, batches: Iterable[Sequence[str]]) -> Generator[Vector, None, None]:
        """See `Embedder.embed_stream`."""
        yield from map(self.embed, batches)


def run_child(
    place: Place,
    corpus: Corpus,
    edition: int,
    *,
    kill_after: float | None = None,
    die_at: float = -1,
    before_write: Callable[[int], None] = lambda _: None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Outcome:
    """Ingest an edition in another process; one that hangs is killed.

    Args:
        kill_after: seconds after its start at which it is killed.
        die_at: n ends it before its n-th write, n + 0.5 right behind that write, from 0.
        before_write: called in that process before its n-th write, from 0.
        meanwhile: called here as soon as it has started.
    """
    ours, theirs = _FORK.Pipe(duplex=False)
    meter = _FORK.Value("q", 0, lock=False)
    run = partial(_ingest, place, corpus, edition, die_at=die_at, before_write=before_write)
    process = _FORK.Process(target=run, kwargs={"meter": meter, "answers": theirs})
    process.start()
    theirs.close()
    started = time.perf_counter()
    if kill_after is not None:
        process.join(kill_after)
        process.kill()
    meanwhile()
    answer = _receive(ours)
    seconds = time.perf_counter() - started
    if answer is None:
        process.kill()
    process.join(_SECONDS_LIMIT)
    outcome = Outcome(None, seconds, embedded=meter.value)
    return outcome if answer is None else replace(outcome, **answer)


def read_child(place: Place) -> tuple[str, int, bool]:
    """Return a hash over all points, the number of chunks, and whether there is no defect."""
    ours, theirs = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_read, args=(place, theirs))
    process.start()
    theirs.close()
    answer = _receive(ours)
    process.join(_SECONDS_LIMIT)
    if answer is None:
        raise RuntimeError(f"the store at {place} could not be read")
    digest, chunks, intact = answer
    return str(digest), int(chunks), bool(intact)


def _receive(connection: Connection) -> Any:
    try:
        return connection.recv() if connection.poll(_SECONDS_LIMIT) else None
    except EOFError:
        return None


def _ingest(
    place: Place,
    corpus: Corpus,
    edition: int,
    *,
    die_at: float,
    before_write: Callable[[int], None],
    meter: Any,
    answers: Connection,
) -> None:
    job.BATCH_CHUNKS = BATCH_CHUNKS
    writes = 0
    try:
        with closing(place.open()) as engine:
            index = open_index(engine)
            fuse = Fuse(die_at, before_write)
            index.points = FusedStore(index.points, fuse)
            try:
                ingestion = begin(index)
                ingestion = replace(ingestion, embedder=MeteredEmbedder(ingestion.embedder, meter))
                report = run_ingest(corpus.files(edition), ingestion, prune=True)
            finally:
                writes = fuse.writes
    except WindowfitError as error:
        answers.send({"error": error.code, "exit_code": error.exit_code, "writes": writes})
    else:
        answers.send({"report": asdict(report), "exit_code": 0, "writes": writes})


def _read(place: Place, answers: Connection) -> None:
    engine = place.open()
    index = open_index(engine)
    report = verify(index)
    answers.send((digest_of(engine.open(COLLECTION)), report.chunks, report.intact))
    engine.close()


def digest_of(store: PointStore) -> str:
    """Return a hash over everything stored, vectors included, but for who may write."""
    stored = sorted(
        (
            point.id,
            json.dumps(point.payload, sort_keys=True),
            None if point.vector is None else [round(float(x), 5) for x in point.vector],
        )
        for point in store.scroll(where={}, vectors=True)
        if point.payload["kind"] not in _VOLATILE
    )
    return hashlib.sha256(json.dumps(stored).encode()).hexdigest()
