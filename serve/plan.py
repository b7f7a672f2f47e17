"""Plans a request: gathers candidates, sets the budget, packs the prompt, writes the report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from chunking.document import Chunk
from chunking.tokens import Message, TokenCounter
from retrieval.index import DocumentRecord
from retrieval.points import Where
from retrieval.search import Searcher
from serve.context.assemble import ContextWindow, assemble, count_fixed, refuse_truncation
from serve.context.budget import TokenBudget, plan_budget
from serve.context.prompt import Prompt
from serve.context.report import Candidate, ContextReport, Coverage, RouteRecord
from serve.profiles import ModelProfile

Mode = Literal["retrieve", "full", "auto"]
Truncation = Literal["auto", "disabled"]

_TOKENS_PER_CANDIDATE = 100
"""Half of what a chunk usually takes, so that there are twice the candidates that can fit."""
_CANDIDATE_RANGE = (40, 4000)
_CHARACTERS_PER_TOKEN = 4
_FEWEST_CHARACTERS_PER_TOKEN = 3
"""For texts not counted at ingestion: estimates high, so that `auto` does not cut what it chose."""
_RANKED_FOR_FULL = 400
"""Hits that rank whole documents; documents without one follow in corpus order."""
_FULL_SURPLUS = 2
"""Whole documents are read up to about this many times the room; more could not be kept."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One validated request. `where` filters by payload; unset limits follow the profile."""

    question: str
    collection: str
    model: str
    mode: Mode = "retrieve"
    truncation: Truncation = "auto"
    max_context_tokens: int | None = None
    max_output_tokens: int | None = None
    history: tuple[Message, ...] = ()
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be sent and why, before any model is called."""

    ask: Ask
    profile: ModelProfile
    budget: TokenBudget
    context: ContextWindow
    report: ContextReport
    timings_ms: Mapping[str, float]


def make_plan(
    ask: Ask, *, profile: ModelProfile, counter: TokenCounter, searcher: Searcher
) -> Plan:
    """Return the plan of a request; the only thing it touches is the index.

    Raises:
        ContextLengthExceeded: the request cannot fit the window, or truncation is disabled and
            candidates do not fit.
        StoreError: the index cannot be reached.
    """
    started = time.perf_counter()
    prompt = Prompt(
        ask.question,
        history=ask.history,
        system_role=profile.system_role,
        control_tokens=counter.control_tokens,
    )
    fixed = count_fixed(prompt, counter)
    budget = plan_budget(
        window=profile.window,
        output_limit=profile.output_limit,
        fixed=sum(fixed),
        requested_output=ask.max_output_tokens or profile.default_output,
        input_limit=profile.input_limit,
        max_context_tokens=ask.max_context_tokens,
    )
    mode = _mode(ask, searcher, counter.name, budget)
    counted = time.perf_counter()
    gather = _whole_documents if mode == "full" else _hits
    candidates = gather(ask, searcher, budget)
    gathered = time.perf_counter()
    context = assemble(
        candidates,
        prompt=prompt,
        fixed=fixed,
        budget=budget,
        counter=counter,
        in_corpus_order=mode == "full",
    )
    if ask.truncation == "disabled":
        refuse_truncation(context.entries, budget)
    report = _report(
        mode=mode,
        profile=profile,
        counter=counter,
        budget=budget,
        context=context,
        searcher=searcher,
    )
    assembled = time.perf_counter()
    timings = {"search": gathered - counted, "plan": assembled - started - (gathered - counted)}
    rounded = {name: round(seconds * 1000, 2) for name, seconds in timings.items()}
    return Plan(ask, profile, budget, context, report, rounded)


def _mode(
    ask: Ask, searcher: Searcher, tokenizer: str, budget: TokenBudget
) -> Literal["retrieve", "full"]:
    """Return the mode asked for; `auto` reads whole documents when all of them fit."""
    if ask.mode != "auto":
        return ask.mode
    total = _corpus_tokens(searcher, tokenizer)
    if total is None:
        records = searcher.catalog().records.values()
        total = sum(record.characters for record in records) // _FEWEST_CHARACTERS_PER_TOKEN
    return "full" if total <= budget.context_limit else "retrieve"


def _hits(ask: Ask, searcher: Searcher, budget: TokenBudget) -> list[Candidate]:
    fewest, most = _CANDIDATE_RANGE
    limit = min(most, max(fewest, budget.context_limit // _TOKENS_PER_CANDIDATE))
    hits = searcher.search(ask.question, limit=limit, where=ask.where)
    return [Candidate(hit.chunk, hit.score, hit.via) for hit in hits]


def _whole_documents(ask: Ask, searcher: Searcher, budget: TokenBudget) -> list[Candidate]:
    """Return whole documents, those with the best chunks first, then the rest in corpus order."""
    hits = searcher.search(ask.question, limit=_RANKED_FOR_FULL, where=ask.where)
    records = searcher.catalog().records
    best: dict[str, float] = {}
    for hit in hits:
        # A document that is being ingested has chunks before it has a record.
        if hit.chunk.document in records:
            best.setdefault(hit.chunk.document, hit.score)
    others = [name for name, record in records.items() if _passes(record, ask.where)]
    wanted: list[str] = []
    characters = 0
    for name in dict.fromkeys([*best, *others]):
        if wanted and characters > budget.context_limit * _CHARACTERS_PER_TOKEN * _FULL_SURPLUS:
            break
        wanted.append(name)
        characters += records[name].characters
    documents = {document.id: document for document in searcher.index.documents(wanted)}
    return [
        Candidate(
            Chunk.of(document, start=0, end=len(document.text), path=(), position=0),
            best.get(name, 0.0),
            "whole document",
        )
        for name in wanted
        if (document := documents.get(name)) is not None
    ]


def _passes(record: DocumentRecord, where: Where | None) -> bool:
    """Return whether a document passes the request's filter."""
    held = {"document": record.id, "title": record.title, "source": record.source}
    return all(held[key] in values for key, values in (where or {}).items())


def _report(
    *,
    mode: Literal["retrieve", "full"],
    profile: ModelProfile,
    counter: TokenCounter,
    budget: TokenBudget,
    context: ContextWindow,
    searcher: Searcher,
) -> ContextReport:
    entries = context.entries
    kept = [entry for entry in entries if entry.fate == "kept"]
    prompt_tokens = context.segments.total
    return ContextReport(
        model=profile.name,
        window=profile.window,
        count="exact" if counter.exact else "estimated",
        tokenizer=counter.name,
        segments=context.segments,
        prompt_tokens=prompt_tokens,
        reserved_output=budget.reserved_output,
        requested_output=budget.requested_output,
        free=profile.window - prompt_tokens - budget.reserved_output,
        truncated=any(entry.reason == "over_budget" for entry in entries),
        mode=mode,
        coverage=Coverage(
            corpus_documents=len(searcher.catalog().records),
            corpus_tokens=_corpus_tokens(searcher, counter.name),
            candidates=len(entries),
            candidate_tokens=sum(entry.tokens for entry in entries),
            kept=len(kept),
            kept_tokens=sum(entry.tokens for entry in kept),
        ),
        entries=entries,
        route=RouteRecord(profile.place, f"model={profile.name}"),
    )


def _corpus_tokens(searcher: Searcher, tokenizer: str) -> int | None:
    """Return the corpus' tokens as counted at ingestion; None if any document lacks the count."""
    counts = [record.tokens.get(tokenizer) for record in searcher.catalog().records.values()]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
