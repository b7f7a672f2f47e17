from __future__ import annotations

from dataclasses import replace
from string import ascii_letters

import pytest

from chunking.document import Chunk, Document
from chunking.errors import ContextLengthExceeded
from chunking.tokens import Message
from serve.context.assemble import ContextWindow, assemble, count_fixed, refuse_truncation
from serve.context.budget import TokenBudget, plan_budget
from serve.context.prompt import Prompt
from serve.context.report import Candidate
from tests.pair_counter import PairCounter

COUNTER = PairCounter()
PROMPT = Prompt("question?", system="instructions")
FIXED = count_fixed(PROMPT, COUNTER)


def candidate(text: str, *, document: str = "d", title: str = "Title") -> Candidate:
    whole = Document(id=document, text=text, title=title, source=document)
    chunk = Chunk.of(whole, start=0, end=len(text), path=(), position=0)
    return Candidate(chunk, score=0.5, via="question")


def words(count: int, *, document: str = "d") -> Candidate:
    """A candidate of that many words, each of one token, and five tokens of header."""
    return candidate(" ".join(["landlocked"] * count), document=document)


def neighbours(count: int, *, words: int = 1, gap: str | None = "\n") -> list[Candidate]:
    """Candidates that follow each other in one document, a line break between them."""
    lines = [" ".join([f"landlocked{letter}"] * words) for letter in ascii_letters[:count]]
    whole = Document(id="d", text="\n".join(lines), title="Title", source="d")
    length = len(lines[0])
    starts = [n * (length + 1) for n in range(count)]
    chunks = [
        Chunk.of(whole, start=start, end=start + length, path=(), position=n)
        for n, start in enumerate(starts)
    ]
    return [
        Candidate(chunk, 0.5, "question", gap=gap if n else None) for n, chunk in enumerate(chunks)
    ]


def room(tokens: int) -> TokenBudget:
    fixed = sum(FIXED)
    return plan_budget(
        window=fixed + 10 + tokens, output_limit=10, fixed=fixed, requested_output=10
    )


def pack(*candidates: Candidate, tokens: int, in_corpus_order: bool = False) -> ContextWindow:
    return assemble(
        candidates,
        prompt=PROMPT,
        fixed=FIXED,
        budget=room(tokens),
        counter=COUNTER,
        in_corpus_order=in_corpus_order,
    )


def fates(context: ContextWindow) -> list[str]:
    return [entry.reason or entry.fate for entry in context.entries]


def test_the_fixed_parts_sum_to_the_bare_prompt() -> None:
    history = (Message("user", "Hello there"), Message("assistant", "Hello yourself"))
    prompt = Prompt("question?", system="instructions", history=history)

    template, system, past, question = count_fixed(prompt, COUNTER)

    # Two for each turn and one for the reply; an instruction; two turns of two words; the question.
    assert (template, system, past, question) == (5, 1, 8, 2)
    assert sum((template, system, past, question)) == COUNTER.count_messages(prompt.messages(()))


def test_everything_is_kept_in_the_order_of_priority_where_it_fits() -> None:
    context = pack(words(3, document="b"), words(2, document="a"), tokens=100)

    assert fates(context) == ["kept", "kept"]
    assert [chunk.document for chunk in context.chunks] == ["b", "a"]
    assert [entry.marker for entry in context.entries] == [1, 2]


def test_nothing_retrieved_leaves_the_bare_prompt() -> None:
    context = pack(tokens=100)

    assert context.messages == PROMPT.messages(())
    assert context.segments.retrieved == 0


def test_a_chunk_that_does_not_fit_is_skipped_and_the_next_is_tried() -> None:
    context = pack(words(10), words(90), words(9, document="e"), tokens=50)

    assert fates(context) == ["kept", "over_budget", "kept"]
    assert [entry.marker for entry in context.entries] == [1, None, 2]


def test_a_better_chunk_is_kept_before_a_shorter_one() -> None:
    context = pack(words(30), words(5, document="e"), tokens=42)

    assert fates(context) == ["kept", "over_budget"]


