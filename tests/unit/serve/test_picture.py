from __future__ import annotations

import re
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from serve.picture import BAR_WIDTH, draw_answer, draw_preview, draw_window

BAR = re.compile(r"▕(.*)▏")


def entry(
    rank: int, *, tokens: int = 100, marker: int | None = None, **fields: Any
) -> dict[str, Any]:
    return {
        "rank": rank,
        "breadcrumb": f"Peru > Part {rank}",
        "tokens": tokens,
        "marker": marker,
        "fate": "dropped" if marker is None else "kept",
        "reason": "over_budget" if marker is None else None,
        "duplicate_of": None,
        **fields,
    }


def report(
    entries: list[dict[str, Any]], *, reserved: int = 512, free: int = 1000, **segments: int
) -> dict[str, Any]:
    kept = [item for item in entries if item["marker"] is not None]
    retrieved = sum(item["tokens"] for item in kept)
    parts = {"template": 23, "system": 210, "history": 0, "question": 19, "retrieved": retrieved}
    parts = {**parts, **segments}
    return {
        "model": "mistral-7b-8k",
        "window": sum(parts.values()) + reserved + free,
        "count": "exact",
        "tokenizer": "mistral:v3",
        "segments": parts,
        "prompt_tokens": sum(parts.values()),
        "reserved_output": reserved,
        "requested_output": reserved,
        "free": free,
        "coverage": {
            "corpus_documents": 256,
            "corpus_tokens": 2_687_784,
            "candidates": len(entries),
            "kept": len(kept),
            "kept_tokens": retrieved,
            "percent": 1.25,
        },
        "entries": entries,
        "cost_basis": "no per-token charge",
        "removed_citations": 0,
    }


def bar(drawn: str) -> str:
    found = BAR.search(drawn)
    assert found is not None
    return found[1]


TOKENS = st.integers(0, 200_000)


@given(
    kept=st.lists(TOKENS, max_size=120),
    reserved=st.integers(1, 200_000),
    free=TOKENS,
    segments=st.fixed_dictionaries(
        dict.fromkeys(("template", "system", "history", "question"), TOKENS)
    ),
)
def test_the_bar_has_its_width_whatever_the_window_holds(
    kept: list[int], reserved: int, free: int, segments: dict[str, int]
) -> None:
    entries = [entry(n, tokens=tokens, marker=n) for n, tokens in enumerate(kept, start=1)]

    drawn = bar(draw_window(report(entries, reserved=reserved, free=free, **segments)).plain)

    assert len(drawn) == BAR_WIDTH == 72
    assert re.fullmatch(r"t*s*h*[█▓]*q*░*·*", drawn)


def test_every_part_that_is_there_gets_a_cell_and_no_other() -> None:
    entries = [entry(1, tokens=3000, marker=1), entry(2, tokens=1, marker=2)]

    drawn = bar(draw_window(report(entries, free=0)).plain)

    assert {"t", "s", "q", "█", "▓", "░"} == set(drawn)


def test_a_part_takes_its_share_of_the_bar() -> None:
    half = report([entry(1, tokens=4000, marker=1)], reserved=2000, free=1748)

    drawn = bar(draw_window(half).plain)

    assert half["window"] == 8000
    assert abs(drawn.count("█") - 36) <= 1
    assert abs(drawn.count("░") - 18) <= 1


def test_a_filter_says_what_it_passes() -> None:
    filtered = report([])
    filtered["coverage"]["passing_documents"] = 0

    assert (
        "256 documents, 0 of them pass the filter, 2,687,784 tokens" in draw_window(filtered).plain
    )
    assert "filter" not in draw_window(report([])).plain


def test_insufficient_evidence_is_said_and_sufficient_is_not() -> None:
    weak = {**report([]), "support": 0.12, "insufficient_evidence": True}
    strong = {**report([]), "support": 0.71, "insufficient_evidence": False}

    assert "insufficient evidence: support 0.12 of 1" in draw_window(weak).plain
    assert "evidence" not in draw_window(strong).plain


def test_a_route_that_was_decided_is_told_and_a_named_model_is_not() -> None:
    decided = {
        "target": "local",
        "requested": "auto",
        "rule": "code\x1b out",
        "reason": "task=code",
        "passed": [{"model": "far", "reason": "sensitivity"}],
    }
    named = {"target": "local", "requested": "near", "reason": "model=near", "passed": []}

    drawn = draw_window({**report([]), "route": decided}).plain

    assert "route local, rule 'code  out': task=code; passed far: sensitivity\n" in drawn
    assert "route" not in draw_window({**report([]), "route": named}).plain


def test_neighbouring_chunks_are_told_apart_in_the_order_of_the_prompt() -> None:
    entries = [entry(1, tokens=900, marker=2), entry(2, tokens=2700, marker=1)]

    drawn = bar(draw_window(report(entries)).plain)

    first, second = drawn.count("█"), drawn.count("▓")
    assert drawn.index("█") < drawn.index("▓")
    assert first > 2 * second > 0


def test_the_legend_states_the_numbers_and_they_sum_to_the_window() -> None:
    drawn = report([entry(1, tokens=7159, marker=1), entry(2)], free=269)

    text = draw_window(drawn).plain

    assert (
        "template 23 + system 210 + history 0 + █▓ 1 chunks 7,159 + question 19 = prompt 7,411"
        " | ░ reserved 512 | · free 269"
    ) in text
    assert "window 8,192 tokens of mistral-7b-8k, count exact (mistral:v3)" in text
    assert drawn["window"] == 7411 + 512 + 269


