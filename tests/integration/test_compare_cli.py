"""`windowfit eval compare` as a shell sees it, over the embedded engine and without a model."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from eval.comparison import read_comparison
from retrieval.lock import FolderLock
from tests.integration.commands import Command
from tests.unit.eval.retrieval_sets import write_lines

pytest.importorskip("scipy", reason="needs the extra `eval`")

QUESTIONS: list[dict[str, Any]] = [
    {
        "id": "1",
        "type": "name",
        "question": "What is the capital of Peru?",
        "answer": "Lima",
        "answer_type": "string",
        "evidence": [{"doc": "peru.txt", "text": "Lima"}],
    },
    {
        "id": "2",
        "type": "number",
        "question": "How long is the coastline of Peru?",
        "answer": "2,414 km",
        "answer_type": "number",
        "evidence": [{"doc": "peru.txt", "text": "2,414 km"}],
    },
    {
        "id": "3",
        "type": "none",
        "question": "Who composed the ninth symphony?",
        "answer": None,
        "answer_type": "abstain",
        "evidence": [],
    },
]
ARMS = "wide=quote:retrieve,narrow=quote:retrieve:20,route=self-route:narrow:wide"
PAID = """
[profiles.paid]
description = "A priced profile for tests."
backend = "quote"
model = "quote"
window = 8192
output_limit = 2048
default_output = 512
tokenizer = "mistral:v3"
place = "cloud"
licence = "none"
price = { input_usd = 1000, output_usd = 1000 }
timeout_seconds = 10
system_role = true
reviewed = 2026-11-21
review = { status = "approved", role = "tests", date = 2026-11-22 }

