"""Small data sets of each layout, written by the tests that read them."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CORPUS = {
    "peru": ("Peru", "The capital of Peru is Lima."),
    "chad": ("Chad", "The capital of Chad is N'Djamena."),
    "keys": ("Keys", "Keys are rotated every 90 days."),
    "doors": ("Doors", "Doors are painted green in spring."),
}
QUERIES = {"q-peru": "capital of Peru Lima", "q-keys": "keys rotated every days"}
JUDGED = {"q-peru": {"peru": 1, "chad": 1}, "q-keys": {"keys": 1}}


def write_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def write_beir(
    folder: Path,
    *,
    queries: Mapping[str, str] = QUERIES,
    judged: Mapping[str, Mapping[str, int]] = JUDGED,
    metadata: Mapping[str, Any] | None = None,
    split: str = "test",
) -> Path:
    documents = [
        {"_id": key, "title": title, "text": text} for key, (title, text) in CORPUS.items()
    ]
    write_lines(folder / "corpus.jsonl", documents)
    lines = [
        {"_id": key, "text": text, "metadata": (metadata or {}).get(key, {})}
        for key, text in queries.items()
    ]
    write_lines(folder / "queries.jsonl", lines)
    rows = [f"{q}\t{d}\t{grade}" for q, grades in judged.items() for d, grade in grades.items()]
    (folder / "qrels").mkdir(exist_ok=True)
    text = "\n".join(["query-id\tcorpus-id\tscore", *rows]) + "\n"
    (folder / "qrels" / f"{split}.tsv").write_text(text, encoding="utf-8")
    return folder


def write_excerpts(
    folder: Path, corpora: Mapping[str, str], rows: Sequence[tuple[str, str, Sequence[Any]]]
) -> Path:
    """Write corpora and rows of question, corpus and references, as (start, end) or as they are."""
    (folder / "corpora").mkdir(parents=True)
    for name, text in corpora.items():
        (folder / "corpora" / f"{name}.md").write_bytes(text.encode())
    with (folder / "questions_df.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["question", "references", "corpus_id"])
        for question, corpus, references in rows:
            whole = corpora.get(corpus, "")
            stated = [
                {"content": whole[one[0] : one[1]], "start_index": one[0], "end_index": one[1]}
                if isinstance(one, tuple)
                else one
                for one in references
            ]
            writer.writerow([question, json.dumps(stated), corpus])
    return folder
