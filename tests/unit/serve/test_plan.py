from __future__ import annotations

from dataclasses import replace

import pytest

from chunking.errors import ContextLengthExceeded, InputError
from chunking.piece_counts import PieceCounter, whole_piece
from chunking.tokens import Message, TokenCounter
from retrieval.memory import MemoryEngine
from retrieval.points import Where
from retrieval.search import Searcher
from serve.context.prompt import SYSTEM_TEXT
from serve.plan import Ask, Mode, Plan, Truncation, make_plan
from serve.profiles import ModelProfile
from tests.pair_counter import PairCounter
from tests.serving import (
    DOCUMENTS,
    EMBEDDER,
    PERU,
    fill,
    profile,
    small_searcher,
)

COUNTER = PairCounter()
SEARCHER = small_searcher(counter=COUNTER)
QUESTION = "What is the capital of Peru?"


def plan(
    question: str = QUESTION,
    *,
    mode: Mode = "retrieve",
    truncation: Truncation = "auto",
    max_context_tokens: int | None = None,
    max_output_tokens: int | None = None,
    history: tuple[Message, ...] = (),
    where: Where | None = None,
    model: ModelProfile | None = None,
    searcher: Searcher = SEARCHER,
    counter: TokenCounter = COUNTER,
) -> Plan:
    ask = Ask(
        question,
        "small",
        "scripted",
        mode,
        truncation,
        max_context_tokens,
        max_output_tokens,
        history,
        where,
    )
    return make_plan(ask, profile=model or profile(), counter=counter, searcher=searcher)


def sent(planned: Plan) -> str:
    return "\n".join(message.content for message in planned.context.messages)


# --- what every plan says


def test_the_receipt_counts_the_messages_that_would_be_sent() -> None:
    planned = plan()
    report = planned.report

    assert report.prompt_tokens == COUNTER.count_messages(planned.context.messages)
    assert report.prompt_tokens + report.reserved_output + report.free == report.window == 8192
    assert (report.tokenizer, report.count, report.model) == ("pairs:v1", "exact", "scripted")


def test_a_count_that_is_no_exact_one_is_called_estimated() -> None:
    assert plan(counter=PairCounter(exact=False)).report.count == "estimated"


def test_the_chunk_that_answers_is_in_the_prompt() -> None:
    assert "Capital: Lima" in sent(plan())


def test_the_instructions_come_from_the_service_and_the_history_from_the_caller() -> None:
    history = (Message("user", "Hello"), Message("assistant", "Good day"))

    messages = plan(history=history).context.messages

    assert messages[0] == Message("system", SYSTEM_TEXT)
    assert messages[1:3] == history
    assert messages[3].content.endswith(f"Question: {QUESTION}")


def test_a_model_without_a_system_role_is_sent_none() -> None:
    messages = plan(model=profile(system_role=False)).context.messages

    assert [message.role for message in messages] == ["user"]


def test_the_route_tells_where_the_text_goes() -> None:
    assert plan().report.route.target == "local"
    assert plan(model=profile(place="cloud")).report.route.target == "cloud"


def test_a_question_that_the_corpus_answers_is_told_from_one_that_it_does_not() -> None:
    answered = plan("What is the area of Peru?").report
    missing = plan("What is the rainfall of Peru in 1950?").report

    assert (answered.insufficient_evidence, missing.insufficient_evidence) == (False, True)
    assert answered.support is not None
    assert missing.support is not None
    assert 0 <= missing.support < answered.support <= 1


def test_evidence_that_found_no_room_in_the_prompt_is_insufficient() -> None:
    assert plan("What is the area of Peru?", max_context_tokens=1).report.insufficient_evidence


def test_of_documents_that_were_not_searched_no_evidence_is_said() -> None:
    report = plan(mode="full").report

    assert (report.support, report.insufficient_evidence) == (None, None)


def test_of_a_question_in_other_letters_no_evidence_is_said() -> None:
    report = plan("Какова площадь Перу?").report

    assert report.entries
    assert (report.support, report.insufficient_evidence) == (None, None)


