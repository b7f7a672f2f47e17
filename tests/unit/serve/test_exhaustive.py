from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from chunking.errors import CallLimitExceeded, ContextLengthExceeded, InputError
from chunking.tokens import Tool
from retrieval.memory import MemoryEngine
from retrieval.search import Searcher
from serve.answer import Answer, answer, stream_answer
from serve.backends.protocol import Completion, CompletionRequest
from serve.backends.scripted import ScriptedBackend
from serve.errors import UpstreamRejected, UpstreamSilentTruncation
from serve.exhaustive import SHARD_TEXT
from serve.plan import Ask, Plan, make_plan
from serve.runtime import Runtime
from tests.serving import country, fill, mistral, profile, small_runtime, small_searcher

QUESTION = "Which country has the largest area?"
WINDOW = 900
"""Some shards for the corpus, and a joining call with room for their notes."""
COUNTRIES = tuple(
    country(f"{letter}land", capital=f"{letter}ville", area=f"{number},098,581")
    for number, letter in enumerate("ABCDEFGHIJKLMNOPQRST", start=1)
)

PROFILE = profile(window=WINDOW, output_limit=200, default_output=180)


def ask(**changes: object) -> Ask:
    fields: dict[str, object] = {"collection": "small", "model": "scripted", "mode": "exhaustive"}
    return Ask(QUESTION, **{**fields, **changes})  # type: ignore[arg-type]


def searcher() -> Searcher:
    return small_searcher(COUNTRIES, counter=mistral())


def runtime_with(backend: ScriptedBackend) -> Runtime:
    engine = MemoryEngine()
    fill(engine, COUNTRIES, counter=mistral())
    return small_runtime(backend, engine=engine, profiles={"scripted": PROFILE})


def plan(**changes: object) -> Plan:
    return make_plan(ask(**changes), profile=PROFILE, counter=mistral(), searcher=searcher())


def served(request: CompletionRequest) -> int:
    return mistral().count_messages(request.messages)


def answered(backend: ScriptedBackend, **changes: object) -> Answer:
    return asyncio.run(answer(ask(**changes), runtime_with(backend)))


def notes(*texts: str, count: Callable[[CompletionRequest], int] = served) -> ScriptedBackend:
    return ScriptedBackend(texts, prompt_tokens=count)


# --- what is planned


def test_every_chunk_of_the_corpus_is_read_by_exactly_one_call() -> None:
    planned = plan()

    stored = {hit.chunk.id for hit in searcher().index.read()}
    assert len(planned.report.entries) == len(stored)
    assert {entry.chunk for entry in planned.report.entries} == stored
    assert {entry.fate for entry in planned.report.entries} <= {"kept", "merged"}
    assert planned.report.coverage.percent == 100
    assert not planned.report.truncated


def test_each_prompt_has_the_tokens_that_were_planned_and_fits() -> None:
    planned = plan()

    assert planned.exhaustion is not None
    assert len(planned.exhaustion.shards) > 1
    for shard in planned.exhaustion.shards:
        assert mistral().count_messages(shard.messages) == shard.tokens
        assert shard.tokens <= planned.budget.prompt_limit
    assert planned.report.prompt_tokens == max(s.tokens for s in planned.exhaustion.shards)


def test_markers_go_on_from_call_to_call() -> None:
    planned = plan()

    assert planned.exhaustion is not None
    shown = [len(shard.chunks) for shard in planned.exhaustion.shards]
    firsts = [shard.first_marker for shard in planned.exhaustion.shards]
    assert firsts == [1 + sum(shown[:number]) for number in range(len(shown))]
    second = planned.exhaustion.shards[1]
    assert f"\n[{second.first_marker}] " in second.messages[-1].content


def test_the_calls_and_their_price_are_known_before_any_is_made() -> None:
    calls = plan().report.exhaustive

    assert calls is not None
    assert calls.calls == len(calls.shard_prompt_tokens) + 1
    joined = calls.join_prompt_limit
    assert calls.prompt_tokens_at_most == sum(calls.shard_prompt_tokens) + joined
    shards = len(calls.shard_prompt_tokens)
    assert calls.output_tokens_at_most == shards * calls.note_limit + 180


def test_a_corpus_that_fits_one_prompt_takes_one_call() -> None:
    roomy = profile(window=8192, output_limit=200, default_output=180)

    planned = make_plan(ask(), profile=roomy, counter=mistral(), searcher=searcher())

    assert planned.report.exhaustive is not None
    assert planned.report.exhaustive.calls == 1


def test_more_calls_than_the_caller_allows_are_refused_with_the_number() -> None:
    needed = plan().report.exhaustive
    assert needed is not None

    with pytest.raises(CallLimitExceeded, match=rf"takes {needed.calls} calls, the limit is 2"):
        plan(call_limit=2)
    assert plan(call_limit=needed.calls).report.exhaustive == needed


def test_a_filter_narrows_what_is_read() -> None:
    planned = plan(where={"document": (COUNTRIES[0].id,)})

    assert {entry.document for entry in planned.report.entries} == {COUNTRIES[0].id}
    assert planned.report.coverage.percent < 100


def test_notes_that_cannot_fit_the_joining_call_are_refused_beforehand() -> None:
    small = profile(window=450, output_limit=200, default_output=150)

    with pytest.raises(ContextLengthExceeded, match="notes of at least"):
        make_plan(ask(), profile=small, counter=mistral(), searcher=searcher())


# --- what is done


def shard_count() -> int:
    planned = plan().exhaustion
    assert planned is not None
    return len(planned.shards)


def first_markers() -> list[int]:
    planned = plan().exhaustion
    assert planned is not None
    return [shard.first_marker for shard in planned.shards]


