"""`windowfit eval questions` as a shell sees it, over corpora of several formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from eval.questions import load_questions
from tests.integration.commands import Command
from tests.serving import OWN_PROFILE

COUNTRIES = {
    "Peru": ("Lima", "1,285,216 sq km"),
    "Chad": ("N'Djamena", "1,284,000 sq km"),
    "Mali": ("Bamako", "1,240,192 sq km"),
    "Laos": ("Vientiane", "236,800 sq km"),
}


def write_markdown(folder: Path) -> None:
    for name, (capital, area) in COUNTRIES.items():
        rail = "" if name == "Laos" else "- Railways: 100 km\n"
        text = f"# {name}\n\n## Facts\n\n- **Capital:** {capital}\n- Area: {area}\n{rail}"
        (folder / f"{name}.md").write_text(text)


def write_rows(folder: Path) -> None:
    rows = [f'{name},{capital},"{area}",100 km' for name, (capital, area) in COUNTRIES.items()]
    rows[-1] = rows[-1].removesuffix("100 km")
    (folder / "world.csv").write_text("Country,Capital,Area,Railways\n" + "\n".join(rows) + "\n")


def write_json_lines(folder: Path) -> None:
    lines = []
    for name, (capital, area) in COUNTRIES.items():
        rail = "" if name == "Laos" else "\nRailways: 100 km"
        text = f"Capital: {capital}\nArea: {area}{rail}"
        lines.append(json.dumps({"id": name, "title": name, "text": text}))
    (folder / "world.jsonl").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("write", [write_markdown, write_rows, write_json_lines])
def test_questions_of_every_type_are_made_of_any_corpus_with_fields(
    command: Command, tmp_path: Path, write: Callable[[Path], None]
) -> None:
    (tmp_path / "world").mkdir()
    write(tmp_path / "world")
    assert command("ingest", "run", "world", "--collection", "world", "--quiet").code == 0

    made = command("eval", "questions", "--collection", "world", "--out", "made.jsonl", "--json")

    assert made.code == 0
    assert made.json["questions"]["comparison"] >= 3
    assert made.json["questions"]["unanswerable_field"] == 1
    lines = [json.loads(line) for line in (tmp_path / "made.jsonl").read_text().splitlines()]
    by_question = {line["question"]: line for line in lines}
    assert by_question["What is the Capital of Chad?"]["answer"] == "N'Djamena"
    assert by_question["What is the Railways of Laos?"]["answer"] is None
    assert len(load_questions(tmp_path / "made.jsonl")) == sum(made.json["questions"].values())


def test_the_same_seed_writes_the_same_bytes(command: Command, tmp_path: Path) -> None:
    (tmp_path / "world").mkdir()
    write_markdown(tmp_path / "world")
    command("ingest", "run", "world", "--collection", "world", "--quiet")
    for name in ("one", "two"):
        command("eval", "questions", "--collection", "world", "--out", name, "--count", "2")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_corpus_without_fields_is_refused_with_what_is_lacking(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "note.txt").write_text("It rained. Nobody came.\n")
    command("ingest", "run", "notes", "--collection", "notes", "--quiet")

    refused = command("eval", "questions", "--collection", "notes", "--out", "made.jsonl")

    assert refused.code == 2
    assert "no question can be made of the 1 documents of 'notes': 0 lines" in refused.err
    assert not (tmp_path / "made.jsonl").exists()


def test_an_unknown_type_and_an_unwritable_file_are_refused(command: Command) -> None:
    assert (
        "no type of question is called 'haiku'"
        in command("eval", "questions", "--out", "made.jsonl", "--type", "haiku").err
    )
    assert command("eval", "questions", "--out", "missing/made.jsonl").code == 2


def test_made_questions_measure_a_window_and_a_second_run_asks_nothing(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "world").mkdir()
    write_markdown(tmp_path / "world")
    command("ingest", "run", "world", "--collection", "world", "--quiet")
    command("eval", "questions", "--collection", "world", "--out", "made.jsonl")
    window = ("eval", "window", "--questions", "made.jsonl", "--collection", "world")
    sizes = ("--size", "512", "--size", "1024")

    planned = command(*window, *sizes, "--dry-run", "--json").json
    first = command(*window, *sizes)
    kept = (tmp_path / "window-answers.jsonl").read_bytes()
    again = command(*window, *sizes, "--json")

    assert sum(planned["calls"].values()) > 0
    assert first.code == again.code == 0
    assert "quality holds to " in first.out
    assert (tmp_path / "window-answers.jsonl").read_bytes() == kept
    assert [one["size"] for one in again.json["sizes"]] == [512, 1024]
    assert command(*window, *sizes, "--dry-run", "--json").json["calls"] == {}


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("", "model 'mine' is pending: nobody has reviewed it"),
        (
            'api_key_env = "MINE_KEY"\n'
            'review = { status = "approved", role = "tests", date = 2026-11-22 }\n',
            "profile 'mine' needs the variable MINE_KEY, which is not set",
        ),
    ],
)
def test_a_model_that_cannot_be_asked_is_refused_also_where_nothing_is_asked(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, told: str
) -> None:
    (tmp_path / "world").mkdir()
    write_markdown(tmp_path / "world")
    command("ingest", "run", "world", "--collection", "world", "--quiet")
    command("eval", "questions", "--collection", "world", "--out", "made.jsonl")
    profile = OWN_PROFILE.replace("tiktoken:o200k_base", "mistral:v3")
    (tmp_path / "profiles.toml").write_text(profile + lines)
    monkeypatch.setenv("WINDOWFIT_SERVE_PROFILES", str(tmp_path / "profiles.toml"))
    window = ("eval", "window", "--questions", "made.jsonl", "--collection", "world")

    ended = [command(*window, "--model", "mine", *more) for more in ((), ("--dry-run",))]

    for one in ended:
        assert (one.code, one.out) == (2, "")
        assert told in one.err
    assert not (tmp_path / "window-answers.jsonl").exists()


def test_a_window_is_measured_of_local_models_alone_and_up_to_theirs(
    command: Command, tmp_path: Path
) -> None:
    line: dict[str, object] = {
        "id": "q",
        "type": "t",
        "question": "Who?",
        "answer": None,
        "evidence": [],
    }
    (tmp_path / "made.jsonl").write_text(json.dumps(line) + "\n")
    window = ("eval", "window", "--questions", "made.jsonl")

    many = command(*window, "--parallel", "9" * 30)
    cloud = command(*window, "--model", "gpt-6-luna")
    wide = command(*window, "--size", "9000")

    assert (many.code, cloud.code, wide.code) == (2, 2, 2)
    assert "less than or equal to 256" in many.err
    assert "is in the cloud, and this measurement sends text to local models only" in cloud.err
    assert "quote has a window of 8,192 tokens < 9,000" in wide.err
