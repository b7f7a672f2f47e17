from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from chunking.errors import CollectionNotFound, ModelNotFound
from retrieval.memory import MemoryEngine
from serve.answer import Answer, answer
from serve.backends.protocol import Completion
from serve.backends.quote import INTRODUCTION
from serve.backends.scripted import ScriptedBackend
from serve.errors import UpstreamSilentTruncation, UpstreamTimeout
from serve.plan import Ask
from serve.profiles import ModelProfile, PerMillionPrice
from serve.schema import AnswerResponse
from tests.serving import country, fill, mistral, profile, small_runtime

ASK = Ask("What is the capital of Peru?", collection="small", model="scripted")
PRICED = PerMillionPrice(input_usd=Decimal(2), output_usd=Decimal(10))


def answered(
    backend: ScriptedBackend,
    *,
    model: ModelProfile | None = None,
    ask: Ask = ASK,
    engine: MemoryEngine | None = None,
) -> Answer:
    profiles = None if model is None else {"scripted": model}

    async def scenario() -> Answer:
        runtime = small_runtime(backend, profiles=profiles, engine=engine)
        try:
            return await answer(ask, runtime)
        finally:
            await runtime.close()

    return asyncio.run(scenario())


def counting_backend(text: str = "Lima [1].", *, drift: int = 0) -> ScriptedBackend:
    """A server that reads exactly the planned tokens, or so many more."""
    counter = mistral()
    return ScriptedBackend(
        [text], prompt_tokens=lambda request: counter.count_messages(request.messages) + drift
    )


def test_the_model_is_sent_the_planned_messages_and_the_reserved_room() -> None:
    backend = counting_backend()

    given = answered(backend, ask=replace(ASK, max_output_tokens=99))

    (request,) = backend.requests
    assert mistral().count_messages(request.messages) == given.report.prompt_tokens
    assert request.max_output_tokens == given.report.reserved_output == 99
    assert [chunk.id for chunk in request.sources] == [
        entry.chunk for entry in given.report.entries if entry.marker is not None
    ]


def test_the_answer_of_the_model_comes_back_with_its_sources() -> None:
    given = answered(counting_backend("It is Lima [1]."))

    assert given.text == "It is Lima [1]."
    assert [citation.marker for citation in given.citations] == [1]
    assert given.report.llm_calls == 1


def test_a_server_that_reads_what_was_planned_has_no_drift() -> None:
    upstream = answered(counting_backend()).report.upstream

    assert upstream is not None
    assert (upstream.drift, upstream.silently_truncated) == (0, False)


def test_a_server_that_reads_more_is_reported_with_its_drift() -> None:
    given = answered(counting_backend(drift=3))

    assert given.report.upstream is not None
    assert given.report.upstream.drift == 3
    assert given.report.upstream.prompt_tokens == given.report.prompt_tokens + 3


def test_a_server_that_reads_less_than_was_sent_is_caught_with_the_numbers() -> None:
    with pytest.raises(UpstreamSilentTruncation) as caught:
        answered(counting_backend(drift=-1))

    assert "1 were cut without notice" in caught.value.message
    assert caught.value.code == "upstream_silent_truncation"


def test_an_estimated_plan_may_be_above_what_the_server_reads() -> None:
    estimated = profile(tokenizer="estimated:mistral:v3")

    given = answered(counting_backend(), model=estimated)

    assert given.report.count == "estimated"
    assert given.report.upstream is not None
    assert given.report.upstream.drift < 0


def test_without_usage_nothing_is_claimed_about_the_server() -> None:
    assert answered(ScriptedBackend(["Lima [1]."])).report.upstream is None


def test_false_citations_are_removed_and_counted() -> None:
    given = answered(counting_backend("Lima [1], says [99] and [98]."))

    assert given.text == "Lima [1], says and."
    assert given.report.removed_citations == 2
    assert [citation.marker for citation in given.citations] == [1]


def test_the_call_is_priced_by_the_usage_of_the_server() -> None:
    backend = ScriptedBackend([Completion("Lima", 1_000_000, 100_000)])

    report = answered(backend, model=profile(price=PRICED)).report

    assert report.cost_usd == pytest.approx(3.0)
    assert "USD per million tokens" in report.cost_basis


def test_without_usage_the_planned_tokens_are_priced() -> None:
    report = answered(ScriptedBackend(["Lima"]), model=profile(price=PRICED)).report

    assert report.cost_usd == pytest.approx(report.prompt_tokens * 2 / 1_000_000)


def test_a_response_says_whether_server_or_plan_counted_its_usage() -> None:
    planned = AnswerResponse.of(answered(ScriptedBackend(["Lima"])), request_id="r")
    served = AnswerResponse.of(
        answered(ScriptedBackend([Completion("Lima", 5000, 7, cached_tokens=64)])), request_id="r"
    )

    assert (planned.usage.source, planned.usage.prompt_tokens) == (
        "planned",
        planned.context.prompt_tokens,
    )
    assert (served.usage.source, served.usage.prompt_tokens) == ("server", 5000)
    assert (served.usage.completion_tokens, served.usage.cached_tokens) == (7, 64)
    assert served.usage.total_tokens == 5007


def test_the_times_of_every_step_are_told() -> None:
    timings = answered(counting_backend()).timings_ms

    assert set(timings) == {"search", "plan", "complete", "total"}
    assert all(value >= 0 for value in timings.values())
    assert timings["total"] >= timings["complete"]


def test_an_error_of_the_model_is_raised_as_it_is() -> None:
    with pytest.raises(UpstreamTimeout, match="too slow"):
        answered(ScriptedBackend([UpstreamTimeout("too slow")]))


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (replace(ASK, model="nonesuch"), ModelNotFound),
        (replace(ASK, collection="nonesuch"), CollectionNotFound),
    ],
)
def test_an_unknown_name_is_refused_before_any_model_is_called(
    ask: Ask, error: type[Exception]
) -> None:
    backend = counting_backend()

    with pytest.raises(error, match="nonesuch"):
        answered(backend, ask=ask)
    assert backend.requests == []


def test_the_default_answers_without_a_model_and_charges_nothing() -> None:
    given = answered(ScriptedBackend(()), ask=replace(ASK, model="quote"))

    assert given.text.startswith(INTRODUCTION)
    assert "Capital: Lima" in given.text
    assert given.citations
    assert (given.report.llm_calls, given.report.cost_usd) == (0, 0.0)
    assert given.report.upstream is None


def test_a_quoted_passage_keeps_the_brackets_of_its_source() -> None:
    noted = country("Peru", capital="Lima [12], founded in 1535 [2]", area="1,285,216")
    engine = MemoryEngine()
    fill(engine, (noted,), counter=mistral())

    given = answered(ScriptedBackend(()), ask=replace(ASK, model="quote"), engine=engine)

    assert "Capital: Lima [12], founded in 1535 [2]" in given.text
    assert given.report.removed_citations == 0