def test_before_an_answer_nothing_was_called_or_paid() -> None:
    report = plan().report

    assert (report.llm_calls, report.cost_usd, report.upstream) == (0, 0.0, None)


def corpus_size() -> int:
    return sum(PieceCounter(COUNTER).count(whole_piece(document)) for document in DOCUMENTS)


def test_the_coverage_states_the_size_of_the_corpus() -> None:
    coverage = plan().report.coverage

    assert coverage.corpus_documents == 3
    assert coverage.corpus_tokens == corpus_size()


def test_a_corpus_counted_with_another_tokenizer_has_no_size_in_tokens() -> None:
    other = PairCounter(name="other", identity="other")
    assert plan(counter=other).report.coverage.corpus_tokens is None


# --- modes


def test_retrieving_takes_chunks_and_reports_each() -> None:
    planned = plan()

    assert planned.report.mode == "retrieve"
    stored = {hit.chunk.id for hit in SEARCHER.index.read()}
    assert {entry.chunk for entry in planned.report.entries} == stored
    assert len(planned.report.entries) == len(stored)


def test_full_reads_whole_documents_in_a_stable_order() -> None:
    first, second = plan(mode="full"), plan("And the area of Bolivia?", mode="full")

    assert [chunk.text for chunk in first.context.chunks] == [
        document.text for document in sorted(DOCUMENTS, key=lambda document: document.id)
    ]
    prefix = sent(first).split("Question:")[0]
    assert sent(second).startswith(prefix)


def test_full_keeps_the_most_relevant_documents_whole_where_not_all_fit() -> None:
    room = COUNTER.count(PERU.text) + 40

    planned = plan(mode="full", max_context_tokens=room)

    assert [chunk.text for chunk in planned.context.chunks] == [PERU.text]
    assert planned.report.truncated
    assert {e.document: e.reason for e in planned.report.entries} == {
        "peru": None,
        "chad": "over_budget",
        "bolivia": "over_budget",
    }


def test_auto_reads_everything_where_everything_fits() -> None:
    assert plan(mode="auto").report.mode == "full"


def test_auto_retrieves_where_the_corpus_is_larger_than_the_room() -> None:
    total = corpus_size()

    assert plan(mode="auto", max_context_tokens=total - 1).report.mode == "retrieve"
    assert plan(mode="auto", max_context_tokens=total).report.mode == "full"


def test_auto_judges_by_characters_where_the_corpus_was_not_counted_with_the_tokenizer() -> None:
    other = PairCounter(name="other", identity="other")
    estimate = sum(len(document.text) for document in DOCUMENTS) // 3

    assert plan(mode="auto", counter=other, max_context_tokens=estimate).report.mode == "full"
    below = plan(mode="auto", counter=other, max_context_tokens=estimate - 1)
    assert below.report.mode == "retrieve"


def test_full_accounts_for_every_document_that_passes_the_filter() -> None:
    wanted = tuple(document.id for document in DOCUMENTS[:2])

    planned = plan(mode="full", where={"document": wanted})

    assert {entry.document for entry in planned.report.entries} == set(wanted)


def test_full_reads_past_chunks_whose_document_was_never_finished() -> None:
    """A killed ingestion leaves chunks without the record that makes their document count."""
    engine = MemoryEngine()
    searcher = Searcher(fill(engine, counter=COUNTER), EMBEDDER)
    store = engine.stores["small"]
    of_chad = [p.id for p in store.scroll(where={"kind": ("document",), "document": ("chad",)})]
    assert len(of_chad) == 1
    store.delete(of_chad)

    planned = plan("What is the capital of Chad?", mode="full", searcher=searcher)

    assert [chunk.document for chunk in planned.context.chunks] == ["bolivia", "peru"]


# --- limits


def test_retrieved_text_stays_within_the_cap_of_the_caller() -> None:
    planned = plan(max_context_tokens=60)

    assert 0 < planned.report.segments.retrieved <= 60
    assert planned.report.truncated
    assert "Capital: Lima" in sent(planned)


