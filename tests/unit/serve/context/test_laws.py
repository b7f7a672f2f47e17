from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.counters import load_counter
from chunking.document import Document
from chunking.pieces import defuse, unforged
from chunking.tokens import TokenCounter
from retrieval.catalog import Catalog
from retrieval.embed import HashEmbedder
from retrieval.fingerprint import IndexFingerprint
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.points import Where
from retrieval.records import Hit
from retrieval.search import Searcher
from serve.citations import check_citations
from serve.context.rebuild import shown_spans
from serve.context.report import DropReason, Entry, Fate
from serve.plan import Ask, make_plan
from serve.profiles import load_profiles
from tests.pair_counter import PairCounter
from tests.unit.serve.context.cases import Case, Packed, cases, texts

BREAK = "\u200b"
MARKER = re.compile(r"\[(\d{1,4}(?:, \d{1,4})*)\]")
SHIPPED = load_profiles()
PAIRS = PairCounter()
MISTRAL = load_counter("mistral:v3")

# The fake counts large cases quickly; the real tokenizer takes most of a millisecond a request.
LARGE = cases(candidates=14, pieces=20, repeats=200)
SMALL = cases(candidates=7, pieces=8, repeats=20)

Law = Callable[[Case, Packed, TokenCounter], None]
LAWS: list[Law] = []


def law(check: Law) -> Law:
    """Add a sentence to those that hold of every packed case, whatever counts its tokens."""
    LAWS.append(check)
    return check


# --- 1. Every candidate has exactly one entry with a legal fate.


@law
def every_candidate_has_one_entry_in_its_place(
    case: Case, packed: Packed, counter: TokenCounter
) -> None:
    chunks = [candidate.chunk for candidate in case.candidates]
    entries = packed.context.entries
    assert [
        (e.rank, e.chunk, e.document, e.start, e.trimmed_from or e.end, e.breadcrumb)
        for e in entries
    ] == [
        (rank, chunk.id, chunk.document, chunk.start, chunk.end, chunk.breadcrumb)
        for rank, chunk in enumerate(chunks, start=1)
    ]
    for entry in entries:
        assert entry.fate in get_args(Fate)
        assert (entry.fate == "dropped") == (entry.reason in get_args(DropReason))
        assert (entry.fate in {"kept", "merged", "trimmed"}) == (entry.marker is not None)
        assert (entry.fate == "duplicate") == (entry.duplicate_of is not None)
        assert (entry.fate == "trimmed") == (entry.trimmed_from is not None)
    leading = sorted(entry.marker for entry in entries if entry.marker and entry.fate == "kept")
    assert len(set(leading)) == len(leading)
    shown = range(1, len(packed.context.chunks) + 1)
    assert {entry.marker for entry in entries if entry.marker} == set(shown)


@law
def a_text_is_kept_once_and_its_repetitions_point_at_it(
    case: Case, packed: Packed, counter: TokenCounter
) -> None:
    in_prompt = {e.chunk for e in packed.context.entries if e.fate in {"kept", "merged"}}
    texts_by_id = {c.chunk.id: (c.chunk.breadcrumb, c.chunk.text) for c in case.candidates}
    shown = [texts_by_id[chunk] for chunk in in_prompt]
    assert len(set(shown)) == len(shown)
    for entry in packed.context.entries:
        if entry.duplicate_of is not None:
            assert entry.duplicate_of in in_prompt
            assert near(texts_by_id[entry.duplicate_of], texts_by_id[entry.chunk])
        elif entry.marker is None:
            assert texts_by_id[entry.chunk] not in shown


