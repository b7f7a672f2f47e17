"""Questions of two sets, planned with their sources by relevance and in document order."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from chunking.document import Document
from eval.metrics import answer_in_context
from eval.questions import Evidence, Question, sample_questions
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.points import Engine
from retrieval.providers import fingerprint_of, open_embedder, open_engine, open_splitter
from retrieval.settings import IndexSettings
from retrieval.writer import IndexWriter
from serve.plan import Ask, Order, Plan
from serve.profiles import load_profiles
from serve.runtime import Runtime

ORDERS: tuple[Order, Order] = ("relevance", "document")
FACTBOOK_TYPES = ("single_field", "multi_field", "comparison", "paraphrase_bridge")
PROFILE = "qwen2.5-coder-1.5b-8k"
ANSWER_TOKENS = 48
_PASSAGES_PER_QUESTION = 5
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Item:
    """A question with the short answers that must all be given, and what must not come first."""

    question: Question
    answers: tuple[str, ...]
    rivals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """A question planned in both orders.

    Attributes:
        prompts: the messages by order.
        places: mean place of the chunks with evidence by order, from 0 (first) to 1 (last).
        found: whether the kept chunks hold all evidence.
        same_kept: whether both orders kept the same candidates.
    """

    id: str
    type: str
    answers: tuple[str, ...]
    rivals: tuple[str, ...]
    prompts: dict[str, list[dict[str, str]]]
    places: dict[str, float]
    found: bool
    same_kept: bool

    @property
    def differing(self) -> bool:
        """Whether the two orders make different prompts of the same chunks."""
        return self.same_kept and self.prompts["relevance"] != self.prompts["document"]

    @property
    def asked(self) -> bool:
        """Whether a model is asked: the orders differ and the evidence is there."""
        return self.found and self.differing


def short_answer(text: str) -> str:
    """Return what must stand in a right answer: the first number of a figure, else the words."""
    plain = re.sub(r"\([^)]*\)", " ", text).split(";")[0].strip()
    number = _NUMBER.search(plain)
    return number.group() if number and number.start() <= 1 else plain


def read_factbook(folder: Path, size: int, seed: int) -> list[Item]:
    """Return as many questions of each short type, the types taking turns."""
    lines = [json.loads(line) for line in (folder / "dev.jsonl").read_text("utf-8").splitlines()]
    items = [_factbook_item(line) for line in lines if line["type"] in FACTBOOK_TYPES]
    by_question = {item.question.id: item for item in items}
    questions = [item.question for item in items]
    drawn = [
        sample_questions(questions, type_name=name, size=size // len(FACTBOOK_TYPES), seed=seed)
        for name in FACTBOOK_TYPES
    ]
    return [by_question[question.id] for turn in zip(*drawn, strict=True) for question in turn]


def _factbook_item(line: Mapping[str, Any]) -> Item:
    evidence = tuple(Evidence(one["doc"], one["text"]) for one in line["evidence"])
    question = Question(line["id"], line["type"], line["question"], evidence)
    given = line["answer"] if isinstance(line["answer"], list) else [line["answer"]]
    rivals = tuple(name for name in line.get("values", ()) if name not in given)
    return Item(question, tuple(map(short_answer, given)), rivals)


def read_hotpot(folder: Path, passages: int, size: int) -> tuple[list[Item], list[Document]]:
    """Return the first passages and the questions that these answer in a few words."""
    with (folder / "corpus.jsonl").open(encoding="utf-8") as file:
        lines = [json.loads(line) for line, _ in zip(file, range(passages), strict=False)]
    documents = [Document(one["_id"], one["text"], one["title"], one["_id"]) for one in lines]
    known = {document.id for document in documents}
    items = []
    for line in map(json.loads, (folder / "queries.jsonl").read_text("utf-8").splitlines()):
        gold, answer = line["metadata"]["gold_sentences"], line["metadata"]["answer"]
        evidence = tuple(Evidence(name, text.strip()) for name in gold for text in gold[name])
        if gold.keys() <= known and answer not in ("yes", "no"):
            question = Question(line["_id"], line["metadata"]["type"], line["text"], evidence)
            items.append(Item(question, (answer,)))
    return items[:size], documents


def write_documents(engine: Engine, collection: str, documents: Iterable[Document]) -> None:
    """Split, embed and write documents, in corpus order, as an ingestion would."""
    settings = IndexSettings.load()
    embedder = open_embedder(settings)
    splitter = open_splitter(settings, embedder)
    index = Index.create(engine, collection, fingerprint_of(embedder, splitter))
    split = [(document, splitter.split(document)) for document in documents]
    vectors = embedder.embed([chunk.embedded_text for _, chunks in split for chunk in chunks])
    with IndexWriter(index) as writer:
        for document, chunks in split:
            writer.write(document, chunks, vectors[: len(chunks)])
            vectors = vectors[len(chunks) :]


def plan_cases(engine: Engine, collection: str, items: Iterable[Item], budget: int) -> list[Case]:
    """Plan every question in both orders under a budget of retrieved tokens."""
    settings = IndexSettings.load()
    embedder = open_embedder(settings)
    fingerprint = fingerprint_of(embedder, open_splitter(settings, embedder))
    runtime = Runtime(engine, embedder, fingerprint, load_profiles(None), settings.models_folder)
    return [case_of(item, partial(_plan, runtime, collection, budget)) for item in items]


def _plan(runtime: Runtime, collection: str, budget: int, question: str, order: Order) -> Plan:
    ask = Ask(
        question,
        collection,
        PROFILE,
        max_context_tokens=budget,
        max_output_tokens=ANSWER_TOKENS,
        order=order,
    )
    return runtime.plan(ask)


def case_of(item: Item, plan: Callable[[str, Order], Plan]) -> Case:
    """Return a question planned in both orders."""
    plans = {order: plan(item.question.question, order) for order in ORDERS}
    kept = [
        {entry.chunk for entry in one.report.entries if entry.marker is not None}
        for one in plans.values()
    ]
    return Case(
        item.question.id,
        item.question.type,
        item.answers,
        item.rivals,
        prompts={
            str(order): [{"role": m.role, "content": m.content} for m in one.context.messages]
            for order, one in plans.items()
        },
        places={str(order): _place(item.question, one) for order, one in plans.items()},
        found=answer_in_context(item.question, plans["relevance"].context.chunks),
        same_kept=kept[0] == kept[1],
    )


def _place(question: Question, plan: Plan) -> float:
    """Return the mean place of the shown chunks that hold a piece of evidence, 0.5 without any."""
    chunks = plan.context.chunks
    gold = [
        place
        for place, chunk in enumerate(chunks)
        for evidence in question.evidence
        if f"/{chunk.document}".endswith(f"/{evidence.document}") and evidence.text in chunk.text
    ]
    return sum(gold) / len(gold) / max(1, len(chunks) - 1) if gold else 0.5


def remembered(path: Path, make: Callable[[], list[Case]]) -> list[Case]:
    """Return the cases of a file, made and written if it is not there."""
    if not path.is_file():
        lines = [json.dumps(asdict(case), ensure_ascii=False) + "\n" for case in make()]
        path.write_text("".join(lines), encoding="utf-8")
    read = map(json.loads, path.read_text("utf-8").splitlines())
    return [
        Case(**{**one, "answers": tuple(one["answers"]), "rivals": tuple(one["rivals"])})
        for one in read
    ]


def _factbook_cases(data: Path, size: int, budget: int) -> list[Case]:
    engine = open_engine(IndexSettings.load())
    try:
        items = read_factbook(data / "factbook_qa", size, seed=0)
        return plan_cases(engine, "factbook", items, budget)
    finally:
        engine.close()


def _hotpot_cases(data: Path, size: int, budget: int) -> list[Case]:
    items, documents = read_hotpot(
        data / "hotpotqa_pooled500_dev", _PASSAGES_PER_QUESTION * size, size
    )
    engine = MemoryEngine()
    write_documents(engine, "hotpotqa", documents)
    return plan_cases(engine, "hotpotqa", items, budget)


SETS = {"factbook_qa": _factbook_cases, "hotpotqa": _hotpot_cases}
