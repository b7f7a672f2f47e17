"""A corpus with labels and marks, models near and far, and random rules and requests over them."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, get_args

from chunking.counters import EstimatedCounter, load_counter
from chunking.document import Document
from chunking.piece_counts import count_pieces
from chunking.sections import markdown_sections
from chunking.sensitivity import Sensitivity
from chunking.split import Splitter
from chunking.tokens import TokenCounter
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.points import Engine
from retrieval.providers import fingerprint_of
from retrieval.writer import IndexWriter
from scripts.prove.routing_servers import MODEL, FakeServer
from serve.backends.openai_compatible import OpenAICompatibleBackend
from serve.breaker import CircuitLimits
from serve.context.route import TaskType
from serve.escalation import Thresholds
from serve.gate import GateLimits
from serve.prints import RUN_LETTERS, count_letters
from serve.profiles import ModelProfile, PerMillionPrice, load_profiles
from serve.routing import make_policy
from serve.rules import Rule
from serve.runtime import Runtime

COLLECTION: Final = "marked"
CLOUD_LIMITS: Final = ("public", "internal", "confidential")
LOCAL, CLOUD = ("near", "nearer"), ("far", "farther")
MARKS: Final = {label: f"MARK{label.value.upper()}7F3A" for label in Sensitivity}
"""Stands in every chunk, heading and question of its label, and nowhere else."""
RAISED: Final = "MARKRAISED7F3A"
"""Stands in every chunk of the documents that become restricted while requests are under way."""
DEADLINE_SECONDS: Final = 1.0
DOCUMENTS: Final = 24
RAISED_DOCUMENTS: Final = range(18, 21)
COPIED_DOCUMENTS: Final = range(21, 24)
_LONG_CHARACTERS: Final = 150
_EMBEDDER: Final = HashEmbedder()
_SPLITTER: Final = Splitter(_EMBEDDER.count_tokens, size=32, limit=64)
_PRICE: Final = PerMillionPrice(input_usd=Decimal(1), output_usd=Decimal(4))
_QUESTIONS: Final = (
    *("What is the capital of Land {0}?", "Compare Land {0} and Land {1}.", "Summarise Land {0}."),
    *("Extract every area.", "Write a function for Land {0}.", "Classify Land {0} or Land {1}."),
    "Who answers maria@example.com in Land {0}?",
)


def marked_document(number: int, label: Sensitivity, *, mark: str = "") -> Document:
    """Return a document that bears its label's mark in its title and in each of its lines.

    Args:
        mark: what it bears instead.
    """
    mark = mark or MARKS[label]
    lines = [
        f"{field} {mark}: {field.lower()} of Land {number}, {number * 37 + at} units."
        for at, field in enumerate(("Capital", "Area", "Ports", "Rivers"))
    ]
    text = f"# Land {number} {mark}\n\n## Facts {mark}\n" + "\n".join(lines) + "\n"
    return Document(
        f"land-{number}",
        text,
        f"Land {number} {mark}",
        f"{number}.md",
        "text/markdown",
        markdown_sections(text),
        sensitivity=label,
    )


def marked_engine(counter: TokenCounter, labels: Sequence[Sensitivity]) -> Engine:
    """Return a store of documents, one for each label.

    The last of them are there twice, once more as restricted ones, and bear the mark of that; those
    before them will be raised.
    """
    engine = MemoryEngine()
    documents = [marked_document(number, label) for number, label in enumerate(labels)]
    for number in RAISED_DOCUMENTS:
        mark = f"{MARKS[labels[number]]} {RAISED}"
        documents[number] = marked_document(number, labels[number], mark=mark)
    for number in COPIED_DOCUMENTS:
        mark = MARKS[Sensitivity.RESTRICTED]
        document = marked_document(number, labels[number], mark=mark)
        documents[number] = replace(document, digest=f"bytes-{number}")
        copy = replace(documents[number], id=f"copy-{number}", sensitivity=Sensitivity.RESTRICTED)
        documents.append(copy)
    with IndexWriter(_index(engine), grace_seconds=0) as writer:
        for document in documents:
            chunks = _SPLITTER.split(document)
            vectors = _EMBEDDER.embed([chunk.embedded_text for chunk in chunks])
            counts = {counter.identity: count_pieces(document, chunks, counter)}
            writer.write(document, chunks, vectors, counts=counts)
    return engine


def raise_labels(engine: Engine) -> None:
    """Make some documents restricted, as somebody does who finds out late what they hold."""
    with IndexWriter(_index(engine), grace_seconds=0) as writer:
        writer.relabel({f"land-{number}": Sensitivity.RESTRICTED for number in RAISED_DOCUMENTS})


def _index(engine: Engine) -> Index:
    return Index.create(engine, COLLECTION, fingerprint_of(_EMBEDDER, _SPLITTER))


def marked_counter() -> TokenCounter:
    """Return the real tokenizer that the models count with."""
    return load_counter("mistral:v3")


def make_runtime(
    engine: Engine,
    counter: TokenCounter,
    *,
    near: FakeServer,
    far: FakeServer,
    chance: random.Random,
    limit: str,
) -> Runtime:
    """Return a runtime with random rules; its cloud models' server keeps account by the limit."""
    profiles = _profiles(near, far, limit)
    return Runtime(
        engine,
        _EMBEDDER,
        fingerprint_of(_EMBEDDER, _SPLITTER),
        profiles,
        Path("no-models"),
        policy=make_policy(
            profiles,
            default=chance.choice((*LOCAL, *CLOUD)),
            rules=[_rule(number, chance) for number in range(chance.randrange(5))],
            cloud_limit=Sensitivity(limit),
            thresholds=Thresholds(support=chance.choice((0.0, 1.0))),
        ),
        gate_limits=GateLimits(
            # Broken for a moment only: here the servers fail all the time.
            queue=1000,
            circuit=CircuitLimits(failures=5, window_seconds=0.5, open_seconds=0.05),
        ),
        _counters={"mistral:v3": counter, "estimated:mistral:v3": EstimatedCounter(counter)},
        _backends={
            name: OpenAICompatibleBackend(
                str(one.base_url),
                api_key=None,
                model=MODEL,
                timeout_seconds=DEADLINE_SECONDS,
                max_retries=int(name == "far"),
            )
            for name, one in profiles.items()
        },
    )


