from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from chunking.tokens import Message
from serve.answer import answer
from serve.backends.protocol import Completion
from serve.backends.scripted import ScriptedBackend
from serve.facts import ModelCard
from serve.plan import Ask
from serve.profiles import load_profiles
from serve.schema import AnswerRequest, usage_of
from serve.settings import ServeSettings
from tests.serving import SETTINGS, small_runtime

QUESTION: dict[str, Any] = {"question": "What is the capital of Peru?"}
USER = {"role": "user", "content": "Hello"}
ASSISTANT = {"role": "assistant", "content": "Good day"}


def faults(**fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        AnswerRequest.model_validate({**QUESTION, **fields})
    return str(caught.value)


def test_everything_but_the_question_has_a_default() -> None:
    ask = AnswerRequest.model_validate(QUESTION).ask(SETTINGS)

    assert (ask.collection, ask.model) == ("small", "scripted")
    assert (ask.mode, ask.truncation, ask.history, ask.where) == ("retrieve", "auto", (), None)


def test_what_a_request_names_wins_over_the_settings() -> None:
    body = AnswerRequest.model_validate({**QUESTION, "collection": "mine", "model": "quote"})

    ask = body.ask(ServeSettings(collection="other", model="other"))

    assert (ask.collection, ask.model) == ("mine", "quote")


def test_a_filter_takes_one_value_or_several() -> None:
    body = {**QUESTION, "filter": {"document": "peru", "title": ["Peru", "Chad"]}}

    where = AnswerRequest.model_validate(body).ask(SETTINGS).where

    assert where == {"document": ("peru",), "title": ("Peru", "Chad")}


def test_searches_reach_the_plan_in_their_order() -> None:
    body = AnswerRequest.model_validate({**QUESTION, "searches": ["coast", "area \ud800"]})
    assert body.ask(SETTINGS).searches == ("coast", "area \ufffd")


def test_an_empty_filter_is_none() -> None:
    assert AnswerRequest.model_validate({**QUESTION, "filter": {}}).ask(SETTINGS).where is None


def test_history_becomes_turns() -> None:
    body = AnswerRequest.model_validate({**QUESTION, "history": [USER, ASSISTANT]})

    assert body.ask(SETTINGS).history == (
        Message("user", "Hello"),
        Message("assistant", "Good day"),
    )


@pytest.mark.parametrize("question", ["", " ", "\n\t", "\u00a0"])
def test_a_blank_question_is_refused(question: str) -> None:
    assert "question" in faults(question=question)


@pytest.mark.parametrize(
    "history",
    [[USER], [ASSISTANT, USER], [USER, USER], [USER, ASSISTANT, USER], [ASSISTANT]],
    ids=lambda turns: "-".join(turn["role"] for turn in turns),
)
def test_history_that_does_not_alternate_is_refused(history: list[dict[str, str]]) -> None:
    assert "history must alternate" in faults(history=history)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"questoin": "x"}, "questoin"),
        ({"mode": "all"}, "mode"),
        ({"truncation": "none"}, "truncation"),
        ({"max_context_tokens": 0}, "max_context_tokens"),
        ({"max_output_tokens": -1}, "max_output_tokens"),
        ({"max_output_tokens": 10**9}, "max_output_tokens"),
        ({"max_output_tokens": "many"}, "max_output_tokens"),
        ({"model": ""}, "model"),
        ({"collection": "x" * 129}, "collection"),
        ({"history": [{"role": "system", "content": "x"}]}, "role"),
        ({"history": [{"role": "user", "content": ""}]}, "content"),
        ({"history": [{"role": "user", "content": "x", "name": "y"}]}, "name"),
        ({"filter": {"document": 1}}, "filter"),
        ({"filter": "peru"}, "filter"),
        ({"searches": ["a", "b", "c", "d", "e"]}, "searches"),
        ({"searches": [" "]}, "searches"),
        ({"searches": ["x" * 2001]}, "searches"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_field_is_refused_by_name(fields: dict[str, Any], named: str) -> None:
    assert named in faults(**fields)


def test_text_that_no_server_can_receive_is_replaced_at_the_door() -> None:
    lone = {"role": "user", "content": "a\udc00b"}
    body = AnswerRequest.model_validate(
        {"question": "half\ud83d", "history": [lone, ASSISTANT], "filter": {"title": "\ud800"}}
    )

    ask = body.ask(SETTINGS)

    assert (ask.question, ask.history[0].content) == ("half\ufffd", "a\ufffdb")
    assert ask.where == {"title": ("\ufffd",)}


def test_a_model_card_tells_window_and_output_limit_apart() -> None:
    cards = {name: ModelCard.of(item) for name, item in load_profiles().items()}

    for name, card in cards.items():
        assert card.id == name
        assert card.output_limit < card.window
        assert card.created > 1_700_000_000


def test_usage_that_no_server_told_is_planned_over_all_calls() -> None:
    counted = [Completion(text, None, 3) for text in ["nothing"] * 8]
    runtime = small_runtime(ScriptedBackend(counted))
    ask = Ask("Which?", collection="small", model="scripted", mode="exhaustive")

    given = asyncio.run(answer(replace(ask, max_context_tokens=130), runtime))

    planned = given.report.exhaustive
    assert planned is not None
    assert planned.join_prompt_tokens is not None
    usage = usage_of(given)
    assert usage.source == "planned"
    assert usage.prompt_tokens == sum(planned.shard_prompt_tokens) + planned.join_prompt_tokens
    assert usage.total_tokens == usage.prompt_tokens + 3 * planned.calls


def test_usage_of_one_call_that_no_server_told_is_its_plan() -> None:
    runtime = small_runtime(ScriptedBackend([Completion("Lima", None, 3)]))

    given = asyncio.run(answer(Ask("Which?", collection="small", model="scripted"), runtime))

    assert usage_of(given).prompt_tokens == given.report.prompt_tokens
