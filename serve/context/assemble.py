"""Packs candidates into a prompt under an exact budget and gives each of them one fate."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, replace

from chunking.document import Chunk
from chunking.errors import ContextLengthExceeded
from chunking.sensitivity import highest
from chunking.tokens import Message, TokenCounter, Tool
from serve.context.budget import TokenBudget
from serve.context.copies import labels_with_copies
from serve.context.neighbours import Run, joined
from serve.context.packing import Packing, trimmed
from serve.context.prompt import Prompt
from serve.context.report import Candidate, DropReason, Entry, Fate, Segments


@dataclass(frozen=True, slots=True)
class ContextWindow:
    """The planned prompt: kept chunks in prompt order, final messages, and the account of both."""

    chunks: tuple[Chunk, ...]
    messages: tuple[Message, ...]
    entries: tuple[Entry, ...]
    segments: Segments


@dataclass(frozen=True, slots=True)
class Choice:
    """Which candidates the prompt will show, before their text is needed.

    Attributes:
        shown: the chunks in prompt order, neighbours joined.
        entries: one per candidate.
        total: prompt tokens.
    """

    shown: tuple[Chunk, ...]
    entries: tuple[Entry, ...]
    total: int


def count_fixed(prompt: Prompt, counter: TokenCounter) -> tuple[int, int, int, int]:
    """Return the tokens of template, system, history and question; they sum to the bare prompt.

    The schemas of tools are instructions and count as system.
    """
    template, instructed, conversed, bare = prompt.cumulative()
    totals = [_remembered(counter, template, ()), _remembered(counter, instructed, prompt.tools)]
    # Without history the third is the second.
    totals.append(
        totals[1]
        if conversed == instructed
        else counter.count_messages(conversed, tools=prompt.tools)
    )
    totals.append(counter.count_messages(bare, tools=prompt.tools))
    parts = [after - before for before, after in zip([0, *totals], totals, strict=False)]
    return parts[0], parts[1], parts[2], parts[3]


def _remembered(
    counter: TokenCounter, messages: tuple[Message, ...], tools: tuple[Tool, ...]
) -> int:
    """Count messages that many requests share: those without any question or history."""
    size = sum(len(message.content) for message in messages)
    # The schemas of tools are no hashable values, and long texts are somebody's own.
    if tools or size > _MOST_REMEMBERED_CHARACTERS:
        return counter.count_messages(messages, tools=tools)
    key = counter.name, counter.identity, messages
    if key not in _REMEMBERED:
        if len(_REMEMBERED) == _MOST_REMEMBERED:
            _REMEMBERED.clear()
        _REMEMBERED[key] = counter.count_messages(messages)
    return _REMEMBERED[key]


_REMEMBERED: dict[tuple[str, str, tuple[Message, ...]], int] = {}
_MOST_REMEMBERED = 256
_MOST_REMEMBERED_CHARACTERS = 4096


def assemble(
    candidates: Sequence[Candidate],
    *,
    prompt: Prompt,
    fixed: tuple[int, int, int, int],
    budget: TokenBudget,
    counter: TokenCounter,
    in_corpus_order: bool = False,
    trimming: bool = False,
) -> ContextWindow:
    """Keep as many candidates as fit, in order of priority, and count the final messages.

    A candidate that does not fit is skipped and the next is tried. Neighbours of one document and
    heading share a header. Where the counter is additive, sums of the candidates' counts are the
    count of the final messages; where it is not, the final messages are counted and have the last
    word.

    Args:
        candidates: best first; their order is their priority.
        fixed: `count_fixed` of the prompt.
        in_corpus_order: show kept chunks by document and position instead of by priority.
        trimming: whether the best candidate left out may be cut at a sentence or line to fit.
    """
    choice = choose(
        candidates,
        prompt=prompt,
        budget=budget,
        counter=counter,
        in_corpus_order=in_corpus_order,
        trimming=trimming,
    )
    return write(choice, prompt=prompt, fixed=fixed)


def choose(
    candidates: Sequence[Candidate],
    *,
    prompt: Prompt,
    budget: TokenBudget,
    counter: TokenCounter,
    in_corpus_order: bool = False,
    trimming: bool = False,
) -> Choice:
    """Return what `assemble` would show; reads no text of a candidate that has its count."""
    packing = Packing(candidates, prompt, budget, counter, in_corpus_order)
    kept, total = packing.add_up() if counter.additive else packing.recount()
    if trimming:
        packing, kept, total = trimmed(packing, kept, total)
    runs = packing.shown(kept)
    labels = labels_with_copies(packing.candidates, packing.duplicates)
    shown = tuple(
        replace(
            joined([packing.candidates[place] for place in run]),
            sensitivity=highest(labels[place] for place in run),
        )
        for run in runs
    )
    return Choice(shown, _entries(packing, candidates, runs), total)


def write(choice: Choice, *, prompt: Prompt, fixed: tuple[int, int, int, int]) -> ContextWindow:
    """Return the prompt of a choice; its chunks hold their text by now."""
    segments = Segments(*fixed, choice.total - sum(fixed))
    return ContextWindow(choice.shown, prompt.messages(choice.shown), choice.entries, segments)


def refuse_truncation(entries: Sequence[Entry], budget: TokenBudget) -> None:
    """Raise ContextLengthExceeded if a candidate was dropped for lack of room."""
    dropped = [entry for entry in entries if entry.reason == "over_budget"]
    if dropped:
        wanted = [entry.tokens for entry in entries if entry.fate != "duplicate"]
        raise ContextLengthExceeded(
            f"{len(wanted)} candidates need {sum(wanted)} tokens, room for {budget.context_limit}; "
            f"{len(dropped)} would be dropped and truncation is disabled",
            hint="allow truncation, narrow the question, or choose a model with a longer window",
            param="truncation",
        )


def _entries(
    packing: Packing, candidates: Sequence[Candidate], runs: Sequence[Run]
) -> tuple[Entry, ...]:
    """Return one entry per candidate, in order of priority."""
    markers = {place: marker for marker, run in enumerate(runs, start=1) for place in run}
    leading = {run[0] for run in runs}
    tokens, units = packing.costs.tokens, packing.costs.units
    entries = []
    cuts = {
        place: packed.chunk.end
        for place, (given, packed) in enumerate(zip(candidates, packing.candidates, strict=True))
        if packed is not given and packed.chunk.end < given.chunk.end
    }
    whole = markers.keys() - cuts.keys() if cuts else markers
    for place, given in enumerate(candidates):
        chunk, marker, cut = given.chunk, markers.get(place), cuts.get(place)
        fate, reason, duplicate_of = _fate(packing, place, markers, leading, whole)
        entries.append(
            Entry(
                chunk=chunk.id,
                document=chunk.document,
                breadcrumb=chunk.breadcrumb,
                start=chunk.start,
                end=chunk.end if cut is None else cut,
                rank=place + 1,
                tokens=tokens(units[place]),
                fate=fate if cut is None else "trimmed",
                score=given.score,
                via=given.via,
                marker=marker,
                reason=reason,
                duplicate_of=duplicate_of,
                trimmed_from=None if cut is None else chunk.end,
            )
        )
    return tuple(entries)


def _fate(
    packing: Packing,
    place: int,
    markers: Mapping[int, int],
    leading: Collection[int],
    whole: Container[int],
) -> tuple[Fate, DropReason | None, str | None]:
    """Return a candidate's fate, why it was dropped, and what it repeats."""
    if place in markers:
        return ("kept" if place in leading else "merged"), None, None
    if place in packing.duplicates:
        for repeated in packing.duplicates[place]:
            if repeated in whole:
                return "duplicate", None, packing.candidates[repeated].chunk.id
    return "dropped", "over_budget", None
