"""Ingests onto disks that are full, or become full, and looks what is there once there is room.

    python -m scripts.prove_ingest.disk [--offsets 100]

`server`: a real Qdrant server keeps its data on a tmpfs of 10 MB, of which another writer leaves
from nothing to all. `server-later`: that writer takes what is left before the n-th write of the
job, for n after n; between the two they share the number of offsets. `edge`: the embedded engine on
a tmpfs of 10 MB; it dies of a full disk, so it refuses to write below 256 MiB. `edge-later`: a
larger tmpfs, of which another writer leaves less than that before the n-th write. Each job must end
with the typed error of a store (exit code 4), and, run again once there is room, in the collection
of an undisturbed run. Prints a table and a last line of JSON; exits with 1 where one did not.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from scripts.prove_ingest.children import BATCH_CHUNKS, Outcome, Place, read_child, run_child
from scripts.prove_ingest.corpus import Corpus
from scripts.prove_ingest.small_disk import SmallDisk, enter_mounts, mounted
from scripts.qdrant_server import Server, running_server, start, status

SMALL: Final = 10 * 1024 * 1024
LARGE: Final = 380 * 1024 * 1024
RESERVE: Final = 256 * 1024 * 1024
"""Below this the embedded engine writes nothing."""
_PAGE: Final = 4096
_UNAVAILABLE: Final = 4
_EDITION: Final = 1
_CORPUS: Final = Corpus(documents=90, lines=4)
"""Of more than a hundred writes, and small enough for a server on 10 MB."""
_LEVELS: Final = 5


@dataclass(slots=True)
class DiskResult:
    """What became of jobs on full disks of one kind.

    Attributes:
        offsets: places at which the disk was full.
        refused: jobs that ended with the typed error of a store; `midway` after they had written.
        done: jobs that ended by themselves, the room being just enough.
        otherwise: jobs that ended in any other way, or hung.
        died: servers that ended on the full disk and were started again.
        changed: stores that grew although nothing could be written; counted for `edge`.
        different: collections that the next run did not complete, or with a defect.
        embedded_again: most chunks embedded twice because of one full disk; a batch is `batch`.
    """

    kind: str
    offsets: int = 0
    refused: int = 0
    midway: int = 0
    done: int = 0
    otherwise: int = 0
    died: int = 0
    changed: int = 0
    different: int = 0
    embedded_again: int = 0
    batch: int = BATCH_CHUNKS
    seconds: float = 0
    _started: float = field(default_factory=time.perf_counter)

    @property
    def held(self) -> bool:
        """Whether each job ended as it should, and nothing was lost or doubled."""
        clean = not (self.otherwise or self.changed or self.different)
        return clean and self.refused > 0 and self.embedded_again <= self.batch

    def note(self, full: Outcome, again: Outcome, *, same: bool, needed: int) -> None:
        """Count one place: the run on the full disk, and the one when there was room."""
        self.offsets += 1
        self.refused += full.exit_code == _UNAVAILABLE
        self.midway += full.exit_code == _UNAVAILABLE and full.writes > 0
        self.done += full.exit_code == 0
        self.otherwise += full.exit_code not in {0, _UNAVAILABLE}
        self.different += not same
        twice = full.embedded + again.embedded - needed
        self.embedded_again = max(self.embedded_again, twice)
        self.seconds = round(time.perf_counter() - self._started, 1)


@dataclass(frozen=True, slots=True)
class Expected:
    """What an undisturbed run leaves: its digest, its chunks and its writes."""

    digest: str
    chunks: int
    writes: int

    def complete(self, place: Place) -> tuple[Outcome, bool]:
        """Run to the end; return how that went and whether all is as it should be."""
        outcome = run_child(place, _CORPUS, _EDITION)
        if outcome.report is None:
            return outcome, False
        digest, _, intact = read_child(place)
        return outcome, intact and digest == self.digest


def on_server(offsets: int, scratch: Path, *, later: bool) -> DiskResult:
    """Return what becomes of jobs on a server whose disk of 10 MB becomes full.

    Args:
        later: whether it does so in the middle of the job.
    """
    result = DiskResult("server-later" if later else "server")
    with _server(scratch) as (server, _):
        expected = _undisturbed(Place(scratch, server.url))
    for number in range(offsets // 2):
        with _server(scratch) as (server, disk):
            place = Place(scratch, server.url)
            if later:
                at = _spread(number, offsets // 2, expected.writes)
                # The server itself stops a little before its disk is full: at each of its levels.
                fill = partial(_fill_before, at, disk, leave=number % _LEVELS * SMALL // 50)
                full = run_child(place, _CORPUS, _EDITION, before_write=fill)
            else:
                disk.fill(leave=_spread(number, offsets // 2, SMALL))
                full = run_child(place, _CORPUS, _EDITION)
            disk.clear()
            if status(scratch / "server") is None:
                result.died += 1
                _start_again(scratch, server)
            again, same = expected.complete(place)
            result.note(full, again, same=same, needed=expected.chunks)
    return result


def on_edge(offsets: int, scratch: Path, *, later: bool) -> DiskResult:
    """Return what becomes of jobs of the embedded engine whose disk is, or becomes, too full."""
    result = DiskResult("edge-later" if later else "edge")
    with mounted(scratch / "disk", LARGE) as disk:
        expected = _undisturbed(Place(disk.folder / "index"))
    for number in range(offsets):
        with mounted(scratch / "disk", LARGE if later else SMALL) as disk:
            place = Place(disk.folder / "index")
            if later:
                at = _spread(number, offsets, expected.writes)
                fill = partial(_fill_before, at, disk, leave=RESERVE - _PAGE)
                full = run_child(place, _CORPUS, _EDITION, before_write=fill)
            else:
                disk.fill(leave=_spread(number, offsets, SMALL))
                full = run_child(place, _CORPUS, _EDITION)
                result.changed += any(path.is_dir() for path in place.folder.glob("*"))
                disk.resize(LARGE)
            disk.clear()
            again, same = expected.complete(place)
            result.note(full, again, same=same, needed=expected.chunks)
    return result


def _fill_before(write: int, disk: SmallDisk, number: int, *, leave: int) -> None:
    if number == write:
        disk.fill(leave=leave)


def _spread(number: int, count: int, over: int) -> int:
    return over * number // count


def _undisturbed(place: Place) -> Expected:
    outcome = run_child(place, _CORPUS, _EDITION)
    if outcome.report is None:
        raise RuntimeError("an undisturbed run failed")
    digest, _, _ = read_child(place)
    return Expected(digest, outcome.embedded, outcome.writes)


@contextmanager
def _server(scratch: Path) -> Iterator[tuple[Server, SmallDisk]]:
    """Yield a server whose data, and nothing else, lie on a disk of 10 MB."""
    with (
        mounted(scratch / "disk", SMALL) as disk,
        running_server(scratch / "server", settings=_settings(scratch)) as server,
    ):
        yield server, disk


def _start_again(scratch: Path, server: Server) -> None:
    port = int(server.url.rpartition(":")[2])
    start(scratch / "server", port=port, settings=_settings(scratch))


def _settings(scratch: Path) -> dict[str, str]:
    return {
        "QDRANT__STORAGE__STORAGE_PATH": str(scratch / "disk" / "storage"),
        "QDRANT__STORAGE__SNAPSHOTS_PATH": str(scratch / "disk" / "snapshots"),
        # What is sized for large collections on many cores would not fit.
        "QDRANT__STORAGE__WAL__WAL_CAPACITY_MB": "1",
        "QDRANT__STORAGE__OPTIMIZERS__DEFAULT_SEGMENT_NUMBER": "1",
    }


KINDS: Final[dict[str, Callable[[int, Path], DiskResult]]] = {
    "server": partial(on_server, later=False),
    "server-later": partial(on_server, later=True),
    "edge": partial(on_edge, later=False),
    "edge-later": partial(on_edge, later=True),
}


def main() -> int:
    """Print a line for each kind and a last line of JSON; return 1 where one did not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--offsets", type=int, default=100)
    parser.add_argument("--kind", nargs="+", choices=list(KINDS), default=list(KINDS))
    given = parser.parse_args()
    reason = enter_mounts("scripts.prove_ingest.disk", sys.argv[1:])
    if reason:
        print(f"skipped: {reason}")
        print(json.dumps({"skipped": reason, "kinds": [], "held": False}))
        return 0
    results = []
    for kind in given.kind:
        with tempfile.TemporaryDirectory() as scratch:
            one = KINDS[kind](given.offsets, Path(scratch))
        results.append(one)
        print(
            f"{kind}: full at {one.offsets} places: {one.refused} jobs refused ({one.midway} in "
            f"mid-job), {one.done} done, "
            f"{one.otherwise} otherwise ({one.died} servers died); {one.changed} refused stores "
            f"changed; with room again {one.different} collections differ, at most "
            f"{one.embedded_again} chunks embedded again (batch {one.batch}); {one.seconds} s",
            flush=True,
        )
    held = all(one.held for one in results)
    print(json.dumps({"kinds": [_told(one) for one in results], "held": held}))
    return 0 if held else 1


def _told(result: DiskResult) -> dict[str, object]:
    return {name: value for name, value in asdict(result).items() if not name.startswith("_")}


if __name__ == "__main__":
    sys.exit(main())
