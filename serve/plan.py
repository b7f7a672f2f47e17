"""Plans a request: gathers candidates, sets the budget, packs the prompt, writes the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from chunking.errors import InputError
from chunking.sensitivity import UNLABELLED, Sensitivity, highest
from chunking.tokens import Message, TokenCounter, Tool
from retrieval.catalog import Catalog, check_filter
from retrieval.points import Where
from retrieval.search import Searcher
from serve.answered import Source
from serve.context.assemble import (
    Choice,
    ContextWindow,
    choose,
    count_fixed,
    refuse_truncation,
    write,
)
from serve.context.budget import TokenBudget, plan_budget
from serve.context.prompt import SYSTEM_TEXT, Prompt
from serve.context.report import (
    Candidate,
    ContextReport,
    Entry,
    ReadingMode,
    Segments,
)
from serve.context.shards import Shard, cut_shards
from serve.exhaustive import JOIN_TEXT, SHARD_TEXT, Exhaustion, account, plan_exhaustion
from serve.gather import Gathering, corpus_tokens, guessed_tokens
from serve.prints import Brought
from serve.profiles import ModelProfile
from serve.receipt import refuse_unread, with_support, write_report

Mode = Literal["retrieve", "full", "exhaustive", "auto"]
Order = Literal["relevance", "document"]
Truncation = Literal["auto", "disabled"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One validated request; unset limits follow the profile.

    Attributes:
        where: filter by payload.
        order: whether kept chunks are shown best first, or by document and position.
        trim: whether the best chunk left out may be cut at a sentence or line to fit; a whole
            document never is.
        call_limit, cost_limit_usd: most calls and dollars that mode `exhaustive` may take.
        system: the caller's own instructions, which follow Windowfit's.
        history: turns before the question.
        after: turns after the question: calls of tools and their results.
        tools, tool_choice, response_format, sampling: see `CompletionRequest`.
        sensitivity: the label that the caller gives question, turns and instructions.
        recognised: the highest label of what was asked or answered here before, and comes back in
            it; see `serve.answered`.
        recalled: the documents that this was made from.
        brought: the texts of all this and what they may be known by; set where it is looked at.
        system_parts: the messages that `system` was joined from, where there were several.
        route: "auto", "local", "cloud" or a model; None for `model`.
    """

    question: str
    collection: str
    model: str
    mode: Mode = "retrieve"
    truncation: Truncation = "auto"
    max_context_tokens: int | None = None
    max_output_tokens: int | None = None
    history: tuple[Message, ...] = ()
    where: Where | None = None
    searches: tuple[str, ...] = ()
    order: Order = "relevance"
    trim: bool = False
    call_limit: int | None = None
    cost_limit_usd: float | None = None
    system: str = ""
    after: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: str | Mapping[str, Any] | None = None
    response_format: Mapping[str, Any] | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    sensitivity: Sensitivity = UNLABELLED
    route: str | None = None
    recognised: Sensitivity = Sensitivity.PUBLIC
    recalled: tuple[Source, ...] = ()
    brought: Brought = field(default=Brought(), repr=False, compare=False)
    system_parts: tuple[str, ...] = ()

    @property
    def label(self) -> Sensitivity:
        """The highest label of all that the request brings."""
        return highest((self.sensitivity, self.recognised))


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be sent and why, before any model is called.

    Attributes:
        context: the prompt; in mode `exhaustive` the prompts of all shards, one after the other.
        prompt: everything of the prompt but the retrieved text.
        counter: what counted it.
        exhaustion: the calls of mode `exhaustive`.
    """

    ask: Ask
    profile: ModelProfile
    budget: TokenBudget
    context: ContextWindow
    report: ContextReport
    timings_ms: Mapping[str, float]
    prompt: Prompt
    counter: TokenCounter
    exhaustion: Exhaustion | None = None


def make_plan(
    ask: Ask, *, profile: ModelProfile, counter: TokenCounter, searcher: Searcher
) -> Plan:
    """Return the plan of a request; the only thing it touches is the index.

    Raises:
        ContextLengthExceeded: the request cannot fit the window, or truncation is disabled and
            candidates do not fit.
        CallLimitExceeded: mode `exhaustive` would take more calls or dollars than allowed.
        InputError: mode `exhaustive` was asked with tools.
        StoreError: the index cannot be reached, or changes faster than it can be read.
    """
    _refuse_tools(ask)
    check_filter(ask.where)
    return searcher.index.steady(partial(_plan, ask, profile, counter, searcher))


def _plan(
    ask: Ask, profile: ModelProfile, counter: TokenCounter, searcher: Searcher, catalog: Catalog
) -> Plan:
    """Return the plan of a request under one state of the collection."""
    started = time.perf_counter()
    prompt = prompt_of(ask, profile, counter)
    fixed = count_fixed(prompt, counter)
    budget = _budget(ask, profile, sum(fixed))
    mode = _mode(ask, catalog, counter, budget)
    gathering = Gathering(
        searcher,
        catalog,
        counter,
        ask.question,
        budget.context_limit,
        ask.where,
        ask.searches,
    )
    counted = time.perf_counter()
    exhaustion = None
    candidates = _READINGS[mode](gathering)
    gathered = time.perf_counter()
    if mode == "exhaustive":
        shards, entries = cut_shards(candidates, prompt=prompt, budget=budget, counter=counter)
        if len(shards) == 1:  # its call gives the answer, not a note
            prompt = prompt_of(ask, profile, counter, instructions=SYSTEM_TEXT)
            fixed = count_fixed(prompt, counter)
            shards = (_answering(shards[0], prompt, counter),)
        join = prompt_of(ask, profile, counter, instructions=JOIN_TEXT)
        exhaustion = plan_exhaustion(shards, join=join, budget=budget, counter=counter)
        context = _of_shards(shards, entries, fixed)
    else:
        choice = _choose(candidates, ask, mode, prompt=prompt, budget=budget, counter=counter)
        choice = replace(choice, shown=gathering.load(choice.shown))
        context = write(choice, prompt=prompt, fixed=fixed)
    report = write_report(
        mode, profile, counter, budget, context, catalog=catalog, prompt=prompt, where=ask.where
    )
    if mode == "retrieve":
        report = with_support(report, ask.question, candidates, catalog)
    if ask.truncation == "disabled":
        refuse_unread(report)
    if exhaustion is not None:
        calls = account(
            exhaustion,
            profile=profile,
            budget=budget,
            call_limit=ask.call_limit,
            cost_limit_usd=ask.cost_limit_usd,
        )
        report = replace(report, exhaustive=calls)
    seconds = {"search": gathered - counted, "plan": time.perf_counter() - started}
    seconds["plan"] -= seconds["search"]
    rounded = {name: round(value * 1000, 2) for name, value in seconds.items()}
    return Plan(
        ask, profile, budget, context, report, rounded, prompt, counter, exhaustion=exhaustion
    )


_READINGS: Mapping[ReadingMode, Callable[[Gathering], list[Candidate]]] = {
    "retrieve": Gathering.hits,
    "full": Gathering.documents,
    "exhaustive": Gathering.everything,
}


def _choose(
    candidates: Sequence[Candidate],
    ask: Ask,
    mode: ReadingMode,
    *,
    prompt: Prompt,
    budget: TokenBudget,
    counter: TokenCounter,
) -> Choice:
    choice = choose(
        candidates,
        prompt=prompt,
        budget=budget,
        counter=counter,
        in_corpus_order=mode == "full" or ask.order == "document",
        trimming=ask.trim and ask.truncation == "auto" and mode == "retrieve",
    )
    if ask.truncation == "disabled":
        refuse_truncation(choice.entries, budget)
    return choice


def _refuse_tools(ask: Ask) -> None:
    """Raise InputError where every one of several calls could ask for a tool."""
    if ask.mode == "exhaustive" and (ask.tools or ask.after):
        raise InputError(
            f"mode exhaustive reads in several calls, and {len(ask.tools)} tools were given",
            hint="leave the tools out, or choose the mode retrieve or full",
            param="mode",
        )


def _answering(shard: Shard, prompt: Prompt, counter: TokenCounter) -> Shard:
    """Return the only shard with the instructions of an answer, which are shorter than a note's."""
    messages = prompt.messages(shard.chunks)
    return replace(shard, messages=messages, tokens=counter.count_messages(messages))