def _profiles(near: FakeServer, far: FakeServer, limit: str) -> Mapping[str, ModelProfile]:
    base = replace(
        load_profiles()["quote"],
        backend="openai",
        model=MODEL,
        output_limit=256,
        default_output=128,
        timeout_seconds=DEADLINE_SECONDS,
    )
    windows = {"near": 900, "nearer": 2048, "far": 4096, "farther": 16_384}
    return {
        name: replace(base, name=name, window=window, base_url=near.base_url("local"))
        if name in LOCAL
        else replace(
            base,
            name=name,
            window=window,
            base_url=far.base_url(limit),
            place="cloud",
            price=_PRICE,
            tokenizer="estimated:mistral:v3",
        )
        for name, window in windows.items()
    }


def _rule(number: int, chance: random.Random) -> Rule:
    """Return a rule as an operator might write it, or as one should not."""
    places = ("local", "cloud", *LOCAL, *CLOUD)
    table: dict[str, Any] = {
        "name": f"rule {number}",
        "target": chance.choice((*places, "cloud", "refuse" if number else "cloud")),
        "fallback": chance.sample(places, chance.randrange(3)),
    }
    if _happens(chance, 0.5):
        table["escalate"] = chance.choice(("cloud", *CLOUD))
        table["target"] = chance.choice(("local", *LOCAL))
    conditions = {
        "tasks": [chance.choice(get_args(TaskType))],
        "sensitivity_at_least": chance.choice(list(Sensitivity)).value,
        "sensitivity_at_most": chance.choice(list(Sensitivity)).value,
        "personal_data": _happens(chance, 0.5),
        "window_above": chance.randrange(3000),
        "cost_limit_usd": chance.choice(("0", "0.001", "1")),
        "latency_limit_seconds": chance.choice((0.01, 1.0)),
    }
    for name in chance.sample(sorted(conditions), chance.randrange(3)):
        table[name] = conditions[name]
    bounds = ("sensitivity_at_least", "sensitivity_at_most")
    if set(bounds) <= table.keys():  # a rule that can never hold is refused at the start
        table.update(zip(bounds, sorted(Sensitivity(table[name]) for name in bounds), strict=True))
    return Rule.model_validate(table)


