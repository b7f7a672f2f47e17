"""Ingests the World Factbook on Ray with a worker killed half-way, and compares every point.

    python -m scripts.prove_ingest.distributed [--entities N] [--workers 2] [--kills 1]
                                               [--embedder hash:64]

The same files are ingested by this process alone and by `--engine ray`; workers that embed are
killed with SIGKILL while they do. Points, payloads and vectors must be the same: exactly with the
hash embedder; with a model within what other batches and threads make of the same text, see
`TOLERANCE`. Prints a table and a last line of JSON; exits with 1 where a point differs, and with 4
where the Factbook is not there.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from chunking.counters import load_counter
from chunking.errors import WindowfitError
from ingest.distributed import RayEngine
from ingest.factbook import factbook_files
from ingest.job import Execute, Ingestion, embed_files, run_ingest
from ingest.tally import IngestReport, Progress
from ingest.texts import SourceFile
from ingest.verify import verify
from retrieval.edge.engine import EdgeEngine
from retrieval.index import Index
from retrieval.points import Point
from retrieval.providers import fingerprint_of, open_embedder, open_splitter
from retrieval.settings import IndexSettings
from retrieval.writer import IndexWriter

COLLECTION: Final = "distributed"
TOLERANCE: Final = {"hash": 0.0}
"""Most difference of a coordinate by provider: none for hashes, which know no batches."""
MODEL_TOLERANCE: Final = 1e-5
"""For models in float32, whose sums depend on the batch in their last bits."""
_PROBE_TOLERANCE: Final = 1e-3
"""A probe is a sum over hundreds of coordinates, rounded."""
_UNSTORED: Final = frozenset({"lease"})
_COMPARED: Final = frozenset({"files", "written", "embedded_chunks", "collection_chunks"})


@dataclass(frozen=True, slots=True)
class DistributedResult:
    """What became of the same files both ways.

    Attributes:
        points: stored by the process alone, documents and chunks.
        different: points that one has and the other has not, or has otherwise.
        vectors_different: vectors that are not the same bit by bit.
        largest_difference: of a coordinate.
        killed: workers killed while they embedded; `restarted` of them were seen again.
        intact: whether `verify` found no defect in what Ray made.
    """

    embedder: str
    files: int
    chunks: int
    points: int
    different: int
    vectors_different: int
    largest_difference: float
    killed: int
    restarted: int
    intact: bool
    seconds_local: float
    seconds_ray: float
    workers: int

    @property
    def held(self) -> bool:
        """Whether nothing was lost, doubled or changed, and the workers were killed at all."""
        return not self.different and self.intact and self.killed > 0


@dataclass(slots=True)
class Killer:
    """Kills workers that embed, each at its share of the way.

    Attributes:
        chunks: embedded chunks at which the next one dies.
    """

    chunks: list[int]
    killed: list[int] = field(default_factory=list)
    restarted: int = 0

    def __call__(self, progress: Progress) -> None:
        """Kill a worker if it is time."""
        if self.chunks and progress.embedded_chunks >= self.chunks[0]:
            before = workers_that_embed()
            if not before:
                return
            self.chunks.pop(0)
            os.kill(before[0], signal.SIGKILL)
            self.killed.append(before[0])
            self.restarted += _wait(lambda: bool(set(workers_that_embed()) - set(before)))


def workers_that_embed(*, below: int | None = None) -> list[int]:
    """Return the numbers of the processes below one that embed for Ray; below this one if None."""
    top = below or os.getpid()
    parents, found = {}, []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int(
                (folder / "stat").read_text().rpartition(")")[2].split()[1]
            )
            if b"_EmbedSlices" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue

    def ours(pid: int) -> bool:
        while pid in parents and pid != top:
            pid = parents[pid]
        return pid == top

    return sorted(filter(ours, found))


def _wait(condition: Callable[[], bool], *, seconds: float = 60) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.1)
    return False


def ingest(
    files: Sequence[SourceFile],
    settings: IndexSettings,
    folder: Path,
    *,
    execute: Execute = embed_files,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> tuple[IngestReport, Mapping[str, Point], bool]:
    """Return the report of a run into an empty store, what it stored, and whether it is intact."""
    engine = EdgeEngine(folder)
    embedder = open_embedder(settings)
    splitter = open_splitter(settings, embedder)
    index = Index.create(engine, COLLECTION, fingerprint_of(embedder, splitter))
    counters = [
        load_counter(name, folders=(settings.models_folder,)) for name in settings.tokenizers
    ]
    ingestion = Ingestion(IndexWriter(index, grace_seconds=0), embedder, splitter, counters)
    report = run_ingest(files, ingestion, execute=execute, on_progress=on_progress)
    stored = {
        point.id: point
        for point in engine.open(COLLECTION).scroll(where={}, vectors=True)
        if point.payload["kind"] not in _UNSTORED
    }
    intact = verify(index).intact
    engine.close()
    return report, stored, intact


def differences(
    ours: Mapping[str, Point], theirs: Mapping[str, Point], *, tolerance: float
) -> tuple[int, int, float]:
    """Return how many points differ, how many vectors not the same to the bit, and by how much."""
    different = vectors = 0
    largest = 0.0
    for name in ours.keys() | theirs.keys():
        one, other = ours.get(name), theirs.get(name)
        if one is None or other is None:
            different += 1
            continue
        distance = _distance(one, other)
        vectors += distance > 0
        largest = max(largest, distance)
        different += distance > tolerance or not _same_payload(one, other, tolerance)
    return different, vectors, largest


def _distance(one: Point, other: Point) -> float:
    if one.vector is None or other.vector is None:
        return 0.0 if one.vector is other.vector else float("inf")
    return float(np.abs(np.asarray(one.vector) - np.asarray(other.vector)).max())


def _same_payload(one: Point, other: Point, tolerance: float) -> bool:
    """Return whether payloads are equal; probes are sums over vectors, and differ as these do."""
    if not tolerance:
        return _plain(one.payload) == _plain(other.payload)
    ours, theirs = dict(one.payload), dict(other.payload)
    probes = ours.pop("probe", []), theirs.pop("probe", [])
    near = len(probes[0]) == len(probes[1]) and np.allclose(*probes, rtol=0, atol=_PROBE_TOLERANCE)
    return bool(near) and _plain(ours) == _plain(theirs)


def _plain(payload: Mapping[str, Any]) -> str:
    return json.dumps(payload, sort_keys=True)


def measure(entities: int | None, workers: int, kills: int, embedder: str) -> DistributedResult:
    """Return what became of the Factbook's first entities, or of all, both ways."""
    settings = IndexSettings.load(embedder=embedder)
    files = factbook_files(settings.factbook)[:entities]
    tolerance = TOLERANCE.get(embedder.partition(":")[0], MODEL_TOLERANCE)
    with tempfile.TemporaryDirectory() as folder:
        local, expected, _ = ingest(files, settings, Path(folder, "local"))
        print(
            f"this process: {local.embedded_chunks:,} chunks in {local.seconds:.1f} s", flush=True
        )
        killer = Killer([local.embedded_chunks * n // (kills + 1) for n in range(1, kills + 1)])
        engine = RayEngine(settings, workers=workers)
        report, found, intact = ingest(
            files, settings, Path(folder, "ray"), execute=engine, on_progress=killer
        )
    same = all(getattr(local, name) == getattr(report, name) for name in _COMPARED)
    different, vectors, largest = differences(expected, found, tolerance=tolerance)
    return DistributedResult(
        embedder=embedder,
        files=report.files,
        chunks=report.embedded_chunks,
        points=len(expected),
        different=different + (not same),
        vectors_different=vectors,
        largest_difference=largest,
        killed=len(killer.killed),
        restarted=killer.restarted,
        intact=intact,
        seconds_local=round(local.seconds, 1),
        seconds_ray=round(report.seconds, 1),
        workers=workers,
    )


def main() -> int:
    """Print a line and a last line of JSON; return 1 where a point differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--entities", type=int, help="entities of the Factbook; all by default")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kills", type=int, default=1, help="workers killed on the way")
    parser.add_argument("--embedder", default="hash:64", help='as "provider:model"')
    given = parser.parse_args()
    try:
        result = measure(given.entities, given.workers, given.kills, given.embedder)
    except WindowfitError as error:
        sys.stderr.write(error.for_shell)
        return 4
    print(
        f"{result.workers} Ray workers, {result.killed} killed: {result.files} files, "
        f"{result.chunks:,} chunks in {result.seconds_ray} s; {result.different} of "
        f"{result.points:,} points differ; vectors by {result.largest_difference:.1e} at most"
    )
    print(json.dumps({**asdict(result), "held": result.held}))
    return 0 if result.held else 1


if __name__ == "__main__":
    sys.exit(main())