[profiles.paid.sources]
window = { url = "test", read = 2026-11-21 }
output_limit = { url = "test", read = 2026-11-21 }
price = { url = "test", read = 2026-11-21 }
tokenizer = { url = "test", read = 2026-11-21 }
licence = { url = "test", read = 2026-11-21 }
"""


@pytest.fixture
def ask(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Compare arms on three questions about two notes."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "peru.txt").write_text(
        "The capital of Peru is Lima.\n\nThe coastline of Peru is 2,414 km long.\n"
    )
    (tmp_path / "notes" / "chad.txt").write_text("The capital of Chad is N'Djamena.\n")
    assert command("ingest", "run", "notes", "--collection", "notes", "--quiet").code == 0
    (tmp_path / "profiles.toml").write_text(PAID)
    monkeypatch.setenv("WINDOWFIT_SERVE_PROFILES", str(tmp_path / "profiles.toml"))
    write_lines(tmp_path / "qa.jsonl", QUESTIONS)
    return lambda *more: command(
        "eval", "compare", "--questions", "qa.jsonl", "--collection", "notes", "--arms", *more
    )


def test_three_arms_are_asked_and_written_and_a_second_run_asks_nothing(
    ask: Command, tmp_path: Path
) -> None:
    first = ask(ARMS, "--json")
    written = read_comparison(tmp_path / "comparison" / "comparison.json")
    second = ask(ARMS)
    again = read_comparison(tmp_path / "comparison" / "comparison.json")

    assert (first.code, second.code) == (0, 0), first.err
    accuracies = {arm["arm"]: arm["accuracy"]["mean"] for arm in first.json["arms"]}
    assert accuracies["wide"] == 1.0
    assert first.json["complete"]
    assert len(first.json["pairs"]) == 3
    assert again.cells == written.cells
    assert len(written.cells) == 9
    assert "accuracy" in second.out
    assert "McNemar" in second.out
    assert second.out.splitlines()[-1] == "report: comparison/comparison.html"
    lines = (tmp_path / "comparison" / "comparison.csv").read_text().splitlines()
    assert len(lines) == 10
    page = (tmp_path / "comparison" / "comparison.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert first.json["html"].endswith("comparison.html")


def test_what_a_run_writes_is_for_its_owner_alone(ask: Command, tmp_path: Path) -> None:
    assert ask("wide=quote:retrieve").code == 0
    folder = tmp_path / "comparison"

    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.glob("c*") if path.stat().st_mode & 0o077] == []


def test_a_dry_run_prints_what_it_would_take_and_calls_nothing(
    ask: Command, tmp_path: Path
) -> None:
    planned = ask("paid=paid:retrieve,quote:full", "--dry-run", "--json").json["estimates"]

    assert [one["calls"] for one in planned] == [3, 3]
    assert planned[0]["prompt_tokens"] > 0
    assert float(planned[0]["usd_at_most"]) > 1.5
    assert float(planned[1]["usd_at_most"]) == 0
    assert not (tmp_path / "comparison" / "comparison.json").exists()
    shown = ask("paid=paid:retrieve", "--dry-run")
    assert "3 calls" in shown.out
    assert "nothing was called" in shown.out


def test_a_run_stops_before_it_spends_more_than_its_limit_and_goes_on_later(
    ask: Command, tmp_path: Path
) -> None:
    stopped = ask("paid=paid:retrieve", "--max-usd", "0.9")
    with sqlite3.connect(tmp_path / "comparison" / "calls.sqlite3") as kept:
        (calls,) = kept.execute("SELECT count(*) FROM calls").fetchone()
        spent = sum(float(usd) for (usd,) in kept.execute("SELECT usd FROM calls"))
        (under_way,) = kept.execute("SELECT count(*) FROM under_way").fetchone()

    assert stopped.code == 2
    assert "--max-usd" in stopped.err
    assert 0 < calls < 3
    assert spent <= 0.9
    assert under_way == 0
    assert ask("paid=paid:retrieve", "--max-usd", "100").code == 0


def test_a_gate_that_is_not_met_ends_with_5_and_both_sides(ask: Command) -> None:
    met = ask(ARMS, "--gate", "wide.accuracy >= narrow.accuracy - 0.05", "--json")
    failed = ask(ARMS, "--gate", "wide.accuracy > 1", "--gate", "wide.failed <= 0")

    assert met.code == 0
    assert met.json["gates"][0]["met"] is True
    assert failed.code == 5
    assert "gate failed: wide.accuracy > 1 (1 and 1)" in failed.err
    assert "wide.failed" not in failed.err


def test_what_cannot_be_compared_is_refused_before_anything_is_asked(
    ask: Command, tmp_path: Path
) -> None:
    refusals = [
        (("absent:retrieve",), "absent"),
        (("gpt-6-luna:full",), "OPENAI_API_KEY"),
        (("quote:retrieve:9000",), "9000 > 7680"),
        (("quote:retrieve:0",), "budget 0 < 1"),
        (("quote:full", "--gate", "other.accuracy > 1"), "there is no arm 'other'"),
        (("quote:full", "--max-usd", "much"), "no amount"),
        (("quote:full", "--max-usd", "-1"), "no amount"),
        (("quote:full", "--max-usd", "1e9999999999999999999"), "no amount"),
        (("quote:full", "--max-usd", "1e999999999"), "more than 1,000,000,000,000,000,000"),
        (("quote:full", "--max-usd", "1e-999999999"), "less than 0.000000001, and not 0"),
        (("quote:full", "--hardware-usd-per-month", "nan"), "no amount"),
        (("quote:full", "--hardware-usd-per-month", "1e9999999"), "1e9999999 is more than 1,000"),
        (("quote:full", "--type", "absent"), "no question of type 'absent'"),
        (("quote:full", "--judge", "quote"), "no language model"),
        (("gemini-3.8-flash:full",), "is pending by maintainers"),
        (("quote:full", "--collection", "absent"), "absent"),
    ]
    for flags, told in refusals:
        ended = ask(*flags)
        assert ended.code == 2
        assert told in ended.err
        assert "hint: " in ended.err
        assert ask(*flags, "--dry-run").err == ended.err
    assert not (tmp_path / "comparison" / "comparison.json").exists()


@pytest.mark.parametrize("name", ["comparison.json", "comparison.csv", "comparison.html"])
def test_a_file_that_could_not_be_written_is_told_before_anything_is_paid(
    ask: Command, tmp_path: Path, name: str
) -> None:
    (tmp_path / "comparison" / name).mkdir(parents=True)

    ended = [ask("paid=paid:retrieve"), ask("paid=paid:retrieve", "--dry-run")]

    for one in ended:
        assert one.code == 2
        assert f"{name}: it is there and no file" in one.err
        assert "hint: give another folder with --run" in one.err
    assert not (tmp_path / "comparison" / "calls.sqlite3").exists()
    assert ask("paid=paid:retrieve", "--run", "other").code == 0


@pytest.mark.parametrize("amount", ["1e18", "1e-9", "0"])
def test_the_largest_and_smallest_amounts_can_be_compared_with(ask: Command, amount: str) -> None:
    ended = ask("quote:retrieve,paid:retrieve", "--hardware-usd-per-month", amount, "--json")

    assert ended.code == 0, ended.err
    assert ended.json["break_even"][0]["questions_per_month"] >= 0


def test_arms_are_declared_in_a_file_with_what_they_stand_in_for(
    ask: Command, tmp_path: Path
) -> None:
    (tmp_path / "arms.toml").write_text(
        '[arms.local]\nmodel = "quote"\nmax_context_tokens = 20\n'
        '[arms.long]\nmodel = "quote"\nmode = "full"\nstand_in = "for a cloud model"\n'
        '[arms.route]\nfirst = "local"\nsecond = "long"\ndoubts = ["abstained"]\n'
    )

    ended = ask("long,route", "--arms-file", "arms.toml")
    told = json.loads((tmp_path / "comparison" / "comparison.json").read_text())

    assert ended.code == 0, ended.err
    assert "long: for a cloud model" in ended.out
    assert [arm["name"] for arm in told["run"]["arms"]] == ["long", "route"]
    assert {cell["answered_by"] for cell in told["cells"]} >= {"long"}


def test_two_runs_at_once_in_one_folder_are_refused(ask: Command, tmp_path: Path) -> None:
    held = FolderLock(tmp_path / "comparison")
    try:
        ended = ask("quote:full")
    finally:
        held.release()

    assert ended.code == 4
    assert "the run in comparison is held by" in ended.err
    assert "--run" in ended.err