def _of_shards(
    shards: Sequence[Shard],
    entries: tuple[Entry, ...],
    fixed: tuple[int, int, int, int],
) -> ContextWindow:
    """Return all shards as one context; its segments are those of the longest prompt."""
    longest = max(shard.tokens for shard in shards)
    return ContextWindow(
        chunks=tuple(chunk for shard in shards for chunk in shard.chunks),
        messages=tuple(message for shard in shards for message in shard.messages),
        entries=entries,
        segments=Segments(*fixed, longest - sum(fixed)),
    )


def prompt_of(
    ask: Ask, profile: ModelProfile, counter: TokenCounter, *, instructions: str | None = None
) -> Prompt:
    """Return everything of a request's prompt but the retrieved text.

    `instructions` takes the place of Windowfit's own, which the caller's follow.
    """
    own = (SYSTEM_TEXT, SHARD_TEXT if ask.mode == "exhaustive" else "")
    parts = own if instructions is None else (instructions,)
    return Prompt(
        ask.question,
        system="\n\n".join(filter(None, (*parts, ask.system))),
        history=ask.history,
        after=ask.after,
        tools=ask.tools,
        system_role=profile.system_role,
        control_tokens=counter.control_tokens,
    )


def _budget(ask: Ask, profile: ModelProfile, fixed: int) -> TokenBudget:
    return plan_budget(
        window=profile.window,
        output_limit=profile.output_limit,
        fixed=fixed,
        requested_output=ask.max_output_tokens or profile.default_output,
        input_limit=profile.input_limit,
        max_context_tokens=ask.max_context_tokens,
    )


def _mode(ask: Ask, catalog: Catalog, counter: TokenCounter, budget: TokenBudget) -> ReadingMode:
    """Return the mode asked for; `auto` reads whole documents when all of them fit."""
    if ask.mode != "auto":
        return ask.mode
    total = corpus_tokens(catalog, counter, ask.where)
    if total is None:
        total = guessed_tokens(catalog, ask.where)
    return "full" if total <= budget.context_limit else "retrieve"
