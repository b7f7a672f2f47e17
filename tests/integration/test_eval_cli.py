"""`windowfit eval retrieval` and `significance` as a shell sees them, over the embedded engine."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from eval.searching.layouts import load_retrieval_set
from tests.integration.commands import Command, Ended
from tests.unit.eval.retrieval_sets import write_beir, write_excerpts, write_lines

pytest.importorskip("ir_measures", reason="needs the extra `eval`")
pytest.importorskip("scipy", reason="needs the extra `eval`")


def embedded(ended: Ended) -> int:
    """Return how many chunks the progress of a run says were embedded."""
    told = [json.loads(line) for line in ended.err.splitlines() if line.startswith("{")]
    counts = [int(line["embedded_chunks"]) for line in told if line["event"] == "progress"]
    return max(counts)


def test_a_beir_folder_is_ingested_once_and_measured(command: Command, tmp_path: Path) -> None:
    write_beir(tmp_path / "tiny")

    first = command("eval", "retrieval", "tiny", "--k", "1", "--k", "4")
    second = command("eval", "retrieval", "tiny", "--k", "4")
    measured = command("eval", "retrieval", "tiny", "--json").json

    assert (first.code, second.code) == (0, 0)
    assert (embedded(first), embedded(second)) == (4, 0)
    assert "tiny (beir): 2 of 2 questions answerable; 4 documents in 4 chunks" in first.out
    assert "ndcg" in first.out
    assert measured["collection"].startswith("eval-tiny-")
    assert measured["embedder"] == "hash:64"
    metrics = measured["metrics"]
    assert {"ndcg@10", "recall@100", "mrr@10", "all-gold@5", "gold-in-context@8192"} <= set(metrics)
    assert metrics["recall@100"]["mean"] == metrics["gold-in-context@1024"]["mean"] == 1.0
    assert metrics["recall@100"]["questions"] == 2
    assert 0 < measured["latency_ms"]["embedding"]["p50"] < measured["latency_ms"]["search"]["p50"]


def test_gold_sentences_are_looked_for_in_the_context(command: Command, tmp_path: Path) -> None:
    stated = {"q-peru": {"gold_sentences": {"peru": ["Lima."], "chad": ["N'Djamena."]}}}
    write_beir(tmp_path / "tiny", metadata=stated)

    metrics = command("eval", "retrieval", "tiny", "--json", "--budget", "1").json["metrics"]

    assert (
        metrics["answer-in-context@1"]["questions"],
        metrics["answer-in-context@1"]["mean"],
    ) == (1, 0)
    assert metrics["gold-in-context@1"]["questions"] == 1


def test_excerpts_are_measured_with_a_type_for_each_corpus(
    command: Command, tmp_path: Path
) -> None:
    keys, doors = "Keys are rotated every 90 days.\n", "Doors are painted green in spring.\n"
    rows = [("keys rotated", "one", [(0, 31)]), ("doors painted", "two", [(0, 34)])]
    write_excerpts(tmp_path / "tiny", {"one": keys, "two": doors}, rows)

    measured = command("eval", "retrieval", "tiny", "--json", "--k", "1").json

    assert measured["layout"] == "excerpts"
    assert measured["metrics"]["recall@1"]["mean"] == 1.0
    assert measured["metrics"]["precision-omega"]["mean"] > 0.9
    assert set(measured["by_type"]) == {"one", "two"}


QUESTIONS: list[dict[str, Any]] = [
    {
        "id": "1",
        "type": "plain",
        "question": "capital of Peru Lima",
        "evidence": [{"doc": "peru.txt", "text": "Lima"}],
    },
    {"id": "2", "type": "none", "question": "Who wrote the symphony?", "evidence": []},
]


def ingest_notes(command: Command, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "peru.txt").write_text("The capital of Peru is Lima.\n")
    assert command("ingest", "run", "notes", "--collection", "notes", "--quiet").code == 0


def test_questions_are_asked_of_the_collection_that_is_named(
    command: Command, tmp_path: Path
) -> None:
    write_lines(tmp_path / "qa.jsonl", QUESTIONS)
    ingest_notes(command, tmp_path)

    ended = command(
        "eval", "retrieval", "qa.jsonl", "--collection", "notes", "--json", "--budget", "64"
    )

    assert ended.code == 0
    assert (ended.json["questions"], ended.json["answerable"]) == (2, 1)
    assert ended.json["metrics"]["answer-in-context@64"]["mean"] == 1.0
    assert ended.json["metrics"]["abstention-auroc"]["questions"] == 2
    assert set(ended.json["by_type"]) == {"plain", "none"}
    shown = command("eval", "retrieval", "qa.jsonl", "--collection", "notes", "--budget", "64")
    assert "in context, by type" in shown.out


def test_a_gate_that_fails_ends_with_5_and_the_numbers(command: Command, tmp_path: Path) -> None:
    write_lines(tmp_path / "qa.jsonl", QUESTIONS)
    ingest_notes(command, tmp_path)
    asked = ("eval", "retrieval", "qa.jsonl", "--collection", "notes", "--k", "1")

    passed = command(*asked, "--at-least", "recall@1=1.0")
    failed = command(*asked, "--at-least", "recall@1=1.01", "--at-least", "mrr@1=0.5")

    assert passed.code == 0
    assert failed.code == 5
    assert "gate failed: recall@1 is 1.0000, at least 1.01 wanted" in failed.err
    assert "mrr" not in failed.err


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--at-least", "ndcg@7=1"), "no metric 'ndcg@7'"),
        (("--at-least", "ndcg@10=high"), "'high' is no number"),
        (("--at-least", "ndcg@10=nan"), "'nan' is no number"),
        (("--at-least", "ndcg@10"), "no metric"),
        (("--type", "absent"), "no question of type 'absent'"),
        (("--sample", "3"), "2 questions"),
        (("--split", "dev"), "no split 'dev'"),
        (("--out", "absent/out.jsonl"), "cannot write"),
        (("--collection", "absent"), "absent"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is_embedded(
    command: Command, tmp_path: Path, flags: tuple[str, ...], told: str
) -> None:
    write_beir(tmp_path / "tiny")

    ended = command("eval", "retrieval", "tiny", *flags)

    assert ended.code == 2
    assert told in ended.err
    assert "hint: " in ended.err
    assert "progress" not in ended.err


@pytest.mark.parametrize(
    "option", [("--sample", "-1"), ("--max-context-tokens", "-5"), ("--at-least", "nan")]
)
def test_a_number_that_measures_nothing_is_refused(
    command: Command, tmp_path: Path, option: tuple[str, str]
) -> None:
    write_lines(tmp_path / "qa.jsonl", QUESTIONS)
    ingest_notes(command, tmp_path)
    asked = ("eval", "context", "--questions", "qa.jsonl", "--collection", "notes")

    ended = command(*asked, "=".join(option))

    assert ended.code == 2
    assert option[0] in ended.err


def test_results_by_question_are_written_and_compared(command: Command, tmp_path: Path) -> None:
    write_beir(tmp_path / "tiny")
    assert command("eval", "retrieval", "tiny", "--out", "a.jsonl", "--json").code == 0
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["q-peru", "q-keys"]
    lines[0]["metrics"] = {**lines[0]["metrics"], "ndcg@10": 0.0}
    write_lines(tmp_path / "b.jsonl", lines)

    ended = command("eval", "significance", "a.jsonl", "b.jsonl", "--json")
    shown = command("eval", "significance", "a.jsonl", "b.jsonl")

    assert (ended.json["paired"], ended.json["unpaired"]) == (2, 0)
    changed = ended.json["metrics"]["ndcg@10"]
    assert changed["difference"] == pytest.approx(changed["second"] - changed["first"])
    assert changed["difference"] < 0
    assert ended.json["metrics"]["recall@100"]["p"] == 1.0
    assert "ndcg@10" in shown.out


def test_results_without_a_question_in_common_are_refused(command: Command, tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{"id": "1", "metrics": {"recall@5": 1.0}}])
    write_lines(tmp_path / "b.jsonl", [{"id": "2", "metrics": {"recall@5": 1.0}}])

    ended = command("eval", "significance", "a.jsonl", "b.jsonl")

    assert ended.code == 2
    assert "0 questions and no metric in common" in ended.err


def test_a_sample_is_the_same_for_the_same_seed(command: Command, tmp_path: Path) -> None:
    write_beir(tmp_path / "tiny")
    flags = ("--sample", "1", "--seed", "3", "--json")
    command("eval", "retrieval", "tiny", *flags, "--out", "a.jsonl")
    command("eval", "retrieval", "tiny", *flags, "--out", "b.jsonl")

    ids = [json.loads((tmp_path / name).read_text())["id"] for name in ("a.jsonl", "b.jsonl")]

    assert ids[0] == ids[1]


def test_excerpts_are_found_in_a_collection_that_their_corpora_were_ingested_into(
    command: Command, tmp_path: Path
) -> None:
    keys = "# Keys\n\nKeys are rotated every 90 days.\n"
    place = keys.index("Keys are")
    folder = write_excerpts(
        tmp_path / "tiny", {"one": keys}, [("keys rotated", "one", [(place, place + 31)])]
    )
    corpora = str(folder / "corpora")
    assert command("ingest", "run", corpora, "--collection", "mine", "--quiet").code == 0

    ended = command("eval", "retrieval", "tiny", "--collection", "mine", "--json", "--quiet")

    assert ended.json["collection"] == "mine"
    assert ended.json["metrics"]["recall@5"]["mean"] == 1.0


@pytest.mark.parametrize(
    ("name", "questions", "documents"),
    [
        ("scifact", 300, 5183),
        ("hotpotqa_pooled500_dev", 500, 4910),
        ("anthropic_docs_qa", 100, 232),
        ("chunking_evaluation", 472, 5),
    ],
)
def test_public_data_sets_load_whole(name: str, questions: int, documents: int) -> None:
    data = os.environ.get("WINDOWFIT_TEST_DATA")
    if data is None or not (Path(data) / name).is_dir():
        pytest.skip(f"WINDOWFIT_TEST_DATA does not name a folder with `{name}`")

    found = load_retrieval_set(Path(data) / name)

    assert len(found.questions) == questions
    assert len(found.documents or ()) == documents
    assert all(question.answerable for question in found.questions)
