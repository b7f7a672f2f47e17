"""Writes the receipt of a plan: what the prompt holds, what it does not, and of how much."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from chunking.errors import ContextLengthExceeded
from chunking.tokens import TokenCounter, counted_exactly
from retrieval.catalog import Catalog
from retrieval.points import Where
from retrieval.support import SUFFICIENT, measure_support
from serve.context.assemble import ContextWindow
from serve.context.budget import TokenBudget
from serve.context.prompt import Prompt
from serve.context.report import (
    Candidate,
    ContextReport,
    Coverage,
    Entry,
    ReadingMode,
)
from serve.context.route import RouteRecord
from serve.gather import corpus_tokens, share_read
from serve.profiles import ModelProfile


def write_report(
    mode: ReadingMode,
    profile: ModelProfile,
    counter: TokenCounter,
    budget: TokenBudget,
    context: ContextWindow,
    *,
    catalog: Catalog,
    prompt: Prompt,
    where: Where | None,
) -> ContextReport:
    """Return the report of a prompt before any model is called."""
    entries = context.entries
    coverage = _coverage(where, mode, counter, entries, catalog)
    prompt_tokens = context.segments.total
    exact = counted_exactly(counter, context.messages, tools=prompt.tools)
    return ContextReport(
        model=profile.name,
        window=profile.window,
        count="exact" if exact else "estimated",
        tokenizer=counter.name,
        segments=context.segments,
        prompt_tokens=prompt_tokens,
        reserved_output=budget.reserved_output,
        requested_output=budget.requested_output,
        free=profile.window - prompt_tokens - budget.reserved_output,
        truncated=any(e.reason == "over_budget" or e.fate == "trimmed" for e in entries)
        or bool(coverage.unread),
        mode=mode,
        coverage=coverage,
        entries=entries,
        route=RouteRecord(profile.place, f"model={profile.name}"),
    )


def with_support(
    report: ContextReport, question: str, candidates: Sequence[Candidate], catalog: Catalog
) -> ContextReport:
    """Return the report of a search with how far what the prompt holds supports an answer."""
    kept = {entry.chunk for entry in report.entries if entry.marker is not None}
    shown = list(_as_shown(candidates, report.entries))
    support = measure_support(question, catalog.names, shown, kept=kept)
    if support is None:
        return report
    return replace(report, support=round(support, 4), insufficient_evidence=support < SUFFICIENT)


def _as_shown(candidates: Sequence[Candidate], entries: Sequence[Entry]) -> Iterator[Candidate]:
    """Yield the candidates, those that the prompt holds in part with that part of their text."""
    spans = {entry.chunk: entry for entry in entries if entry.fate == "trimmed"}
    for candidate in candidates:
        chunk = candidate.chunk
        if entry := spans.get(chunk.id):
            chunk = replace(chunk, text=chunk.text[: entry.end - entry.start], end=entry.end)
        yield replace(candidate, chunk=chunk) if entry else candidate


def _coverage(
    where: Where | None,
    mode: ReadingMode,
    counter: TokenCounter,
    entries: Sequence[Entry],
    catalog: Catalog,
) -> Coverage:
    records = catalog.records
    kept = [entry for entry in entries if entry.marker is not None]
    unread: list[str] = []
    if mode == "full":
        read = {entry.document for entry in kept}
        unread = [one.id for one in catalog.passing(where) if one.id not in read]
    return Coverage(
        corpus_documents=len(records),
        corpus_tokens=corpus_tokens(catalog, counter),
        candidates=len(entries),
        candidate_tokens=sum(entry.tokens for entry in entries),
        kept=len(kept),
        kept_tokens=sum(entry.tokens for entry in kept),
        percent=share_read(kept, records),
        unread=tuple(unread),
        passing_documents=len(catalog.passing_ids(where)) if where else None,
    )


def refuse_unread(report: ContextReport) -> None:
    """Raise ContextLengthExceeded where mode `full` leaves a document out, entry or not."""
    if not report.coverage.unread:
        return
    raise ContextLengthExceeded(
        f"{len(report.coverage.unread)} of {report.coverage.corpus_documents} documents would not"
        f" be read in a window of {report.window} tokens, and truncation is disabled",
        hint="allow truncation, use a filter, or choose a model with a longer window",
        param="truncation",
    )
