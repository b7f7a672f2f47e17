"""Ingests a folder of hostile files with the real command, and looks what became of each.

    python -m scripts.prove_ingest.torture [--megabytes 1024]

The files of `hostile_files` (empty, cut short, of another kind, bombs, encrypted, links in circles,
pipes, paths for names, one that changes while it is read) stand among good ones. `windowfit ingest
run` must end with exit code 3 in time, with every file ingested or quarantined for a reason, all
good ones ingested, and nothing read that lies outside; run again, it embeds nothing. Prints a table
and a last line of JSON; exits with 1 where anything else happened.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from ingest.sources import list_source
from retrieval.edge.engine import EdgeEngine
from scripts.prove.parts import ROOT
from scripts.prove_ingest.hostile_files import SECRET, good_names, write_hostile
from scripts.prove_ingest.metered import MIB, MIB_LIMIT, Metered, run_metered

COLLECTION: Final = "torture"
ROOT_NAME: Final = "hostile"
FILE_SECONDS_LIMIT: Final = 30.0
RUN_SECONDS_LIMIT: Final = 1800.0
CHILD_MIB_LIMIT: Final = 1024.0
_PARTIAL: Final = 3
_WHOLE_MEGABYTES: Final = 1024
"""A smaller run leaves out the files that are slow, too."""
_CHANGING: Final = "changing.txt"
_CHANGING_BYTES: Final = 4 * MIB
# One document at a time, so that progress tells how long each took, reading to storing.
_START: Final = (
    "from ingest import job; job.BATCH_DOCUMENTS = 1; import windowfit; windowfit.main()"
)


@dataclass(frozen=True, slots=True)
class TortureResult:
    """What became of the hostile files.

    Attributes:
        files: files, and documents of files that hold several; each is in one of the next two.
        quarantined: refused, `unexplained` of them without a reason.
        lost: files of which the report says nothing.
        good, good_ingested: files that must be ingested, and those that were.
        exit_code: of the command; 3 says that some were quarantined.
        longest_seconds: the longest that one file took; `longest_file` names it.
        peak_mib: most resident memory of the process; `all_mib` with its child.
        leaked: whether anything stored holds what lies outside, or anything was written there.
        embedded_again: chunks that the second run embedded.
        same_again: whether the second run set the same files aside.
    """

    files: int
    ingested: int
    quarantined: int
    unexplained: int
    lost: int
    good: int
    good_ingested: int
    exit_code: int | None
    longest_seconds: float
    longest_file: str
    peak_mib: int
    all_mib: int
    leaked: bool
    embedded_again: int
    same_again: bool
    seconds: float

    @property
    def held(self) -> bool:
        """Whether nothing crashed, hung, was lost, leaked or took too much."""
        whole = self.exit_code == _PARTIAL and not (self.unexplained or self.lost)
        bounded = self.peak_mib <= MIB_LIMIT and self.all_mib <= MIB_LIMIT + CHILD_MIB_LIMIT
        again = not self.embedded_again and self.same_again
        good = self.good == self.good_ingested > 0 and not self.leaked
        return whole and bounded and again and good and self.longest_seconds <= FILE_SECONDS_LIMIT


def measure(megabytes: int, *, slow: bool) -> TortureResult:
    """Return what becomes of hostile files.

    Args:
        megabytes: length of the longest line.
        slow: whether those are among them that keep a reader busy until it is stopped.
    """
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, ROOT_NAME)
        write_hostile(root, line_bytes=megabytes * MIB, slow=slow)
        good = good_names(root)
        with _changing(root / _CHANGING):
            names = [file.name for file in list_source(str(root), factbook=root)]
            first = _run(("-c", _START), Path(scratch))
        (root / _CHANGING).unlink()
        again = _run(("-m", "windowfit"), Path(scratch), "--quiet")
        stored, leaked = _stored(Path(scratch))
    return judge_runs(first, again, names=names, good=good, stored=stored, leaked=leaked)


def judge_runs(
    first: Metered,
    again: Metered,
    *,
    names: Sequence[str],
    good: set[str],
    stored: set[str],
    leaked: bool,
) -> TortureResult:
    """Return what two runs over the same files say, the first of them timed file by file.

    Args:
        names: of all documents of the source; `good` of those that must be ingested.
        stored: names of the documents that the collection holds.
        leaked: whether anything stored holds what lies outside, or anything was written there.
    """
    refused = first.report.get("quarantined", [])
    set_aside = [str(one["name"]) for one in refused]
    longest, place = _longest(first.steps)
    known = {name for name in names if name in stored} | set(set_aside)
    changing = f"{ROOT_NAME}/{_CHANGING}"
    later = [str(one["name"]) for one in again.report.get("quarantined", [])]
    return TortureResult(
        files=int(first.report.get("files", 0)),
        ingested=int(first.report.get("written", 0)),
        quarantined=len(refused),
        unexplained=sum(not str(one["reason"]).strip() for one in refused),
        lost=sum(name not in known for name in names),
        good=len(good),
        good_ingested=len(good & stored),
        exit_code=first.exit_code if first.exit_code == again.exit_code else None,
        longest_seconds=round(longest, 1),
        longest_file=names[place] if place < len(names) else "",
        peak_mib=round(max(first.peak_mib, again.peak_mib)),
        all_mib=round(max(first.all_mib, again.all_mib)),
        leaked=leaked,
        embedded_again=int(again.report.get("embedded_chunks", -1)),
        same_again=sorted(later) == sorted(name for name in set_aside if name != changing),
        seconds=round(first.seconds + again.seconds, 1),
    )


def _longest(steps: Sequence[tuple[float, int]]) -> tuple[float, int]:
    """Return the seconds that the slowest file took, and its place in the source."""
    longest, place, before, done = 0.0, 0, 0.0, 0
    for seconds, files in steps:
        # A long document tells of progress several times before it is done.
        if files > done:
            if seconds - before > longest:
                longest, place = seconds - before, done
            before, done = seconds, files
    return longest, place


@contextmanager
def _changing(path: Path) -> Iterator[None]:
    """Have a file written again and again, never twice of one size, until the block is left."""
    stop = threading.Event()
    path.write_bytes(b"")

    def write() -> None:
        number = 0
        while not stop.is_set():
            number = (number + 1) % 1000
            path.write_bytes(b"Never the same. " * (_CHANGING_BYTES // 16 + number))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


def _stored(scratch: Path) -> tuple[set[str], bool]:
    """Return the names of the stored documents, and whether anything came in or went out."""
    with closing(EdgeEngine(scratch / "home" / "index")) as engine:
        points = list(engine.open(COLLECTION).scroll(where={}))
    names = {str(one.payload["id"]) for one in points if one.payload["kind"] == "document"}
    leaked = any(SECRET in str(one.payload.get("text", "")) for one in points)
    places = {path.name for path in scratch.iterdir()} | {
        path.name for path in (scratch / "outside").iterdir()
    }
    return names, leaked or places != {"home", ROOT_NAME, "outside", "secret.txt"}


def _run(program: Sequence[str], scratch: Path, *options: str) -> Metered:
    command = ("ingest", "run", str(scratch / ROOT_NAME), "--collection", COLLECTION, "--json")
    return run_metered(
        (sys.executable, *program, *command, *options),
        environment=_environment(scratch),
        folder=scratch,
        limit_seconds=RUN_SECONDS_LIMIT,
    )


def _environment(scratch: Path) -> Mapping[str, str]:
    return {
        "PYTHONPATH": str(ROOT),
        "WINDOWFIT_HOME": str(scratch / "home"),
        "WINDOWFIT_EMBEDDER": "hash:32",
        # What a link to the environment of the process would bring into the collection.
        "WINDOWFIT_TEST_SECRET": SECRET,
    }


def main() -> int:
    """Print what was found and a last line of JSON; return 1 where something did not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=1024, help="length of the longest line")
    given = parser.parse_args()
    one = measure(given.megabytes, slow=given.megabytes >= _WHOLE_MEGABYTES)
    print(
        f"{one.files} hostile documents and {one.good} good ones among them: exit code "
        f"{one.exit_code}, {one.ingested} ingested, {one.quarantined} quarantined, {one.lost} lost,"
        f" {one.good_ingested} of the good ones ingested; {one.longest_seconds} s at most "
        f"({one.longest_file}); {one.peak_mib} MiB, {one.all_mib} with the reader; run again: "
        f"{one.embedded_again} chunks embedded; {one.seconds} s"
    )
    print(json.dumps({**asdict(one), "line_megabytes": given.megabytes, "held": one.held}))
    return 0 if one.held else 1


if __name__ == "__main__":
    sys.exit(main())
