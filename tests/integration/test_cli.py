"""The commands as a shell sees them: what they print, and with which code they end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from retrieval.edge.engine import EdgeEngine
from serve.schema import AnswerResponse, PreviewResponse
from tests.integration.commands import Command, Ended

ROOT = Path(__file__).parents[2]
PERU = "# Peru\n\n## Government\nCapital: Lima\n\n## Geography\nArea: 1,285,216 sq km\n"
GOOD = {
    "peru.md": PERU.encode(),
    "chad.txt": b"Chad lies in Africa.\nCapital: N'Djamena\n",
    "bolivia.json": b'{"name": "Bolivia", "Government": {"Capital": {"text": "Sucre"}}}',
}
BAD = {
    "empty.md": b"",
    "blank.txt": b" \n\t\n",
    "binary.txt": b"text\x00\x01\x02",
    "latin.txt": "Capital: Asunci\xf3n".encode("latin-1"),
    "picture.png": b"\x89PNG\r\n\x1a\n",
    "broken.json": b'{"name": ',
    "hollow.json": b"{}",
}


def write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def ingest(command: Command, tmp_path: Path, files: dict[str, bytes] | None = None) -> Ended:
    write(tmp_path / "files", GOOD if files is None else files)
    return command("ingest", "run", "files", "--collection", "small", "--json")


def refused(ended: Ended, *, code: int) -> str:
    """Check that a command ended with that code, one message and one hint, and return both."""
    assert ended.code == code
    lines = [line for line in ended.err.splitlines() if not line.startswith("{")]
    message, hint = lines
    if ended.out:
        # With --json, standard output says the same.
        told = ended.json["error"]
        assert (f"error: {told['message']}", f"hint: {told['hint']}") == (message, hint)
    assert message.startswith("error: ")
    assert hint.startswith("hint: ")
    assert len(hint) > len("hint: ")
    return f"{message}\n{hint}"


# --- ingest


def test_a_folder_is_ingested_and_counted(command: Command, tmp_path: Path) -> None:
    ended = ingest(command, tmp_path)

    assert ended.code == 0
    assert ended.json["collection_documents"] == ended.json["written"] == len(GOOD)
    assert ended.json["collection_chunks"] == ended.json["embedded_chunks"] > 0


def test_each_bad_file_is_named_and_every_good_one_is_kept(
    command: Command, tmp_path: Path
) -> None:
    ended = ingest(command, tmp_path, {**GOOD, **BAD})

    report = ended.json
    assert ended.code == 3
    assert {item["name"] for item in report["quarantined"]} == {f"files/{name}" for name in BAD}
    for item in report["quarantined"]:
        assert item["code"] == "unreadable_document"
        assert item["name"] in item["reason"]
        assert item["hint"]
    assert report["written"] == report["collection_documents"] == len(GOOD)
    assert report["files"] == len(GOOD) + len(BAD)
    assert report["files"] == report["written"] + report["unchanged"] + len(report["quarantined"])


def test_the_reason_of_a_bad_file_is_told(command: Command, tmp_path: Path) -> None:
    report = ingest(command, tmp_path, {**GOOD, **BAD}).json
    reasons = {
        item["name"].removeprefix("files/"): item["reason"] for item in report["quarantined"]
    }

    assert "empty" in reasons["empty.md"]
    assert "binary" in reasons["binary.txt"]
    assert "invalid utf-8 at byte 15" in reasons["latin.txt"]
    assert ".png is not supported" in reasons["picture.png"]
    assert "invalid JSON" in reasons["broken.json"]


def test_for_people_each_bad_file_is_named_too(command: Command, tmp_path: Path) -> None:
    write(tmp_path / "files", {**GOOD, **BAD})

    ended = command("ingest", "run", "files", "--collection", "small", "--quiet")

    assert ended.code == 3
    for name in BAD:
        assert f"files/{name}" in ended.out
    assert "10 files = 3 written + 0 unchanged + 7 quarantined" in ended.out
    assert ended.err == ""


def test_progress_is_told_in_lines_of_json_where_there_is_no_terminal(
    command: Command, tmp_path: Path
) -> None:
    events = [json.loads(line) for line in ingest(command, tmp_path).err.splitlines()]

    assert events[-1] == {
        "event": "progress",
        "files": len(GOOD),
        "files_done": len(GOOD),
        "embedded_chunks": events[-1]["embedded_chunks"],
    }


def test_a_second_run_embeds_nothing_and_changes_nothing(command: Command, tmp_path: Path) -> None:
    first = ingest(command, tmp_path, {**GOOD, **BAD}).json
    second = ingest(command, tmp_path, {**GOOD, **BAD})

    assert second.code == 3
    assert (second.json["embedded_chunks"], second.json["written"]) == (0, 0)
    assert second.json["unchanged"] == len(GOOD)
    for key in ("collection_documents", "collection_chunks", "quarantined"):
        assert second.json[key] == first[key]


def test_a_repaired_file_is_ingested_by_running_the_command_again(
    command: Command, tmp_path: Path
) -> None:
    ingest(command, tmp_path, {**GOOD, "late.txt": b"\xff\xff\xff"})

    ended = ingest(command, tmp_path, {**GOOD, "late.txt": b"Now it is text."})

    assert ended.code == 0
    assert (ended.json["written"], ended.json["unchanged"]) == (1, len(GOOD))


def test_a_changed_document_replaces_its_old_text(command: Command, tmp_path: Path) -> None:
    ingest(command, tmp_path)
    ingest(command, tmp_path, {"peru.md": PERU.replace("Lima", "Cusco").encode()})

    answer = command("ask", "What is the capital of Peru?", "--collection", "small", "--json")

    assert "Capital: Cusco" in answer.json["answer"]
    assert "Lima" not in answer.out


def test_a_plan_states_what_a_run_then_does(command: Command, tmp_path: Path) -> None:
    write(tmp_path / "files", {**GOOD, **BAD})

    planned = command("ingest", "plan", "files", "--collection", "small", "--json")

    assert planned.code == 3
    assert not (tmp_path / "home" / "index" / "small").exists()
    done = ingest(command, tmp_path, {**GOOD, **BAD})
    assert planned.json["new"] == done.json["written"]
    assert planned.json["embedded_chunks"] == done.json["embedded_chunks"]
    assert planned.json["embedded_tokens"] > planned.json["embedded_chunks"]
    assert planned.json["cost_usd"] == 0
    again = command("ingest", "plan", "files", "--collection", "small", "--json", "--no-time")
    assert (again.json["new"], again.json["unchanged"]) == (0, len(GOOD))
    assert (again.json["embedded_chunks"], again.json["seconds"]) == (0, None)


def test_the_status_of_a_collection_is_told(command: Command, tmp_path: Path) -> None:
    done = ingest(command, tmp_path)

    told = command("ingest", "status", "--collection", "small", "--json").json

    assert told["documents"] == done.json["collection_documents"] == len(told["document_ids"])
    assert told["chunks"] == done.json["collection_chunks"]
    assert (told["hidden_chunks"], told["swept"], told["writer"]) == (0, True, None)
    assert "came to its end" in command("ingest", "status", "--collection", "small").out


def test_a_source_is_labelled_and_the_label_stays_until_another_is_stated(
    command: Command, tmp_path: Path
) -> None:
    ingest(command, tmp_path)
    run = ("ingest", "run", "files", "--collection", "small")
    labelled = ("--sensitivity", "restricted", "--json")

    plan = command("ingest", "plan", *run[2:], "--no-time", *labelled)
    assert (plan.json["relabelled"], plan.json["embedded_chunks"]) == (len(GOOD), 0)
    done = command(*run, *labelled)
    assert (done.json["relabelled"], done.json["embedded_chunks"]) == (len(GOOD), 0)
    assert command(*run, "--json").json["relabelled"] == 0
    status = command("ingest", "status", "--collection", "small", "--json")
    assert status.json["labels"] == {"restricted": len(GOOD)}
    assert status.json["last_job"]["sensitivity"] == ""
    shown = command("ingest", "status", "--collection", "small")
    assert f"documents by label: {len(GOOD)} restricted" in shown.out
    assert command("ingest", "verify", "--collection", "small").code == 0


def test_a_rule_of_the_settings_labels_what_it_matches(command: Command, tmp_path: Path) -> None:
    rule = '[[index.labels]]\nglob = "hr/**"\nlabel = "restricted"\n'
    (tmp_path / "windowfit.toml").write_text(rule)
    write(tmp_path / "files", {"menu.md": b"# Menu\n\nSoup."})
    write(tmp_path / "files" / "hr", {"pay.md": b"# Pay\n\nMuch."})
    ended = command("ingest", "run", "files", "--collection", "small", "--json")
    assert ended.code == 0
    status = command("ingest", "status", "--collection", "small", "--json")
    assert status.json["labels"] == {"internal": 1, "restricted": 1}
    shown = command("config", "show", "--json")
    settings = {row["setting"]: row["value"] for row in json.loads(shown.out)}
    assert settings["index.labels"] == [{"glob": "hr/**", "label": "restricted"}]
    assert settings["index.default_sensitivity"] == "internal"


def test_an_unknown_label_is_refused_before_anything_is_read(
    command: Command, tmp_path: Path
) -> None:
    ended = command("ingest", "run", "nowhere", "--collection", "small", "--sensitivity", "privat")
    assert "'privat' is no label of sensitivity" in refused(ended, code=2)
    ended = command(
        "ingest", "run", "--collection", "small", "--rebuild", "--sensitivity", "public"
    )
    assert ended.code == 2
    assert "stored documents keep their labels" in " ".join(ended.err.replace("│", " ").split())


def test_a_sound_collection_is_verified(command: Command, tmp_path: Path) -> None:
    ingest(command, tmp_path)

    ended = command("ingest", "verify", "--collection", "small", "--json")

    assert (ended.code, ended.json["intact"], ended.json["findings"]) == (0, True, [])
    assert "no defect" in command("ingest", "verify", "--collection", "small", "--repair").out


def test_documents_are_removed_by_id_and_unknown_ones_refused(
    command: Command, tmp_path: Path
) -> None:
    ingest(command, tmp_path)
    first = f"files/{next(iter(GOOD))}"

    assert "no document 'nope'" in refused(
        command("ingest", "rm", first, "nope", "--collection", "small"), code=2
    )
    assert command("ingest", "rm", first, "--collection", "small").code == 0

    told = command("ingest", "status", "--collection", "small", "--json").json
    assert (told["documents"], told["hidden_chunks"]) == (len(GOOD) - 1, 0)
    assert first not in told["document_ids"]


def test_pruning_takes_the_source_for_the_whole_collection(
    command: Command, tmp_path: Path
) -> None:
    ingest(command, tmp_path)
    (tmp_path / "files" / next(iter(GOOD))).unlink()

    ended = command("ingest", "run", "files", "--collection", "small", "--prune", "--json")

    assert (ended.code, ended.json["removed_documents"]) == (0, 1)
    assert ended.json["collection_documents"] == len(GOOD) - 1


@pytest.mark.parametrize("source", ["nonesuch", "hollow"])
def test_a_source_without_files_is_refused(command: Command, tmp_path: Path, source: str) -> None:
    (tmp_path / "hollow").mkdir()

    assert source in refused(command("ingest", "run", source, "--collection", "small"), code=2)


@pytest.mark.parametrize("collection", ["../evil", "", ".hidden", "a/b", "x" * 129])
def test_a_name_that_is_no_collection_is_refused(
    command: Command, tmp_path: Path, collection: str
) -> None:
    write(tmp_path / "files", GOOD)

    ended = command("ingest", "run", "files", "--collection", collection)

    assert "collection name" in refused(ended, code=2)
    assert not (tmp_path / "evil").exists()


def test_another_embedder_is_refused_and_the_collection_left_as_it_was(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(command, tmp_path)
    monkeypatch.setenv("WINDOWFIT_EMBEDDER", "hash:32")

    told = refused(ingest(command, tmp_path), code=2)

    assert "hash:64" in told
    assert "hash:32" in told
    monkeypatch.setenv("WINDOWFIT_EMBEDDER", "hash:64")
    assert ingest(command, tmp_path).json["unchanged"] == len(GOOD)


def test_another_embedder_takes_over_by_a_rebuild_and_every_verb_goes_along(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(command, tmp_path)
    monkeypatch.setenv("WINDOWFIT_EMBEDDER", "hash:32")
    named = ("--collection", "small")
    assert "--rebuild" in refused(command("ingest", "verify", *named), code=2)
    planned = command("ingest", "plan", "files", *named, "--rebuild", "--json").json

    done = command("ingest", "run", "files", *named, "--rebuild", "--json").json

    assert planned["embedded_chunks"] == planned["chunks"] == done["embedded_chunks"]
    assert (done["collection"], done["written"], done["carried"]) == ("small", len(GOOD), 0)
    told = command("ingest", "status", *named, "--json").json
    assert (told["collection"], told["embedder"], told["swept"]) == ("small", "hash:32", True)
    assert "no defect" in command("ingest", "verify", *named, "--repair").out
    again = command("ingest", "run", "files", *named, "--json").json
    assert again["unchanged"] == len(GOOD)
    removed = command("ingest", "rm", told["document_ids"][0], *named)
    assert removed.code == 0
    answered = command("ask", "What is the capital of Peru?", *named, "--json")
    assert answered.code == 0


def test_the_stored_documents_are_rebuilt_without_a_source(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(command, tmp_path)
    monkeypatch.setenv("WINDOWFIT_EMBEDDER", "hash:32")
    named = ("--collection", "small")

    ended = command("ingest", "run", *named, "--rebuild", "--quiet")

    assert ended.code == 0
    assert f"{len(GOOD)} documents carried over" in ended.out
    for arguments in (["--rebuild", "--prune"], ["--rebuild", "--engine", "ray"], []):
        assert command("ingest", "run", *named, *arguments).code == 2
    typo = command("ingest", "run", "--collection", "smal", "--rebuild")
    assert "existing collections: small" in refused(typo, code=2)


def test_an_interrupted_run_says_that_it_goes_on(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ingest.workbench.run_ingest", interrupt)

    ended = ingest(command, tmp_path)

    assert ended.code == 130
    assert "run the same command again" in ended.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ingest", "status"), "run the same command again to go on, or `windowfit ingest resume`"),
        (("eval", "compare"), "run the same command again to go on"),
        (("models", "list"), ""),
    ],
)
def test_an_interruption_says_how_this_command_goes_on(
    command: Command, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], told: str
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("windowfit.app", interrupt)

    ended = command(*arguments)

    assert ended.code == 130
    assert ended.err == (f"interrupted; {told}\n" if told else "interrupted\n")


def test_a_run_that_is_told_to_end_says_that_it_goes_on(tmp_path: Path) -> None:
    environment = {**os.environ, "WINDOWFIT_EMBEDDER": "hash:8", "WINDOWFIT_TOKENIZERS": "[]"}
    running = subprocess.Popen(
        [sys.executable, "-m", "windowfit", "ingest", "run", "-", "--collection", "small"],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert running.stdin is not None
    lines = (json.dumps({"id": f"d{n}", "text": f"Text of {n}."}) + "\n" for n in range(400))
    running.stdin.write("".join(lines).encode())
    running.stdin.flush()
    assert running.stderr is not None
    running.stderr.readline()

    running.terminate()
    _, err = running.communicate(timeout=60)

    assert running.returncode == 130
    assert b"windowfit ingest resume" in err


def test_json_holds_the_error_too(command: Command, tmp_path: Path) -> None:
    ended = command("ingest", "run", str(tmp_path / "nowhere"), "--collection", "small", "--json")
    assert ended.code == 2
    assert json.loads(ended.out)["error"]["code"] == "validation_error"


# --- ask


def test_an_answer_is_drawn_with_its_sources_and_its_window(
    command: Command, tmp_path: Path
) -> None:
    ingest(command, tmp_path)

    ended = command("ask", "What is the capital of Peru?", "--collection", "small")

    assert ended.code == 0
    assert "Capital: Lima" in ended.out
    assert "[1] Peru  (" in ended.out
    assert "files/peru.md characters" in ended.out
    assert "▕" in ended.out
    assert "reserved 512" in ended.out


def test_an_answer_as_json_is_the_response_of_the_service(command: Command, tmp_path: Path) -> None:
    ingest(command, tmp_path)

    ended = command(
        *("ask", "What is the capital of Peru?", "--collection", "small", "--json"),
        *("--mode", "full", "--max-context-tokens", "100", "--max-output-tokens", "200"),
    )

    response = AnswerResponse.model_validate(ended.json)
    report = response.context
    assert report.mode == "full"
    assert report.segments.retrieved <= 100
    assert report.reserved_output == 200
    assert report.prompt_tokens + report.reserved_output + report.free == report.window


def test_a_dry_run_shows_the_plan_and_calls_no_model(command: Command, tmp_path: Path) -> None:
    ingest(command, tmp_path)
    question = ("ask", "What is the capital of Peru?", "--collection", "small", "--dry-run")

    shown = command(*question)
    told = command(*question, "--json").json
    down = command(*question, "--model", "mistral-7b-8k")

    assert (shown.code, down.code) == (0, 0)
    assert "▕" in shown.out
    assert "no model was called" in shown.out
    plan = PreviewResponse.model_validate(told)
    assert plan.context.llm_calls == 0
    assert plan.messages[-1]["content"].endswith("Question: What is the capital of Peru?")
    assert command("replay", plan.request_id).code == 0


def test_a_dry_run_of_exhaustive_states_its_calls(command: Command, tmp_path: Path) -> None:
    ingest(command, tmp_path)
    every = ("--mode", "exhaustive", "--max-context-tokens", "60", "--dry-run")

    shown = command("ask", "Which capitals?", "--collection", "small", *every)

    assert shown.code == 0
    assert re.search(r"^\d+ calls: \d+ read the sources", shown.out, re.MULTILINE)
    assert "at most " in shown.out


def test_a_filter_narrows_an_answer(command: Command, tmp_path: Path) -> None:
    ingest(command, tmp_path)
    asked = ("ask", "What is the capital?", "--collection", "small", "--json", "--dry-run")

    documents = [f"--filter=document=files/{name}" for name in ("peru.md", "chad.txt")]
    one = command(*asked, *documents[:1]).json["context"]["entries"]
    two = command(*asked, *documents).json["context"]["entries"]

    assert {entry["document"] for entry in one} == {"files/peru.md"}
    assert {entry["document"] for entry in two} == {"files/peru.md", "files/chad.txt"}


def test_the_prompt_of_an_answer_is_rebuilt_from_its_id(command: Command, tmp_path: Path) -> None:
    ingest(command, tmp_path)
    asked = command("ask", "What is the capital of Peru?", "--collection", "small", "--json").json

    ended = command("replay", asked["request_id"])
    shown = command("replay", asked["request_id"], "--messages", "--json").json

    assert ended.code == 0
    tokens = f"{asked['context']['prompt_tokens']:,}"
    assert ended.out.startswith(f"identical: {tokens} tokens, sha256 {shown['sha256']}")
    assert shown["messages"][-1]["content"].endswith("Question: What is the capital of Peru?")


def test_a_replay_names_the_document_that_changed_since(command: Command, tmp_path: Path) -> None:
    ingest(command, tmp_path)
    asked = command("ask", "What is the capital of Peru?", "--collection", "small", "--json").json
    ingest(command, tmp_path, {"peru.md": PERU.replace("Lima", "Cusco").encode()})

    ended = command("replay", asked["request_id"])

    assert ended.code == 5
    assert ended.out.startswith("different: ")
    assert "peru.md has another text there now" in ended.out


@pytest.mark.parametrize("arguments", [["nonesuch"], ["nonesuch", "--url", "ftp://localhost"]])
def test_a_replay_of_what_is_not_kept_is_refused(
    command: Command, tmp_path: Path, arguments: list[str]
) -> None:
    ingest(command, tmp_path)

    assert refused(command("replay", *arguments), code=2)


def test_a_running_service_replays_for_the_command(command: Command, tmp_path: Path) -> None:
    ingest(command, tmp_path)
    with process("serve", "--port", "0", folder=tmp_path) as service:
        assert service.stdout is not None
        url = service.stdout.readline().split()[2]
        question = ("ask", "What is the capital of Peru?", "--collection", "small")
        asked = command(*question, "--url", url, "--json").json
        held = command("replay", asked["request_id"])
        ended = command("replay", asked["request_id"], "--url", url)

    assert ended.code == 0
    assert ended.out.startswith("identical: ")
    assert "ask through it over HTTP" in refused(held, code=4)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["Why?", "--collection", "nonesuch"], "existing collections: small"),
        (["Why?", "--collection", "small", "--model", "quotes"], "did you mean 'quote'?"),
        ([" ", "--collection", "small"], "question is blank"),
        (["Why?", "--collection", "small", "--max-output-tokens", "0"], "max_output_tokens"),
        (["why " * 9000, "--collection", "small"], "window 8192 <"),
        (["Why?", "--collection", "small", "--filter", "Peru"], "--filter takes KEY=VALUE"),
        (["Why?", "--collection", "small", "--filter", "author=me"], "author"),
        (
            "Why? --collection small --truncation disabled --max-context-tokens 1".split(),
            "room for 1",
        ),
        (["Why?", "--url", "ftp://localhost"], "no http address"),
    ],
    ids=[
        *("collection", "model", "blank", "no room", "too long"),
        *("filter", "filter key", "truncation", "url"),
    ],
)
def test_a_wrong_question_is_refused_with_a_hint(
    command: Command, tmp_path: Path, arguments: list[str], said: str
) -> None:
    ingest(command, tmp_path)

    assert said in refused(command("ask", *arguments), code=2)


def test_a_wrong_flag_is_a_usage_error(command: Command) -> None:
    assert command("ask", "Why?", "--mode", "all").code == 2
    assert command("ask").code == 2
    assert command("nonesuch").code == 2


# --- settings


@pytest.mark.parametrize(
    "arguments",
    [
        ["ingest", "run", "files", "--collection", "small"],
        ["ask", "Why?"],
        ["serve"],
        ["config", "show"],
        ["doctor"],
    ],
    ids=" ".join,
)
def test_a_misspelt_variable_stops_every_command_with_the_nearest_name(
    command: Command, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINDOWFIT_QDRANT_ULR", "http://localhost:6333")

    told = refused(command(*arguments), code=2)

    assert "WINDOWFIT_QDRANT_ULR" in told
    assert "did you mean 'WINDOWFIT_QDRANT_URL'?" in told


def test_an_unknown_embedder_is_a_configuration_error(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINDOWFIT_EMBEDDER", "hsah:64")

    assert "did you mean 'hash'?" in refused(ingest(command, tmp_path), code=2)


def test_the_settings_in_force_are_shown(command: Command) -> None:
    rows = {row["setting"]: row for row in command("config", "show", "--json").json}

    assert (rows["index.embedder"]["value"], rows["index.embedder"]["origin"]) == (
        "hash:64",
        "environment",
    )
    assert rows["serve.port"]["origin"] == "default"
    assert "index.embedder" in command("config", "show").out


def test_the_doctor_finds_a_healthy_installation_healthy(command: Command, tmp_path: Path) -> None:
    ingest(command, tmp_path)

    ended = command("doctor", "--json")

    findings = {item["subject"]: item for item in ended.json}
    assert ended.code == 0, ended.out
    assert findings["embedder"]["detail"].startswith("hash:64, dimension 64")
    assert findings["collection small"]["detail"].startswith("3 documents")
    assert findings["tokenizer of quote"]["detail"] == "mistral:v3, exact"
    assert findings["model quote"]["state"] == "ok"
    assert {"disk"} <= set(findings)
    assert "collection small" in command("doctor").out


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("WINDOWFIT_EMBEDDER", "hash:many", "hash:N needs"),
        ("WINDOWFIT_SERVE_MODEL", "quotes", "did you mean 'quote'?"),
        ("WINDOWFIT_SERVE_PROFILES", "nonesuch.toml", "nonesuch.toml"),
    ],
)
def test_the_doctor_names_what_is_set_up_wrongly(
    command: Command, variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)

    ended = command("doctor", "--json")

    assert ended.code == 4
    problems = [item["detail"] for item in ended.json if item["state"] == "problem"]
    assert said in " ".join(problems)


# --- what else may be away


@contextmanager
def process(*arguments: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a command as a process of its own."""
    started = subprocess.Popen(
        [sys.executable, "-m", "windowfit", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with started:
        try:
            yield started
        finally:
            started.kill()


def test_a_second_process_is_told_which_one_holds_the_store(
    command: Command, tmp_path: Path
) -> None:
    ingest(command, tmp_path)
    engine = EdgeEngine(tmp_path / "home" / "index")
    try:
        asking = ("ask", "What is the capital of Peru?", "--collection", "small")
        with process(*asking, folder=tmp_path) as second:
            out, err = second.communicate(timeout=60)
        ingesting = ingest(command, tmp_path)
        doctor = command("doctor", "--json")
    finally:
        engine.close()

    told = refused(Ended(second.returncode, out, err), code=4)
    assert f"process {os.getpid()}" in told
    assert "stop that process" in told
    assert f"process {os.getpid()}" in refused(ingesting, code=4)
    assert doctor.code == 4
    assert command("ask", "capital of Peru", "--collection", "small").code == 0


def test_the_doctor_sees_models_that_rules_name_while_another_process_holds_the_store(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(command, tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    rule = {"name": "up", "target": "local", "escalate": "cloud"}
    monkeypatch.setenv("WINDOWFIT_SERVE_RULES", json.dumps([rule]))
    monkeypatch.setenv("WINDOWFIT_SERVE_LOCAL_MODELS", '["quote"]')
    engine = EdgeEngine(tmp_path / "home" / "index")
    try:
        held = {item["subject"]: item for item in command("doctor", "--json").json}
    finally:
        engine.close()
    free = {item["subject"]: item for item in command("doctor", "--json").json}

    assert held["store"]["state"] == "problem"
    for findings in (held, free):
        assert findings["model quote"]["state"] == "ok"
        assert findings["model gpt-6-luna"]["state"] == "note"
        assert "OPENAI_API_KEY" in findings["model gpt-6-luna"]["detail"]


@pytest.mark.network
def test_a_qdrant_server_that_is_down_is_named_with_a_hint(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINDOWFIT_QDRANT_URL", "http://127.0.0.1:9")

    for ended in (ingest(command, tmp_path), command("ask", "Why?", "--collection", "small")):
        told = refused(ended, code=4)
        assert "127.0.0.1:9" in told
        assert "WINDOWFIT_QDRANT_URL" in told
    doctor = command("doctor", "--json")
    assert doctor.code == 4
    assert "127.0.0.1:9" in doctor.out


@pytest.mark.network
def test_a_model_server_that_is_down_is_named_with_a_hint(command: Command, tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text(
        '[profiles.mistral-7b-8k]\nbase_url = "http://127.0.0.1:9/v1"\ntimeout_seconds = 5\n',
        encoding="utf-8",
    )
    (tmp_path / "windowfit.toml").write_text(
        '[serve]\nprofiles = "profiles.toml"\nmodel = "mistral-7b-8k"\n', encoding="utf-8"
    )
    ingest(command, tmp_path)

    told = refused(command("ask", "Why?", "--collection", "small"), code=4)

    assert "127.0.0.1:9" in told
    assert "base_url" in told
    doctor = command("doctor", "--json")
    assert doctor.code == 4
    (model,) = [item for item in doctor.json if item["subject"] == "model mistral-7b-8k"]
    assert model["state"] == "problem"


class Models(BaseHTTPRequestHandler):
    """A model server that lists one model and keeps its connections open."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        listed = {"id": "mistralai/Mistral-7B-Instruct-v0.3", "max_model_len": 4096}
        content = json.dumps({"data": [listed]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.mark.network
@pytest.mark.parametrize(("window", "code"), [(4096, 0), (8192, 4)])
def test_the_doctor_compares_the_window_of_a_running_model_server(
    command: Command, tmp_path: Path, window: int, code: int
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Models) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        (tmp_path / "profiles.toml").write_text(
            f"[profiles.mistral-7b-8k]\nwindow = {window}\n"
            f'base_url = "http://127.0.0.1:{server.server_port}/v1"\n',
            encoding="utf-8",
        )
        (tmp_path / "windowfit.toml").write_text(
            '[serve]\nprofiles = "profiles.toml"\nmodel = "mistral-7b-8k"\n', encoding="utf-8"
        )
        doctor = command("doctor", "--json")
        server.shutdown()

    assert doctor.code == code
    (model,) = [item for item in doctor.json if item["subject"] == "model mistral-7b-8k"]
    assert model["state"] == ("problem" if code else "ok")
    assert "4,096" in model["detail"] or "4096" in model["detail"]


@pytest.mark.network
def test_a_service_answers_over_http_until_it_is_interrupted(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(command, tmp_path)
    with process("serve", "--port", "0", folder=tmp_path) as service:
        assert service.stdout is not None
        line = service.stdout.readline()
        address = line.split()[2]
        asked = ("What is the capital of Peru?", "--collection", "small", "--url", address)
        answered = command("ask", *asked, "--json")
        planned = command("ask", *asked, "--json", "--dry-run")
        unknown = command("ask", "Why?", "--collection", "nonesuch", "--url", address)
        second = command("ask", "Why?", "--collection", "small")
        monkeypatch.setenv("WINDOWFIT_HOME", str(tmp_path / "other"))
        taken = command("serve", "--port", address.rsplit(":", 1)[1])
        service.send_signal(signal.SIGINT)
        out, err = service.communicate(timeout=30)

    assert line == f"listening on {address} (model quote; {address}/docs)\n"
    assert "Capital: Lima" in answered.json["answer"]
    assert "Question: What is" in planned.json["messages"][-1]["content"]
    assert "existing collections: small" in refused(unknown, code=4)
    assert f"process {service.pid}" in refused(second, code=4)
    assert "--port" in refused(taken, code=4)
    assert out == ""
    requests = [json.loads(text) for text in err.splitlines() if '"event": "request"' in text]
    assert [request["status"] for request in requests] == [200, 200, 404]
    assert "capital" not in err
    assert "Traceback" not in err
    assert service.returncode in {0, 130}


@pytest.mark.network
def test_a_service_that_is_down_is_named_with_a_hint(command: Command) -> None:
    told = refused(command("ask", "Why?", "--url", "http://127.0.0.1:9"), code=4)

    assert "no service answers at http://127.0.0.1:9" in told
    assert "windowfit serve" in told


@pytest.mark.network
def test_a_server_of_another_kind_is_told_apart_from_the_service(command: Command) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Models) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        ended = command("ask", "Why?", "--url", f"http://127.0.0.1:{server.server_port}")
        server.shutdown()

    told = refused(ended, code=4)
    assert "answered HTTP 501, and not as Windowfit does" in told
    assert "windowfit serve" in told


# --- the command itself


def test_the_help_lists_every_verb_without_loading_any(tmp_path: Path) -> None:
    code = (
        "import sys, windowfit\n"
        "sys.argv = ['windowfit', '--help']\n"
        "try:\n    windowfit.main()\n"
        "except SystemExit as ended:\n    assert not ended.code\n"
        "heavy = {'fastapi', 'openai', 'qdrant_edge', 'pydantic', 'torch'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    for verb in ("ingest", "ask", "serve", "config", "doctor"):
        assert verb in done.stdout
