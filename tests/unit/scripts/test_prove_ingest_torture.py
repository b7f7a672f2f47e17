from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.prove_ingest.hostile_files import good_names
from scripts.prove_ingest.memory import corpus_lines
from scripts.prove_ingest.metered import Metered, run_metered
from scripts.prove_ingest.torture import TortureResult, judge_runs

NAMES = ["hostile/bad.pdf", "hostile/changing.txt", "hostile/good.txt"]
BAD = {"name": "hostile/bad.pdf", "reason": "bad.pdf: broken PDF"}
CHANGING = {"name": "hostile/changing.txt", "reason": "changing.txt: changed while it was read"}


def told(files: int, written: int, embedded: int, *quarantined: dict[str, str]) -> str:
    counts = {"files": files, "written": written, "embedded_chunks": embedded}
    return json.dumps({**counts, "quarantined": quarantined})


def first_run() -> Metered:
    steps = [(2.0, 0), (3.0, 1), (3.5, 2), (3.6, 3)]
    return Metered(3, 4, told(3, 1, 9, BAD, CHANGING), peak_mib=300, all_mib=700, steps=steps)


def judged(
    first: Metered | None = None, again: Metered | None = None, *, leaked: bool = False
) -> TortureResult:
    return judge_runs(
        first or first_run(),
        again or Metered(3, 1, told(2, 0, 0, BAD)),
        names=NAMES,
        good={"hostile/good.txt"},
        stored={"hostile/good.txt"},
        leaked=leaked,
    )


def test_files_that_are_all_ingested_or_explained_are_held() -> None:
    result = judged()

    assert result.held
    assert (result.files, result.ingested, result.quarantined, result.lost) == (3, 1, 2, 0)
    assert (result.longest_seconds, result.longest_file) == (3.0, "hostile/bad.pdf")


@pytest.mark.parametrize(
    "first",
    [
        replace(first_run(), exit_code=-11),
        replace(first_run(), exit_code=None),
        replace(first_run(), output="Traceback"),
        replace(first_run(), output=told(3, 1, 9, CHANGING)),
        replace(first_run(), output=told(3, 1, 9, {**BAD, "reason": " "}, CHANGING)),
        replace(first_run(), steps=[(31.0, 1)]),
        replace(first_run(), peak_mib=1537),
        replace(first_run(), all_mib=2561),
    ],
    ids="crashed hung silent lost unexplained slow large child".split(),
)
def test_what_went_wrong_in_the_first_run_is_not_held(first: Metered) -> None:
    assert not judged(first).held


@pytest.mark.parametrize(
    "again",
    [Metered(3, 1, told(2, 1, 4, BAD)), Metered(3, 1, told(2, 0, 0)), Metered(0, 1, told(2, 0, 0))],
    ids=["embedded", "another file set aside", "another exit code"],
)
def test_a_second_run_that_differs_is_not_held(again: Metered) -> None:
    assert not judged(again=again).held


def test_what_leaked_is_not_held() -> None:
    assert not judged(leaked=True).held


def test_good_files_are_known_by_their_names(tmp_path: Path) -> None:
    root = tmp_path / "hostile"
    for name in ("good.txt", "deep/good-two.md", "bad.txt", "good.jsonl"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()

    assert good_names(root) == {
        "hostile/good.txt", "hostile/deep/good-two.md", "hostile/good.jsonl#1",
        "hostile/good.jsonl#2",
    }  # fmt: skip


def test_the_large_corpus_is_the_same_every_time_and_of_the_size_asked_for() -> None:
    lines = list(corpus_lines(100_000))

    assert lines == list(corpus_lines(100_000))
    assert 100_000 <= sum(map(len, lines)) < 100_000 + 100_000
    assert json.loads(lines[0])["id"] == "article/0"


def test_a_command_is_metered_while_it_reads_and_tells_of_progress(tmp_path: Path) -> None:
    script = (
        "import sys; sys.stderr.write('{\"files_done\": 1}\\nno json\\n'); "
        "print(sys.stdin.read().count('x'), flush=True); "
        "import time; time.sleep(0.2); print('{\"files\": 2}')"
    )
    found = run_metered(
        ("/usr/bin/env", "python3", "-c", script),
        environment={},
        folder=tmp_path,
        limit_seconds=60,
        lines=[b"x\n", b"xx\n"],
    )

    assert (found.exit_code, found.report, found.errors) == (0, {"files": 2}, ["no json"])
    assert [done for _, done in found.steps] == [1]
    assert found.peak_mib > 0
    assert found.fed == 5


def test_a_command_that_hangs_is_stopped(tmp_path: Path) -> None:
    found = run_metered(("sleep", "60"), environment={}, folder=tmp_path, limit_seconds=0.2)

    assert found.exit_code is None
    assert found.seconds < 30
