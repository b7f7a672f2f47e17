"""A small comparison with something of everything, made without a model, for tests of reports."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from eval.cells import AskedQuestion, Cell, Score, Seconds, Spent, Tokens, Verdict
from eval.compare import finish_comparison
from eval.comparison import ArmFacts, Comparison, RunFacts

DAY = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
FREE = "no per-token charge; hardware not counted"
PAID = "USD per million tokens in the profile, file:///profiles.toml 2026-11-22"

LOCAL = ArmFacts("local-rag-8k", "mistral-7b-8k", "mistral-7b", "local", 8192, "retrieve", 7000)
CLOUD = ArmFacts(
    "cloud-full",
    "qwen2.5-1.5b-32k",
    "qwen2.5-1.5b",
    "cloud",
    32768,
    "full",
    stand_in="same weights at 32,768 tokens stand in for a long-window cloud model",
)
ROUTE = ArmFacts(
    "self-route",
    "mistral-7b-8k",
    "mistral-7b",
    "cloud",
    8192,
    "retrieve",
    7000,
    kind="self-route",
    route=("local-rag-8k", "cloud-full"),
    doubts=("error", "insufficient_evidence", "abstained", "ungrounded"),
)
ARMS = (LOCAL, CLOUD, ROUTE)

QUESTIONS = (
    AskedQuestion(
        "number-1",
        "single_field",
        "How long is the border of Colombia with Brazil?",
        "number",
        "1,790 km",
        documents=("south-america/co.json",),
    ),
    AskedQuestion(
        "stale-1",
        "edition_changed",
        "What is the death rate of Romania?",
        "number",
        "14.28 deaths/1,000 population (2025 est.)",
        stale="14.6 deaths/1,000 population (2024 est.)",
        documents=("europe/ro.json",),
    ),
    AskedQuestion(
        "set-1",
        "border_list",
        "Which countries border Panama?",
        "set",
        ("Colombia", "Costa Rica"),
        documents=("central-america-n-caribbean/pm.json",),
    ),
    AskedQuestion(
        "entity-1",
        "comparison",
        "Which has the larger total area, Bolivia or Lesotho? <script>alert(1)</script> & so on",
        "entity",
        "Bolivia",
        documents=("south-america/bl.json", "africa/lt.json"),
    ),
    AskedQuestion("none-1", "unanswerable_field", "How rainy is Bouvet Island?", "abstain", None),
    AskedQuestion("none-2", "unanswerable_year", "What was it in 2018?", "abstain", None),
)


def report(arm: ArmFacts, *, truncated: bool, kept: int) -> dict[str, Any]:
    """Return a context report whose parts sum as a real one's do."""
    entries = _entries(kept + (3 if truncated else 0), kept=kept)
    prompt = 23 + 90 + 0 + 19 + 200 * kept
    reserved = 512
    return {
        "model": arm.profile,
        "window": arm.window,
        "count": "exact",
        "tokenizer": "mistral:v3",
        "segments": {
            "template": 23,
            "system": 90,
            "history": 0,
            "question": 19,
            "retrieved": 200 * kept,
        },
        "prompt_tokens": prompt,
        "reserved_output": reserved,
        "requested_output": reserved,
        "free": arm.window - prompt - reserved,
        "truncated": truncated,
        "mode": arm.mode,
        "coverage": {
            "corpus_documents": 256,
            "corpus_tokens": 2687784,
            "candidates": len(entries),
            "candidate_tokens": 200 * len(entries),
            "kept": kept,
            "kept_tokens": 200 * kept,
            "percent": 0.2,
            "unread": [],
        },
        "entries": entries,
        "route": {"target": arm.place, "reason": f"model={arm.profile}", "fallback_used": False},
        "upstream": {"prompt_tokens": prompt, "drift": 0, "silently_truncated": False},
        "support": 0.8,
        "insufficient_evidence": False,
        "removed_citations": 0,
        "llm_calls": 1,
        "cost_usd": 0.0,
        "cost_basis": FREE,
        "exhaustive": None,
    }


def _entries(candidates: int, *, kept: int) -> list[dict[str, Any]]:
    return [
        {
            "chunk": f"chunk-{rank}",
            "document": "south-america/co.json",
            "breadcrumb": "Colombia > Geography > Land boundaries",
            "start": 100 * rank,
            "end": 100 * rank + 90,
            "rank": rank,
            "tokens": 200,
            "fate": "kept" if rank <= kept else "dropped",
            "score": round(1 / rank, 3),
            "via": "question",
            "marker": rank if rank <= kept else None,
            "reason": None if rank <= kept else "over_budget",
            "duplicate_of": None,
            "trimmed_from": None,
            "shard": None,
        }
        for rank in range(1, candidates + 1)
    ]


