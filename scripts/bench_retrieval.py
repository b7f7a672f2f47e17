"""Measures retrieval side by side with four other tools, on the same data in one run.

    python -m scripts.bench_retrieval [--questions 30] [--documents 256] [--arm ...] [--case ...]

The same documents, questions, embedder (all-MiniLM-L6-v2) and token budget for all. Questions on
the World Factbook, SciFact and the pool of HotpotQA lie in the folder that `WINDOWFIT_TEST_DATA`
names. The tools lie in an environment of their own, `.cache/peers-retrieval`, made on the first run
and pinned by `retrieval-peers-constraints.txt`; `bench_retrieval_worker.py` shows how each is used.
They get every document as text under its title, and of their chunks the text alone counts against
the budget; a chunk that does not fit is passed over. Windowfit is searched and packed as a request
is. Vectors and rankings are kept, so a run that was stopped goes on. Prints two tables for each
data set and a last line of JSON, which `.cache/peers-retrieval/results.json` holds, too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chunking.counters import load_counter
from chunking.document import Chunk, content_id
from chunking.errors import InputError, WindowfitError
from chunking.tokens import TextCounter
from eval.datasets import RetrievalSet, gold_documents, resolve_gold
from eval.metrics import answer_in_context
from eval.questions import Question, sample_questions
from eval.retrieval_cli import Wanted, measure_set
from eval.searching.documents import score_documents
from eval.searching.layouts import load_retrieval_set
from eval.statistics import compare_all
from retrieval.settings import IndexSettings
from retrieval.weights import find_weights
from scripts.bench_chunk import MODEL
from scripts.bench_documents import factbook_documents, models_folder
from scripts.prove.peers_environment import ROOT, Peers, PeersUnavailable, run_module
from serve.profiles import find_profile, load_profiles
from serve.settings import ServeSettings

PEERS: Final = Peers(
    home=ROOT / ".cache" / "peers-retrieval" / "venv",
    constraints=Path(__file__).with_name("retrieval-peers-constraints.txt"),
    requirements=(
        "haystack-ai",
        "langchain",
        "langchain-community",
        "langchain-text-splitters",
        "llama-index-core",
        "llama-index-retrievers-bm25",
        "numpy",
        "rank-bm25",
        "sentence-transformers",
        "torch",
        "txtai",
    ),
)
FOLDER: Final = ROOT / ".cache" / "peers-retrieval"
ARMS: Final = ("LlamaIndex", "LlamaIndex, hybrid", "Haystack", "LangChain", "txtai")
OURS: Final = "Windowfit"
BUDGET: Final = 2048
LIMITS: Final = (5, 10)
DEPTH: Final = 100
"""Chunks that a tool is asked for: more than fill the budget, and of ten documents at least."""
_IN_CONTEXT: Final = f"answer-in-context@{BUDGET}"
_SHOWN: Final = {"scifact": ("ndcg@10",), "hotpotqa": ("all-gold@5", "recall@5")}

Scores = Mapping[str, Mapping[str, float]]
"""Metrics by question."""


@dataclass(frozen=True, slots=True)
class Case:
    """A data set to measure, and the metrics that are shown of it."""

    name: str
    data: RetrievalSet

    def columns(self, scores: Scores) -> dict[str, float]:
        """Return the means that are shown, by column."""
        columns = {}
        if self.data.layout == "questions":
            for kind in sorted({question.type for question in self.data.questions}):
                asked = [one.id for one in self.data.questions if one.type == kind]
                columns[kind] = statistics.mean(scores[name][_IN_CONTEXT] for name in asked)
            columns["all"] = statistics.mean(one[_IN_CONTEXT] for one in scores.values())
        for metric in _SHOWN.get(self.name, ()):
            columns[metric] = statistics.mean(one[metric] for one in scores.values())
        return columns


def cases(folder: Path, *, questions: int, documents: int) -> Iterator[Case]:
    """Yield the data sets with their samples of questions.

    Args:
        questions: of each type of the questions on the World Factbook; ten times as many of others.
        documents: of the World Factbook; only questions that these answer are asked.
    """
    read = tuple(factbook_documents(documents))
    names = [document.id for document in read]
    asked = load_retrieval_set(folder / "factbook_qa" / "dev.jsonl").questions
    resolved, _ = resolve_gold([one for one in asked if one.answerable], names)
    held = [one for one in resolved if gold_documents([one]) <= set(names)]
    kinds = sorted({one.type for one in held})
    drawn = [one for kind in kinds for one in _sample(held, questions, kind)]
    yield Case("factbook", RetrievalSet("factbook", "questions", read, tuple(drawn)))
    for name, place in (("scifact", "scifact"), ("hotpotqa", "hotpotqa_pooled500_dev")):
        loaded = load_retrieval_set(folder / place)
        sample = _sample([one for one in loaded.questions if one.answerable], questions * 10)
        yield Case(name, RetrievalSet(loaded.name, "beir", loaded.documents, sample))


def _sample(
    questions: Sequence[Question], size: int, kind: str | None = None
) -> tuple[Question, ...]:
    there = sum(kind in (None, question.type) for question in questions)
    return sample_questions(questions, type_name=kind, size=min(size, there), seed=0)


def measure_ours(case: Case, collection: str | None) -> Scores:
    """Return the metrics of Windowfit, as `windowfit eval retrieval` measures them."""
    own = collection is None
    wanted = Wanted(case.data, case.data.questions, LIMITS, (BUDGET,), 0, own, quiet=True)
    settings = ServeSettings.load(collection=collection)
    _, results = measure_set(wanted, settings, IndexSettings.load())
    return {result.id: result.metrics for result in results}


def measure_peer(case: Case, arm: str, counter: TextCounter) -> Scores:
    """Return the same metrics of another tool."""
    questions = case.data.questions
    task = {
        "documents": [
            {"id": one.id, "text": f"{one.title}\n\n{one.text}"}
            for one in case.data.documents or ()
        ],
        "questions": [{"id": one.id, "question": one.question} for one in questions],
        "depth": DEPTH,
    }
    written = json.dumps(task)
    made_by = [
        PEERS.constraints,
        ROOT / "scripts" / "bench_retrieval_worker.py",
        ROOT / "scripts" / "kept_vectors.py",
    ]
    versions = (file.read_text(encoding="utf-8") for file in made_by)
    key = content_id(arm, written, *versions)[:12]
    path, ranked = FOLDER / f"task-{case.name}.json", FOLDER / f"ranked-{key}.json"
    if not ranked.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        path.write_text(written, encoding="utf-8")
        weights = find_weights(MODEL, folders=(models_folder(),))
        cache = FOLDER / "vectors.sqlite"
        made = ranked.with_suffix(".new")
        run_module(
            "scripts.bench_retrieval_worker", arm, path, made, str(weights), cache, peers=PEERS
        )
        made.replace(ranked)
    rankings = json.loads(ranked.read_text(encoding="utf-8"))
    if case.data.layout == "questions":
        return {
            one.id: {_IN_CONTEXT: float(answer_in_context(one, fill(rankings[one.id], counter)))}
            for one in questions
        }
    named = {one.id: [document for document, _ in rankings[one.id]] for one in questions}
    return score_documents(
        questions,
        {name: list(dict.fromkeys(documents)) for name, documents in named.items()},
        LIMITS,
    )


def fill(ranking: Sequence[tuple[str, str]], counter: TextCounter) -> list[Chunk]:
    """Return the chunks of a ranking that fit the budget, in its order."""
    kept, room = [], BUDGET
    for number, (document, text) in enumerate(ranking):
        tokens = counter.count(text)
        if tokens <= room:
            room -= tokens
            kept.append(Chunk(str(number), document, "", (), 0, len(text), text, number))
    return kept


def table(case: Case, measured: Mapping[str, Mapping[str, float]]) -> str:
    """Return what was measured of a case as a Markdown table, the best of each column in bold."""
    columns = list(next(iter(measured.values())))
    best = {column: max(row[column] for row in measured.values()) for column in columns}
    lines = [f"| {case.name} | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for arm, row in measured.items():
        cells = [
            f"**{row[column]:.3f}**" if row[column] == best[column] else f"{row[column]:.3f}"
            for column in columns
        ]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return "\n".join(lines)


def differences(case: Case, scores: Mapping[str, Scores]) -> str:
    """Return how far Windowfit is above each other tool, as a Markdown table.

    Each difference has its 95 % interval over the questions and its p, see `compare`.
    """
    metrics = _SHOWN.get(case.name, (_IN_CONTEXT,))
    lines = [f"| {OURS} minus | {' | '.join(metrics)} |", f"|---|{'---|' * len(metrics)}"]
    for arm, theirs in scores.items():
        if arm != OURS:
            compared = compare_all(theirs, scores[OURS])
            cells = [
                f"{one.difference:+.3f} ({one.low:+.3f} to {one.high:+.3f}), p {one.p:.2g}"
                for one in map(compared.__getitem__, metrics)
            ]
            lines.append(f"| {arm} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print two tables for each data set and a last line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--questions", type=int, default=30, help="of each type")
    parser.add_argument("--documents", type=int, default=256, help="how many of the Factbook's")
    parser.add_argument("--arm", nargs="+", choices=ARMS, default=ARMS)
    parser.add_argument("--case", nargs="+", choices=("factbook", *_SHOWN), help="all by default")
    parser.add_argument("--collection", help="that the Factbook is ingested in; else one is made")
    given = parser.parse_args(arguments)
    results: dict[str, dict[str, dict[str, float]]] = {}
    try:
        if (folder := os.environ.get("WINDOWFIT_TEST_DATA")) is None:
            raise InputError("set WINDOWFIT_TEST_DATA to the folder of the data sets")
        profile = find_profile(load_profiles(), ServeSettings.load().model)
        counter = load_counter(profile.tokenizer, folders=(models_folder(),))
        for case in cases(Path(folder), questions=given.questions, documents=given.documents):
            if given.case and case.name not in given.case:
                continue
            collection = given.collection if case.name == "factbook" else None
            scores = {OURS: measure_ours(case, collection)}
            for arm in given.arm:
                print(f"{case.name}: {arm}", file=sys.stderr)
                scores[arm] = measure_peer(case, arm, counter)
            measured = {arm: case.columns(found) for arm, found in scores.items()}
            print(f"\n{len(case.data.questions)} questions\n\n{table(case, measured)}")
            print(f"\n{differences(case, scores)}", flush=True)
            results[case.name] = measured
    except (PeersUnavailable, WindowfitError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 4
    (FOLDER / "results.json").write_text(json.dumps(results), encoding="utf-8")
    print(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
