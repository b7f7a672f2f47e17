"""Ray does what one process does: the same points, whatever dies on the way.

Ray runs in commands of their own, as users have it: starting and ending it leaves nothing in the
process of the tests.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from retrieval.edge.engine import EdgeEngine
from retrieval.points import Point
from scripts.prove_ingest.distributed import differences, workers_that_embed

pytestmark = [pytest.mark.network]

ROOT = Path(__file__).parents[2]
SECONDS = 300
COLLECTION = "c"


class Bench:
    """A folder of sources, and commands that ingest them into stores below it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if "WINDOWFIT" not in name},
            "PYTHONPATH": str(ROOT),
            "WINDOWFIT_EMBEDDER": "hash:64",
            "WINDOWFIT_TOKENIZERS": "[]",
            "WINDOWFIT_CHUNK_SIZE": "32",
        }

    def start(self, home: str, source: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "windowfit", "ingest", "run", source]
        return subprocess.Popen(
            [*command, "--collection", COLLECTION, "--json", *options],
            cwd=self.folder,
            env={**self.environment, "WINDOWFIT_HOME": home},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(
        self, home: str, source: str, *options: str, code: int = 0, given: bytes = b""
    ) -> tuple[Any, str]:
        """Return the JSON on standard output, and what is on standard error."""
        running = self.start(home, source, *options)
        out, err = running.communicate(given, timeout=SECONDS)
        assert running.returncode == code, err.decode()
        return json.loads(out) if out else None, err.decode()

    def stored(self, home: str) -> dict[str, Point]:
        engine = EdgeEngine(self.folder / home / "index")
        points = engine.open(COLLECTION).scroll(where={}, vectors=True)
        found = {one.id: one for one in points if one.payload["kind"] != "lease"}
        engine.close()
        return found

    def assert_same(self, home: str, expected: str) -> None:
        ours, theirs = self.stored(expected), self.stored(home)
        assert len(ours) > 10
        assert differences(ours, theirs, tolerance=0) == (0, 0, 0.0)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def write_corpus(folder: Path, documents: int, lines: int) -> None:
    folder.mkdir()
    for number in range(documents):
        text = "\n\n".join(f"Line {line} of {number} says so." for line in range(lines))
        (folder / f"d{number}.md").write_text(f"# Title {number}\n\n{text}\n")


def facts(report: dict[str, Any]) -> dict[str, Any]:
    """Return what a report says but for its job, its time, and the order in which files failed."""
    quarantined = sorted(report["quarantined"], key=lambda one: (one["name"], one["reason"]))
    return {**report, "quarantined": quarantined, "seconds": 0, "job": ""}


def test_ray_stores_what_one_process_stores_and_prints_json_alone(bench: Bench) -> None:
    write_corpus(bench.folder / "docs", 12, 40)
    (bench.folder / "docs" / "empty.md").write_text("")
    (bench.folder / "docs" / "page.html").write_text("<h1>Page</h1><p>A page says so.</p>")
    lines = [{"id": "a", "text": "Text of a."}, {"id": "docs/d1.md", "text": "Taken."}]
    (bench.folder / "docs" / "z.jsonl").write_text("\n".join(map(json.dumps, lines)))
    local, _ = bench.run("one", "docs", "--quiet", code=3)
    report, told = bench.run("two", "docs", "--engine", "ray", code=3)
    assert facts(report) == facts(local)
    assert {one["name"] for one in report["quarantined"]} == {"docs/empty.md", "docs/d1.md"}
    assert all(json.loads(line)["event"] == "progress" for line in told.splitlines())
    bench.assert_same("two", "one")

    given = b'{"id": "from stdin", "text": "A line says so."}\n'
    again, _ = bench.run("two", "-", "--engine", "ray", "--quiet", given=given)
    assert (again["written"], again["files"]) == (1, 1)
    bench.run("one", "-", given=given)
    bench.assert_same("two", "one")


def test_a_worker_killed_half_way_loses_and_doubles_nothing(bench: Bench) -> None:
    write_corpus(bench.folder / "docs", 60, 200)
    bench.run("one", "docs", "--quiet")
    running = bench.start("two", "docs", "--engine", "ray", "--workers", "2")
    killed = kill_workers(running, most=1)
    out, err = running.communicate(timeout=SECONDS)
    assert running.returncode == 0, err.decode()
    assert killed == 1
    assert json.loads(out)["written"] == 60
    bench.assert_same("two", "one")


def test_workers_that_die_too_often_end_the_run_and_the_next_one_goes_on(bench: Bench) -> None:
    # Enough work for a worker to be seen, and killed, in each of its lives.
    write_corpus(bench.folder / "docs", 180, 200)
    bench.run("one", "docs", "--quiet")
    running = bench.start("two", "docs", "--engine", "ray", "--workers", "1", "--quiet")
    kill_workers(running, most=100)
    _, err = running.communicate(timeout=SECONDS)
    assert running.returncode == 4, err.decode()
    assert "more often than the 3 times" in err.decode()
    assert "Traceback" not in err.decode()
    bench.run("two", "docs", "--quiet")
    bench.assert_same("two", "one")


def test_a_killed_writer_leaves_a_collection_that_the_next_run_completes(bench: Bench) -> None:
    write_corpus(bench.folder / "docs", 60, 200)
    bench.run("one", "docs", "--quiet")
    running = bench.start("two", "docs", "--engine", "ray")
    assert running.stderr is not None
    running.stderr.readline()
    while json.loads(running.stderr.readline())["embedded_chunks"] == 0:
        continue
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=SECONDS)
    report, _ = bench.run("two", "docs", "--quiet", "--engine", "ray")
    assert report["collection_documents"] == 60
    bench.assert_same("two", "one")


def test_an_address_where_nothing_answers_is_named_at_once(bench: Bench) -> None:
    write_corpus(bench.folder / "docs", 1, 1)
    started = time.monotonic()
    _, err = bench.run("two", "docs", "--engine", "ray", "--address", "127.0.0.1:1", code=4)
    assert "no Ray cluster at 127.0.0.1:1" in err
    assert time.monotonic() - started < 60


def kill_workers(running: subprocess.Popen[bytes], *, most: int) -> int:
    """Kill workers that embed while a command runs; return how many."""
    killed: set[int] = set()
    until = time.monotonic() + SECONDS
    while running.poll() is None and len(killed) < most and time.monotonic() < until:
        for pid in set(workers_that_embed(below=running.pid)) - killed:
            if len(killed) < most:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        time.sleep(0.02)
    return len(killed)