def make_body(
    chance: random.Random, labels: Sequence[Sensitivity], history: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """Return a request as `POST /answer` takes it; one under a label bears the label's mark.

    Args:
        labels: those of the documents: some requests are about documents of low labels alone, so
            that clouds are really called.
        history: question and answer of earlier requests, of which some come back as turns.
    """
    question = chance.choice(_QUESTIONS).format(*chance.sample(range(DOCUMENTS), 2))
    body: dict[str, Any] = {
        "question": question,
        "collection": COLLECTION,
        "mode": chance.choice(("retrieve", "retrieve", "retrieve", "full", "auto", "exhaustive")),
        "route": chance.choice((*["auto"] * 6, "local", "cloud", *LOCAL, *CLOUD)),
        "trim": _happens(chance, 0.3),
        "order": chance.choice(("relevance", "document")),
        "max_output_tokens": chance.choice((64, 128)),
    }
    if _happens(chance, 0.7):
        highest = chance.choice(list(Sensitivity))
        low = [number for number, label in enumerate(labels) if label <= highest]
        lands = chance.sample(low, min(len(low), chance.choice((1, 2, 4, 8))))
        body["filter"] = {"document": [f"land-{number}" for number in lands] or ["none"]}
    if _happens(chance, 0.6):
        label = chance.choices(list(Sensitivity), weights=(5, 2, 1, 2))[0]
        body["sensitivity"] = label.value
        body["question"] = f"{question} {MARKS[label]}"
    if history and _happens(chance, 0.5):
        _bring_back(body, chance, *chance.choice(history))
        if _happens(chance, 0.6):
            send_out(body, chance, labels)
    return body


def send_out(body: dict[str, Any], chance: random.Random, labels: Sequence[Sensitivity]) -> None:
    """Have a request go to a cloud, unless something that it brings back keeps it here."""
    uncopied = list(labels)[: COPIED_DOCUMENTS.start]
    public = [number for number, label in enumerate(uncopied) if label is Sensitivity.PUBLIC]
    body["filter"] = {"document": [f"land-{number}" for number in public[:2]] or ["none"]}
    body["route"] = chance.choice(("cloud", *CLOUD))


def _bring_back(body: dict[str, Any], chance: random.Random, asked: str, answered: str) -> None:
    """Put what was asked and answered before into a request, as clients do."""
    if len(answered) > _LONG_CHARACTERS and _happens(chance, 0.3):
        answered = answered[: chance.randrange(_LONG_CHARACTERS, len(answered))]
    if (
        _happens(chance, 0.2)
        and count_letters(tail := answered[len(answered) // 3 :]) >= RUN_LETTERS
    ):
        answered = tail
    answered = answered.strip()
    ways = ["history", "history", "question", "again", "system", "quoted"]
    if count_letters(answered) >= RUN_LETTERS:
        ways += ["told", "written"]
    way = chance.choice(ways)
    if way == "history":
        body["history"] = [
            {"role": "user", "content": asked},
            {"role": "assistant", "content": answered},
        ]
    elif way == "system":
        body["system"] = answered
    else:
        texts = {
            "question": answered,
            "again": asked,
            "quoted": f"Translate:\n\n{answered}",
            "told": f'Is "{answered}" what the sources say?',
            "written": json.dumps({"turns": [asked, answered]}),
        }
        body["question"] = texts[way]
        # What the request says of itself is not what protects it here.
        body.pop("sensitivity", None)


def _happens(chance: random.Random, share: float) -> bool:
    return chance.random() < share