def test_the_answer_is_joined_from_the_notes_of_all_calls() -> None:
    shards = shard_count()
    written = [f"Note: the area is large [{marker}]." for marker in first_markers()]
    backend = notes(*written, "Peru is the largest [1].")

    given = answered(backend)

    assert given.text == "Peru is the largest [1]."
    joining = backend.requests[-1].messages[-1].content
    assert [note for note in written if note in joining] == written
    assert joining.endswith(f"Question: {QUESTION}")
    assert given.report.llm_calls == shards + 1
    assert given.report.upstream is not None
    assert given.report.upstream.drift == 0
    assert given.report.exhaustive is not None
    assert given.report.exhaustive.join_prompt_tokens == served(backend.requests[-1])


def test_a_citation_may_name_what_a_note_has_cited_and_nothing_else() -> None:
    *others, last = first_markers()
    backend = notes(*["nothing"] * len(others), f"Large [{last}].", f"So it is [{last}][1][9999].")

    given = answered(backend)

    assert given.text == f"So it is [{last}]."
    assert [citation.marker for citation in given.citations] == [last]
    assert given.report.removed_citations == 2


def test_a_note_may_cite_only_what_its_own_call_has_read() -> None:
    first, second, *_ = first_markers()
    rest = ["nothing"] * (shard_count() - 2)
    backend = notes(f"Large [{second}].", f"Small [{second}][{first}].", *rest, f"So [{first}].")

    given = answered(backend)

    joining = backend.requests[-1].messages[-1].content
    assert "Large." in joining
    assert f"Small [{second}]." in joining
    assert given.text == "So."
    assert given.report.removed_citations == 3


def test_notes_that_ran_out_of_room_are_counted() -> None:
    counted = [Completion("It is", None, 48, finish_reason="length")] * shard_count()

    given = answered(ScriptedBackend([*counted, Completion("Joined.", None, 4)]))

    assert given.report.exhaustive is not None
    assert given.report.exhaustive.notes_unfinished == shard_count()


def test_the_joining_call_keeps_to_the_limit_of_its_input() -> None:
    narrow = profile(window=WINDOW, output_limit=200, default_output=180, input_limit=600)

    planned = make_plan(ask(), profile=narrow, counter=mistral(), searcher=searcher())

    assert planned.exhaustion is not None
    assert planned.exhaustion.join_limit == 600


def test_a_corpus_of_one_shard_is_answered_as_any_question_is() -> None:
    roomy = profile(window=8192, output_limit=200, default_output=180)

    planned = make_plan(ask(), profile=roomy, counter=mistral(), searcher=searcher())

    assert SHARD_TEXT not in planned.context.messages[0].content
    assert planned.report.prompt_tokens == mistral().count_messages(planned.context.messages)
    assert planned.report.segments.total == planned.report.prompt_tokens


def test_notes_longer_than_their_room_are_cut_and_counted() -> None:
    long = "The area of this country is very large and it says so at length. " * 40
    backend = notes(*[long] * shard_count(), "Joined.")

    given = answered(backend)

    assert given.report.exhaustive is not None
    assert given.report.exhaustive.notes_cut > 0
    assert served(backend.requests[-1]) <= WINDOW - 180


def test_a_server_that_cuts_one_call_ends_them_all() -> None:
    cut = notes(*["nothing"] * shard_count(), "Joined.", count=lambda request: served(request) - 1)

    with pytest.raises(UpstreamSilentTruncation, match="1 were cut"):
        answered(cut)
    assert len(cut.requests) < shard_count() + 1


def test_a_failing_call_is_the_failure_of_the_answer() -> None:
    backend = ScriptedBackend(["nothing", UpstreamRejected("no")], prompt_tokens=served)

    with pytest.raises(UpstreamRejected, match="no"):
        answered(backend)


def test_a_stream_yields_the_joined_answer_as_it_is_written() -> None:
    backend = notes(*["nothing"] * shard_count(), "Peru is the largest [1].")
    runtime = runtime_with(backend)

    async def pieces() -> list[Plan | str | Answer]:
        return [piece async for piece in stream_answer(ask(), runtime)]

    first, *texts, last = asyncio.run(pieces())
    assert isinstance(first, Plan)
    assert isinstance(last, Answer)
    assert "".join(text for text in texts if isinstance(text, str)) == last.text
    assert last.report.llm_calls == shard_count() + 1


def test_a_completion_counts_what_its_parts_used() -> None:
    backend = ScriptedBackend(
        [Completion("nothing", None, 3)] * shard_count() + [Completion("Joined.", None, 4)]
    )

    given = answered(backend)

    assert given.completion.output_tokens == 3 * shard_count() + 4
    assert given.report.upstream is None


def test_where_nothing_passes_the_filter_the_question_is_asked_once_without_sources() -> None:
    backend = notes("I cannot tell.")

    given = answered(backend, where={"document": ("nonesuch",)})

    assert given.text == "I cannot tell."
    assert given.report.llm_calls == 1
    assert (given.report.coverage.kept, given.report.coverage.percent) == (0, 0)


def test_tools_are_refused_because_every_call_could_ask_for_them() -> None:
    with pytest.raises(InputError, match="1 tools were given"):
        plan(tools=(Tool("area_of"),))


def test_only_the_joined_answer_has_the_form_that_was_asked_for() -> None:
    form = {"type": "json_object"}
    backend = notes(*["nothing"] * shard_count(), "{}")

    answered(backend, response_format=form)

    forms = [request.response_format for request in backend.requests]
    assert forms == [*[None] * shard_count(), form]