def test_the_last_chunk_goes_where_the_whole_counts_more_than_its_parts() -> None:
    best, last = words(10), words(9, document="e")
    sums = sum(entry.tokens for entry in pack(best, last, tokens=500).entries)

    # "Sources:", "Question:" and the blank lines between the parts are in no single count.
    assert fates(pack(best, last, tokens=sums)) == ["kept", "over_budget"]
    needed = pack(best, last, tokens=500).segments.retrieved
    assert needed > sums
    assert fates(pack(best, last, tokens=needed)) == ["kept", "kept"]
    assert fates(pack(best, last, tokens=needed - 1)) == ["kept", "over_budget"]


def test_a_chunk_that_only_the_whole_has_room_for_is_kept_after_all() -> None:
    # Neighbours share a header, which no sum of single counts knows.
    shorter = neighbours(8)
    needed = pack(*shorter, tokens=500).segments.retrieved

    context = pack(*shorter, tokens=needed)

    assert sum(entry.tokens for entry in context.entries) > needed
    assert fates(context) == ["kept", *["merged"] * 7]
    assert context.segments.retrieved == needed


def test_a_chunk_that_is_kept_after_all_is_shown_at_its_rank() -> None:
    late, last = words(12, document="f"), words(1, document="e")
    sums = [entry.tokens for entry in pack(*neighbours(8), late, last, tokens=900).entries]
    room_for_all_but_late = sum(sums[:8]) + sums[9]

    context = pack(*neighbours(8), late, last, tokens=room_for_all_but_late)

    assert sum(sums) > room_for_all_but_late
    assert [entry.marker for entry in context.entries] == [*[1] * 8, 2, 3]


def test_when_the_best_chunk_fails_the_recount_the_others_are_still_tried() -> None:
    best, small, smaller = words(20), words(3, document="e"), words(2, document="f")
    tokens = pack(best, tokens=500).entries[0].tokens

    context = pack(best, small, smaller, tokens=tokens)

    assert pack(best, tokens=500).segments.retrieved > tokens
    assert fates(context) == ["over_budget", "kept", "kept"]


def test_a_repeated_text_is_kept_once_and_points_at_the_first() -> None:
    first, second = words(4, document="a"), words(4, document="b")

    context = pack(first, second, tokens=100)

    assert fates(context) == ["kept", "duplicate"]
    assert context.entries[1].duplicate_of == first.chunk.id


def test_the_same_chunk_found_twice_is_shown_once() -> None:
    context = pack(words(4), words(4), tokens=100)

    assert fates(context) == ["kept", "duplicate"]
    assert [entry.marker for entry in context.entries] == [1, None]


def test_the_same_text_under_another_heading_is_no_repetition() -> None:
    context = pack(candidate("landlocked"), candidate("landlocked", title="Other"), tokens=100)

    assert fates(context) == ["kept", "kept"]


def test_a_repetition_of_a_dropped_text_is_dropped() -> None:
    context = pack(words(40, document="a"), words(40, document="b"), tokens=30)

    assert fates(context) == ["over_budget", "over_budget"]
    assert context.entries[1].duplicate_of is None


def test_corpus_order_shows_by_document_and_position_and_keeps_by_priority() -> None:
    context = pack(
        words(10, document="c"),
        words(8, document="a"),
        words(9, document="b"),
        tokens=40,
        in_corpus_order=True,
    )

    assert fates(context) == ["kept", "kept", "over_budget"]
    assert [chunk.document for chunk in context.chunks] == ["a", "c"]
    assert [entry.marker for entry in context.entries] == [2, 1, None]


def test_an_entry_carries_what_the_search_said_of_its_candidate() -> None:
    found = Candidate(words(2).chunk, score=0.25, via="aspect: area")

    (entry,) = pack(found, tokens=100).entries

    assert (entry.score, entry.via, entry.rank) == (0.25, "aspect: area", 1)
    assert (entry.start, entry.end) == (0, len(found.chunk.text))


def test_refusing_truncation_passes_where_nothing_was_dropped_for_room() -> None:
    refuse_truncation(pack(words(4), words(4), tokens=100).entries, room(100))