def test_a_cap_too_small_for_any_chunk_leaves_the_bare_question() -> None:
    planned = plan(max_context_tokens=1)

    assert planned.report.segments.retrieved == 0
    assert planned.context.messages[-1].content == QUESTION


def test_the_answer_gets_the_room_that_was_asked_for_up_to_the_limit_of_the_model() -> None:
    assert plan(max_output_tokens=77).report.reserved_output == 77
    most = plan(max_output_tokens=5000).report
    assert (most.reserved_output, most.requested_output) == (2048, 5000)
    assert plan().report.reserved_output == 512


def test_truncation_may_be_refused_with_the_numbers() -> None:
    with pytest.raises(ContextLengthExceeded, match="truncation is disabled") as caught:
        plan(truncation="disabled", max_context_tokens=60)

    assert "room for 60" in caught.value.message


def test_a_request_that_fits_whole_passes_with_truncation_disabled() -> None:
    assert not plan(truncation="disabled").report.truncated


def test_a_question_longer_than_the_window_is_refused_before_anything_is_searched() -> None:
    def unreachable(*_: object, **__: object) -> None:
        pytest.fail("the index was searched")

    searcher = replace(SEARCHER)
    searcher.embedder = type("Never", (), {"embed": unreachable})()

    with pytest.raises(ContextLengthExceeded) as caught:
        plan("landlocked " * 9000, searcher=searcher)

    assert caught.value.param == "question"
    assert "8192" in caught.value.message


def test_a_window_smaller_than_prompt_and_answer_is_refused_with_what_would_fit() -> None:
    model = profile(window=300, output_limit=299)

    with pytest.raises(ContextLengthExceeded) as caught:
        plan(max_output_tokens=299, model=model)

    most = int(caught.value.hint.split()[4])
    assert plan(max_output_tokens=most, model=model).report.free == 0


# --- searches


def test_what_a_planner_names_is_searched_for_and_the_report_says_so() -> None:
    ask = Ask("Which is it?", "small", "scripted", searches=("capital of Chad",))
    report = make_plan(ask, profile=profile(), counter=COUNTER, searcher=SEARCHER).report

    found = [one for one in report.entries if one.via.startswith("search: capital of Chad > ")]
    assert found
    assert found[0].document == "chad"


# --- filters


@pytest.mark.parametrize("mode", ["retrieve", "full"])
def test_a_filter_leaves_only_what_it_names(mode: Mode) -> None:
    planned = plan(mode=mode, where={"document": ("chad",)})

    assert {entry.document for entry in planned.report.entries} == {"chad"}
    assert "Capital: Lima" not in sent(planned)


def test_a_filter_of_several_values_takes_any_of_them() -> None:
    planned = plan(where={"title": ("Chad", "Bolivia")})

    assert {entry.document for entry in planned.report.entries} == {"chad", "bolivia"}
    assert planned.report.coverage.passing_documents == 2
    assert plan().report.coverage.passing_documents is None


def test_a_filter_that_matches_nothing_leaves_the_bare_question() -> None:
    planned = plan(where={"document": ("atlantis",)})

    assert planned.report.coverage.passing_documents == 0
    assert planned.report.entries == ()
    assert not planned.report.truncated
    assert planned.context.messages[-1].content == QUESTION


def test_a_filter_by_an_unknown_key_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="continent") as caught:
        plan(where={"continent": ("Asia",)})

    assert caught.value.param == "filter"
    assert "document" in caught.value.message


def test_an_empty_collection_plans_the_bare_question() -> None:
    empty = small_searcher((), counter=COUNTER)

    for mode in ("retrieve", "full", "auto"):
        planned = plan(mode=mode, searcher=empty)
        assert planned.report.entries == ()
        assert planned.report.coverage.corpus_tokens == 0


@pytest.mark.parametrize("mode", ["retrieve", "full", "auto", "exhaustive"])
def test_a_filter_by_an_unknown_key_is_refused_in_every_mode(mode: Mode) -> None:
    with pytest.raises(InputError, match="cannot filter by"):
        plan(mode=mode, where={"tenant": ("other",)})