def cell(arm: ArmFacts, question: AskedQuestion, drawn: random.Random, **changes: Any) -> Cell:
    """Return a cell with drawn figures; the same generator draws the same ones."""
    cloud = arm.place == "cloud"
    correct = drawn.random() < (0.8 if cloud else 0.6)
    declines = question.answer_type == "abstain" and correct
    kept = drawn.randint(4, 20)
    prompt = 132 + 200 * kept
    first = drawn.uniform(2, 9) if cloud else drawn.uniform(0.3, 1.5)
    expected = (
        ", ".join(question.expected)
        if isinstance(question.expected, tuple)
        else question.expected or "the sources do not say"
    )
    values: dict[str, Any] = {
        "arm": arm.name,
        "question": question.id,
        "answered_by": arm.route[0] if arm.route else arm.name,
        "answer": f"It is {expected} [1]." if correct else "It is <b>42</b> [1].",
        "score": Score(
            correct=correct,
            reason="as expected" if correct else "another value",
            abstained=declines,
            truncated=not cloud,
            coverage_percent=0.2,
            f1=(1.0 if correct else 0.5) if question.answer_type == "set" else None,
            stale=not correct if question.stale else None,
            grounded=None if declines else correct,
            ungrounded=() if correct else ("42",),
            in_context=None if question.expected is None else True,
        ),
        "tokens": Tokens(prompt, prompt // 2 if cloud else 0, 24, "server"),
        "cost": Spent(Decimal("0.00213") if cloud else Decimal(0), PAID if cloud else FREE),
        "seconds": Seconds(first, first + 0.8),
        "report": report(arm, truncated=not cloud, kept=kept),
        "citations": (
            {
                "marker": 1,
                "chunk": "chunk-1",
                "document": "south-america/co.json",
                "title": "Colombia",
                "breadcrumb": "Colombia > Geography > Land boundaries",
                "source": "south-america/co.json",
                "start": 100,
                "end": 190,
                "text": "border countries: Brazil 1,790 km",
            },
        ),
        "made_at": DAY,
        "finish_reason": "stop",
        "doubt": "abstained" if arm.route and drawn.random() < 0.3 else "",
        "verdict": Verdict(correct, Decimal("0.0001")),
    }
    return Cell(**{**values, **changes})


def failed_cell(arm: ArmFacts, question: AskedQuestion) -> Cell:
    """Return a cell whose call ended with an error: it has no answer, and counts as wrong."""
    return Cell(
        arm=arm.name,
        question=question.id,
        answered_by=arm.name,
        answer="",
        score=Score(False, "upstream_timeout", False, False, 0.0),
        tokens=Tokens(0, 0, 0, "planned"),
        cost=Spent(Decimal(0), "nothing was answered"),
        seconds=Seconds(None, 120.0),
        report={},
        citations=(),
        made_at=DAY,
        error="upstream_timeout",
        retryable=True,
    )


def example_comparison(*, copies: int = 1, seed: int = 7) -> Comparison:
    """Return a comparison of three arms on the six questions, each so many times.

    One cell has failed; questions and answers hold markup, which is text like any other.
    """
    questions = tuple(_copied(copies))
    drawn = random.Random(seed)
    cells = [
        failed_cell(arm, question)
        if (arm, question.id) == (CLOUD, "none-2")
        else cell(arm, question, drawn)
        for arm in ARMS
        for question in questions
    ]
    run = RunFacts(
        started_at=DAY,
        finished_at=DAY,
        questions_file="dev.jsonl",
        questions_sha256="0" * 64,
        collection="factbook",
        fingerprint={"embedder": "hash:64", "dimension": "64", "splitter": "fields:200"},
        documents=256,
        chunks=12_345,
        seed=seed,
        parallel=1,
        versions={"windowfit": "0.1.0", "python": "3.11.9"},
        arms=ARMS,
        judge="mistral-7b-8k",
        complete=False,
    )
    return finish_comparison(run, questions, cells, hardware_usd_per_month=Decimal(45))


def _copied(copies: int) -> Iterator[AskedQuestion]:
    for copy in range(copies):
        for question in QUESTIONS:
            yield question if copy == 0 else replace(question, id=f"{question.id}-{copy}")