def test_refusing_truncation_states_how_much_is_needed_and_how_much_there_is() -> None:
    context = pack(words(40), words(30, document="e"), tokens=50)

    with pytest.raises(ContextLengthExceeded) as caught:
        refuse_truncation(context.entries, room(50))

    needed = sum(entry.tokens for entry in context.entries)
    assert caught.value.message == (
        f"2 candidates need {needed} tokens, room for 50; "
        "1 would be dropped and truncation is disabled"
    )
    assert caught.value.param == "truncation"


# --- neighbours, near-duplicates, trimming


def test_neighbours_are_shown_as_one_piece_under_one_header() -> None:
    context = pack(*neighbours(3), tokens=500)

    assert fates(context) == ["kept", "merged", "merged"]
    assert [entry.marker for entry in context.entries] == [1, 1, 1]
    (chunk,) = context.chunks
    assert chunk.text == "landlockeda\nlandlockedb\nlandlockedc"
    assert context.messages[-1].content.count("] Title") == 1


def test_chunks_with_other_text_between_them_keep_their_headers() -> None:
    context = pack(*neighbours(3, gap=None), tokens=500)

    assert fates(context) == ["kept"] * 3
    assert context.messages[-1].content.count("] Title") == 3


def test_a_near_duplicate_points_at_the_better_one() -> None:
    text = "the plains of this country are wide and its rivers are slow and its hills are low "
    first, second = candidate(text * 3, document="a"), candidate(text * 3 + "too", document="b")
    alike = [replace(each, sketch=("key",)) for each in (first, second)]

    context = pack(*alike, tokens=900)

    assert fates(context) == ["kept", "duplicate"]
    assert context.entries[1].duplicate_of == first.chunk.id
    assert fates(pack(*(replace(each, sketch=()) for each in alike), tokens=900)) == ["kept"] * 2


def test_what_repeats_a_chunk_that_did_not_fit_is_tried_itself() -> None:
    text = "the plains of this country are wide and its rivers are slow and its hills are low "
    longer = replace(candidate(text * 3 + "too", document="a"), sketch=("key",))
    shorter = replace(candidate(text * 3, document="b"), sketch=("key",))
    needed = pack(shorter, tokens=900).segments.retrieved

    assert fates(pack(longer, shorter, tokens=needed)) == ["over_budget", "kept"]


SENTENCES = "Peru has a coast. Chad has none of that. Bolivia has two capitals in it."


def trimmed(tokens: int) -> ContextWindow:
    return assemble(
        [candidate(SENTENCES)],
        prompt=PROMPT,
        fixed=FIXED,
        budget=room(tokens),
        counter=COUNTER,
        trimming=True,
    )


def test_the_best_chunk_left_out_is_cut_at_a_sentence_where_that_is_asked_for() -> None:
    whole = pack(candidate(SENTENCES), tokens=500).segments.retrieved

    context = trimmed(whole - 1)

    assert fates(context) == ["trimmed"]
    (entry,), (chunk,) = context.entries, context.chunks
    assert chunk.text == "Peru has a coast. Chad has none of that."
    assert (entry.end, entry.trimmed_from) == (len(chunk.text), len(SENTENCES))
    assert context.segments.retrieved <= whole - 1


def test_a_chunk_is_not_cut_where_nothing_of_it_fits_or_nobody_asked() -> None:
    whole = pack(candidate(SENTENCES), tokens=500).segments.retrieved

    assert fates(trimmed(8)) == ["over_budget"]
    assert fates(trimmed(whole)) == ["kept"]
    assert fates(pack(candidate(SENTENCES), tokens=whole - 1)) == ["over_budget"]


def test_a_trimmed_chunk_is_not_joined_to_what_follows_it() -> None:
    lines = neighbours(2, words=30)
    text = "Peru is dry. " + lines[0].chunk.text[13:]
    cuttable = replace(lines[0], chunk=replace(lines[0].chunk, text=text))
    needed = pack(lines[1], tokens=900).segments.retrieved

    context = assemble(
        [lines[1], cuttable],
        prompt=PROMPT,
        fixed=FIXED,
        budget=room(needed + 16),
        counter=COUNTER,
        trimming=True,
    )

    assert fates(context) == ["kept", "trimmed"]
    assert [chunk.text for chunk in context.chunks] == [lines[1].chunk.text, "Peru is dry."]