def near(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Return whether the words of two texts are the same for nine in ten."""
    left, right = (set(re.findall(r"\w+", text)) for _, text in (one, other))
    return one == other or len(left & right) >= 0.9 * len(left | right)


# --- 2. The parts sum to the prompt, the prompt to the window, and no limit is passed.


@law
def the_parts_sum_to_the_count_of_the_final_messages_within_every_limit(
    case: Case, packed: Packed, counter: TokenCounter
) -> None:
    budget, segments = packed.budget, packed.context.segments

    counted = counter.count_messages(packed.context.messages)
    parts = (segments.template, segments.system, segments.history, segments.question)
    assert sum(parts) + segments.retrieved == segments.total == counted
    assert parts == packed.fixed
    assert sum(parts) == counter.count_messages(packed.prompt.messages(()))
    assert counted <= budget.prompt_limit
    assert counted + budget.reserved_output <= budget.window
    if case.cap is not None:
        assert segments.retrieved <= case.cap


# --- 3. The prompt can be rebuilt from the report and the corpus.


def rebuilt(
    entries: Sequence[Entry], documents: Mapping[str, Document], case: Case, controls: Sequence[str]
) -> list[tuple[str, str]]:
    """Write the messages as the promises say, from the receipt and the stored documents alone."""
    kept = shown_spans(entries)
    pieces = [
        f"[{e.marker}] "
        + defuse(
            unforged(f"{e.breadcrumb}\n{documents[e.document].text[e.start : e.end]}"), controls
        )
        for e in kept
    ]
    question = defuse(case.question, controls)
    last = "\n\n".join(["Sources:", *pieces, f"Question: {question}"]) if kept else question
    turns = [(turn.role, defuse(turn.content, controls)) for turn in case.history]
    turns.append(("user", last))
    system = defuse(case.system, controls)
    if case.system_role:
        return [("system", system), *turns]
    role, opening = turns[0]
    return [(role, f"{system}\n\n{opening}" if system else opening), *turns[1:]]


@law
def the_prompt_is_rebuilt_byte_for_byte_from_the_entries_and_the_documents(
    case: Case, packed: Packed, counter: TokenCounter
) -> None:
    sent = [(message.role, message.content) for message in packed.context.messages]
    controls = counter.control_tokens
    assert sent == rebuilt(packed.context.entries, case.documents, case, controls)
    for chunk in packed.context.chunks:
        assert chunk.text == case.documents[chunk.document].text[chunk.start : chunk.end]
    if case.in_corpus_order:
        places = [(chunk.document, chunk.start) for chunk in packed.context.chunks]
        assert places == sorted(places)
    else:
        markers = [e.marker for e in packed.context.entries if e.marker is not None]
        assert list(dict.fromkeys(markers)) == list(range(1, len(packed.context.chunks) + 1))


# --- 4. Same input, same prompt; question, history and system text are never cut.


@law
def the_same_input_gives_the_same_prompt(case: Case, packed: Packed, counter: TokenCounter) -> None:
    copies = tuple(
        replace(candidate, chunk=replace(candidate.chunk)) for candidate in case.candidates
    )
    again = replace(case, candidates=copies).pack(counter)
    assert again.context == packed.context
    assert again.budget == packed.budget


@law
def question_history_and_system_text_stand_in_the_prompt_uncut(
    case: Case, packed: Packed, counter: TokenCounter
) -> None:
    sent = [message.content.replace(BREAK, "") for message in packed.context.messages]
    assert sent[-1].endswith(case.question.replace(BREAK, ""))
    assert sent[0].startswith(case.system)
    turns = sent[1:-1] if case.system_role else sent[:-1]
    for turn, content in zip(case.history, turns, strict=True):
        assert content.endswith(turn.content.replace(BREAK, ""))


# --- 5. A citation names only kept text.


@law
def a_citation_names_only_a_kept_chunk(case: Case, packed: Packed, counter: TokenCounter) -> None:
    text, citations, removed = check_citations(case.answer, packed.context.chunks)

    kept = {
        (s.marker, s.chunk, s.document, s.start, s.end) for s in shown_spans(packed.context.entries)
    }
    cited = {(c.marker, c.chunk, c.document, c.start, c.end) for c in citations}
    assert cited <= kept
    assert len(cited) == len(citations)
    written = [int(number) for match in MARKER.findall(case.answer) for number in match.split(", ")]
    left = [int(number) for match in MARKER.findall(text) for number in match.split(", ")]
    assert set(left) == {marker for marker, *_ in cited}
    assert len(written) - len(left) == removed


# --- 6. The final count has the last word, and nothing is cut to please it.


@law
def every_kept_chunk_stands_whole_in_the_prompt_that_was_counted(
    case: Case, packed: Packed, counter: TokenCounter
) -> None:
    last = packed.context.messages[-1].content

    for marker, chunk in enumerate(packed.context.chunks, start=1):
        assert packed.prompt.piece(chunk, marker) in last
    in_order = {c.chunk.id: c.chunk for c in case.candidates}
    for entry in packed.context.entries:
        if entry.fate in {"kept", "merged"}:
            shown = packed.context.chunks[(entry.marker or 0) - 1]
            assert in_order[entry.chunk].text in shown.text
    counted = counter.count_messages(packed.context.messages)
    assert counted == packed.context.segments.total <= packed.budget.prompt_limit


# --- 7. The order of the candidates is their priority; what does not fit is skipped.


def recounted(case: Case, packed: Packed, counter: TokenCounter, ranks: Sequence[int]) -> int:
    """Return the tokens of the prompt with these candidates and no others."""
    chosen = sorted(set(ranks))
    roomy = replace(case, candidates=tuple(case.candidates[rank - 1] for rank in chosen))
    roomy = replace(roomy, share=3.0, extra=5000, cap=None, input_share=None, trimming=False)
    return counter.count_messages(roomy.pack(counter).context.messages)


@law
def no_dropped_chunk_would_still_fit(case: Case, packed: Packed, counter: TokenCounter) -> None:
    """By its own count in the free room, and by the recount with it added: one of them forbids."""
    total, limit = packed.context.segments.total, packed.budget.prompt_limit
    entries = packed.context.entries
    if any(e.fate == "trimmed" for e in entries):
        return
    kept = [e.rank for e in entries if e.marker is not None]

    for entry in entries:
        if entry.fate == "dropped" and entry.tokens <= limit - total:
            assert recounted(case, packed, counter, [*kept, entry.rank]) > limit, entry


@law
def a_chunk_is_passed_over_only_for_want_of_room_beside_better_ones(
    case: Case, packed: Packed, counter: TokenCounter
) -> None:
    """Whoever outranks a kept chunk and was dropped did not fit beside those that outrank it."""
    limit, entries = packed.budget.prompt_limit, packed.context.entries
    whole = {"kept", "merged"}
    last_kept = max((e.rank for e in entries if e.fate in whole), default=0)

    for entry in entries[:last_kept]:
        if entry.fate != "dropped":
            continue
        better = [e.rank for e in entries[: entry.rank] if e.fate in whole]
        summed = sum(packed.fixed) + sum(entries[rank - 1].tokens for rank in better)
        with_it = recounted(case, packed, counter, [*better, entry.rank])
        assert summed + entry.tokens > limit or with_it > limit, entry


@law
def everything_is_kept_where_everything_fits(
    case: Case, packed: Packed, counter: TokenCounter
) -> None:
    roomy = replace(case, share=2.0, extra=500, cap=None, input_share=None)

    fates = {entry.fate for entry in roomy.pack(counter).context.entries}

    assert fates <= {"kept", "merged", "duplicate"}


# --- Control tokens are never sent.


@law
def no_message_holds_a_control_token(case: Case, packed: Packed, counter: TokenCounter) -> None:
    for message in packed.context.messages:
        assert not [token for token in counter.control_tokens if token in message.content]


# --- The laws hold of cases of every kind.


@pytest.mark.parametrize("check", LAWS, ids=[check.__name__ for check in LAWS])
@given(case=LARGE)
def test_with_counts_that_do_not_add_up(check: Law, case: Case) -> None:
    check(case, case.pack(PAIRS), PAIRS)


@given(case=SMALL)
def test_every_law_holds_with_a_real_tokenizer(case: Case) -> None:
    packed = case.pack(MISTRAL)
    for check in LAWS:
        check(case, packed, MISTRAL)


class Listed(Searcher):
    """Finds what it was given, whatever is asked."""

    def __init__(self, hits: Sequence[Hit]) -> None:
        embedder = HashEmbedder()
        fingerprint = IndexFingerprint(embedder.name, embedder.dimension, "none")
        super().__init__(Index.create(MemoryEngine(), "listed", fingerprint), embedder)
        self.hits = list(hits)

    def search(
        self,
        question: str,
        *,
        limit: int,
        where: Where | None = None,
        catalog: Catalog | None = None,
        searches: Sequence[str] = (),
    ) -> list[Hit]:
        return self.hits


@given(data=st.data())
def test_prompt_reserve_and_free_room_of_a_report_sum_to_the_window(data: st.DataObject) -> None:
    case = data.draw(LARGE)
    packed = case.pack(PAIRS)
    longer = 400  # the instructions of a real request are longer than those of a case
    profile = replace(
        SHIPPED["quote"],
        window=packed.budget.window + longer,
        output_limit=case.reserved,
        input_limit=None if case.input_share is None else packed.budget.prompt_limit + longer,
        system_role=case.system_role,
    )
    ask = Ask(
        case.question,
        collection="listed",
        model="quote",
        max_context_tokens=case.cap,
        max_output_tokens=case.reserved + case.extra,
        history=case.history,
    )
    searcher = Listed([Hit(candidate.chunk, candidate.score) for candidate in case.candidates])

    report = make_plan(ask, profile=profile, counter=PAIRS, searcher=searcher).report

    assert report.segments.total == report.prompt_tokens
    assert report.prompt_tokens + report.reserved_output + report.free == report.window
    assert report.free >= 0
    assert report.reserved_output == min(case.reserved + case.extra, profile.output_limit)
    assert report.prompt_tokens <= (profile.input_limit or profile.window)
    assert report.truncated == any(e.reason == "over_budget" for e in report.entries)
    kept = [entry for entry in report.entries if entry.marker is not None]
    assert (report.coverage.candidates, report.coverage.kept) == (len(case.candidates), len(kept))
    assert report.coverage.kept_tokens == sum(entry.tokens for entry in kept)
    assert report.coverage.candidate_tokens == sum(entry.tokens for entry in report.entries)


CONTROLS = st.sampled_from([PAIRS.control_tokens, MISTRAL.control_tokens]) | st.lists(
    st.text(alphabet="<|a>[s]", min_size=2, max_size=5), max_size=5
).map(tuple)


@given(text=texts(pieces=20, repeats=20) | st.text(alphabet="<|a>[s]"), controls=CONTROLS)
def test_defusing_leaves_no_control_token_and_changes_nothing_else(
    text: str, controls: tuple[str, ...]
) -> None:
    safe = defuse(text, controls)

    assert not [token for token in controls if token in safe]
    assert defuse(safe, controls) == safe
    assert safe.replace(BREAK, "") == text.replace(BREAK, "")
    if not [token for token in controls if token in text]:
        assert safe == text