def test_what_was_left_out_is_named_with_its_reason() -> None:
    entries = [
        entry(1, marker=1),
        entry(2, tokens=300),
        entry(3, fate="duplicate", reason=None, duplicate_of="abc"),
    ]

    text = draw_window(report(entries)).plain

    assert "candidates: 3: 1 kept, 1 duplicate, 1 dropped (over_budget)" in text
    assert "left out: #2 Peru > Part 2 (300 tokens): over_budget" in text
    assert "left out: #3 Peru > Part 3 (100 tokens): same text as abc" in text


def test_a_long_list_of_what_was_left_out_says_how_much_it_does_not_show() -> None:
    text = draw_window(report([entry(rank) for rank in range(1, 14)])).plain

    assert text.count("left out:") == 5
    assert "and 8 more (--json)" in text


def test_output_that_was_cut_down_is_said_so() -> None:
    cut = {**report([]), "requested_output": 9000}

    assert "of 9,000 asked for" in draw_window(cut).plain
    assert "asked for" not in draw_window(report([])).plain


def test_the_size_of_the_corpus_is_stated_where_it_is_known() -> None:
    known = report([entry(1, tokens=26_878, marker=1)])
    unknown = report([entry(1, marker=1)])
    unknown["coverage"]["corpus_tokens"] = None

    assert (
        "corpus: 256 documents, 2,687,784 tokens; 1.25 % of it in the prompt\n"
        in draw_window(known).plain
    )
    assert "corpus: 256 documents; 1.25 % of it in the prompt\n" in draw_window(unknown).plain


def test_no_candidate_is_said_so() -> None:
    assert "candidates: 0: none" in draw_window(report([])).plain


def test_an_answer_is_drawn_with_its_sources_times_and_cost() -> None:
    response = {
        "answer": "Lima [1].",
        "citations": [
            {
                "marker": 1,
                "breadcrumb": "Peru > Government",
                "source": "peru.md",
                "start": 5,
                "end": 19,
            }
        ],
        "context": report([entry(1, marker=1)]),
        "request_id": "r1",
        "timings_ms": {"search": 12.3, "total": 4567.8},
        "cost_usd": 0.00021,
    }

    text = draw_answer(response).plain

    assert text.startswith("Lima [1].\n")
    assert "[1] Peru > Government  (peru.md characters 5 to 19)" in text
    assert "search 12 ms, total 4,568 ms; cost $0.00021 (no per-token charge)" in text


def test_text_of_documents_cannot_steer_the_terminal() -> None:
    response = {
        "answer": "red \x1b[31malert\x07 \x9b2J\x1b]0;title\x07",
        "citations": [],
        "context": report([entry(1, breadcrumb="Peru\x1b[2J")]),
        "request_id": "r1",
        "timings_ms": {},
        "cost_usd": 0,
    }

    drawn = draw_answer(response).plain

    assert not [c for c in drawn if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160)]
    assert "alert" in drawn


def test_an_answer_cut_by_its_limit_says_so() -> None:
    whole = {
        "answer": "Lima",
        "citations": [],
        "context": report([]),
        "request_id": "r1",
        "timings_ms": {},
        "cost_usd": 0.0,
    }

    assert "was cut at" in draw_answer({**whole, "finish_reason": "length"}).plain
    assert "was cut at" not in draw_answer({**whole, "finish_reason": "stop"}).plain


def test_what_the_server_read_stands_beside_the_plan() -> None:
    read = {"prompt_tokens": 1234, "drift": 0, "silently_truncated": False}

    assert "read 1,234 prompt tokens: +0" in draw_window({**report([]), "upstream": read}).plain
    assert "the server read" not in draw_window(report([])).plain


CALLS = {
    "calls": 4,
    "shard_prompt_tokens": (7000, 7100, 2500),
    "note_limit": 400,
    "join_prompt_limit": 1300,
    "prompt_tokens_at_most": 17_900,
    "output_tokens_at_most": 1712,
    "cost_at_most_usd": 0.0123,
    "join_prompt_tokens": None,
    "notes_cut": 0,
}


def test_several_calls_are_told_instead_of_drawn() -> None:
    read = report([entry(n, marker=n) for n in range(1, 5001)])

    text = draw_window({**read, "exhaustive": CALLS}).plain

    assert BAR.search(text) is None
    assert (
        "4 calls: 3 read the sources with up to 7,100 prompt tokens each,"
        " one joins their notes with up to 1,300\n"
        "at most 17,900 prompt tokens, 1,712 answer tokens, $0.01230\n"
    ) in text
    assert "1.25 % of it in the prompt" in text
    assert "notes were cut" not in text
    assert "unfinished" not in text


def test_what_the_notes_lost_is_told() -> None:
    done = {**CALLS, "join_prompt_tokens": 1234, "notes_cut": 2, "notes_unfinished": 1}

    text = draw_window({**report([]), "exhaustive": done}).plain

    assert "joins their notes with 1,234\n" in text
    assert "2 notes were cut to fit the joining call" in text
    assert "1 notes are unfinished" in text


def test_a_single_call_is_drawn_whatever_its_mode() -> None:
    assert len(bar(draw_window({**report([]), "exhaustive": {**CALLS, "calls": 1}}).plain)) == 72


def test_more_entries_than_the_bar_has_cells_are_drawn_without_delay() -> None:
    many = report([entry(n, marker=n) for n in range(1, 50_001)])
    started = time.perf_counter()

    drawn = bar(draw_window(many).plain)

    assert time.perf_counter() - started < 5
    assert len(drawn) == BAR_WIDTH
    assert {"█", "▓"} <= set(drawn)


def test_a_preview_says_that_no_model_was_called() -> None:
    planned = {"context": report([]), "timings_ms": {"search": 12.3}, "request_id": "r1"}

    text = draw_preview(planned).plain

    assert "search 12 ms; no model was called\nrequest r1\n" in text
