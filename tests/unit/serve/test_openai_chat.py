from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from chunking.errors import InputError
from chunking.tokens import Message, Tool, ToolCall
from serve.openai_chat import ask_of
from serve.openai_schema import SAMPLING, ChatRequest
from serve.plan import Ask
from tests.serving import SETTINGS

PROFILES = ("scripted", "quote", "org/model")
USER = {"role": "user", "content": "Capital?"}
CALL = {"id": "c1", "type": "function", "function": {"name": "area", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "area", "parameters": {"type": "object"}}}


def asked(*messages: dict[str, Any], model: str = "scripted", **fields: Any) -> Ask:
    body = {"model": model, "messages": messages or (USER,), **fields}
    return ask_of(ChatRequest.model_validate(body), SETTINGS, PROFILES)


@pytest.mark.parametrize(
    ("model", "collection", "profile"),
    [
        ("scripted", "small", "scripted"),
        ("factbook/quote", "factbook", "quote"),
        ("org/model", "small", "org/model"),
        ("factbook/org/model", "factbook", "org/model"),
        ("/quote", "small", "/quote"),
        ("unknown", "small", "unknown"),
    ],
)
def test_a_model_names_a_profile_and_may_name_a_collection(
    model: str, collection: str, profile: str
) -> None:
    ask = asked(model=model)

    assert (ask.collection, ask.model) == (collection, profile)


def test_instructions_are_gathered_from_wherever_they_stand() -> None:
    ask = asked(
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "developer", "content": "Be kind."},
        {"role": "assistant", "content": "Hi"},
        USER,
    )

    assert ask.system == "Be brief.\n\nBe kind."
    assert ask.history == (Message("user", "Hello"), Message("assistant", "Hi"))
    assert ask.question == "Capital?"
    assert ask.after == ()


def test_calls_of_tools_and_their_results_follow_the_question() -> None:
    ask = asked(
        USER,
        {"role": "assistant", "content": None, "tool_calls": [CALL], "refusal": None},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "9"}]},
        tools=[TOOL],
        tool_choice={"type": "function", "function": {"name": "area"}},
        parallel_tool_calls=False,
    )

    assert ask.question == "Capital?"
    assert ask.after == (
        Message("assistant", "", (ToolCall("c1", "area", "{}"),)),
        Message("tool", "9", tool_call_id="c1"),
    )
    assert ask.tools == (Tool("area", None, {"type": "object"}, None),)
    assert ask.tool_choice == {"type": "function", "function": {"name": "area"}}
    assert ask.sampling == {"parallel_tool_calls": False}


def test_text_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "What is"}, {"type": "text", "text": "the capital?"}]

    assert asked({"role": "user", "content": parts}).question == "What is\nthe capital?"


def test_what_steers_the_model_is_passed_on_as_it_is() -> None:
    given: dict[str, Any] = {
        "temperature": 0.0,
        "top_p": 0.9,
        "stop": ["\n"],
        "seed": 7,
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "logit_bias": {"50256": -100.0},
        "reasoning_effort": "low",
        "verbosity": "low",
    }

    assert asked(**given).sampling == given
    assert set(given) | {"parallel_tool_calls"} == set(SAMPLING)


def test_what_is_null_is_as_if_it_were_not_there() -> None:
    optional: dict[str, Any] = {
        name: None for name, field in ChatRequest.model_fields.items() if not field.is_required()
    }

    assert asked(**optional) == asked()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("user", "u1"), ("metadata", {"a": "b"}), ("store", True), ("service_tier", "auto")],
        *[("safety_identifier", "s"), ("prompt_cache_key", "k"), ("n", 1), ("logprobs", False)],
        *[("modalities", ["text"]), ("prediction", {"type": "content", "content": "x"})],
        *[("response_format", {"type": "text"}), ("tool_choice", "auto"), ("stream", False)],
    ],
)
def test_what_changes_no_answer_is_accepted(field: str, value: Any) -> None:
    assert asked(**{field: value}) == asked()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("n", 2), ("logprobs", True), ("top_logprobs", 3), ("functions", [])],
        *[("function_call", "auto"), ("modalities", ["audio"]), ("audio", {"voice": "x"})],
        *[("web_search_options", {}), ("temperature", 3), ("top_p", 0), ("max_tokens", 0)],
        *[("tools", [{"type": "custom"}]), ("tempreture", 1), ("windowfit", {"mod": "full"})],
        *[("stop", ["x"] * 17), ("temperature", float("nan"))],
    ],
)
def test_what_cannot_be_done_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        asked(**{field: value})

    assert caught.value.errors()[0]["loc"][0] == field


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]},
        {"role": "user", "content": [{"text": "x"}]},
        {"role": "user", "content": ["x"]},
        {"role": "user", "content": None},
        {"role": "user"},
        {"role": "robot", "content": "x"},
        {"role": "function", "name": "f", "content": "x"},
        {"role": "assistant", "content": None},
        {"role": "tool", "content": "9"},
        {"content": "x"},
    ],
)
def test_a_message_that_is_no_text_of_a_known_role_is_refused(message: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        asked(message, USER)

    assert caught.value.errors()[0]["loc"][:2] == ("messages", 0)


@pytest.mark.parametrize(
    ("messages", "fields", "param"),
    [
        ([{"role": "system", "content": "x"}], {}, "messages"),
        ([{"role": "user", "content": " \n"}], {}, "messages"),
        ([USER], {"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens"),
        ([USER], {"truncation": "auto", "windowfit": {"truncation": "disabled"}}, "truncation"),
        ([USER], {"model": "a/quote", "windowfit": {"collection": "b"}}, "collection"),
        ([USER], {"tool_choice": "required"}, "tool_choice"),
        (
            [USER],
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "no"}}},
            "tool_choice",
        ),
        ([USER], {"response_format": {"type": "json_schema"}}, "response_format"),
    ],
)
def test_a_request_that_contradicts_itself_is_refused_with_the_field(
    messages: list[dict[str, Any]], fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(InputError) as caught:
        asked(*messages, **fields)

    assert caught.value.param == param


def test_options_of_windowfit_reach_the_plan() -> None:
    ask = asked(
        max_completion_tokens=64,
        truncation="disabled",
        response_format={"type": "json_object"},
        windowfit={
            "collection": "factbook",
            "mode": "full",
            "order": "document",
            "trim": True,
            "max_context_tokens": 100,
            "filter": {"document": "peru", "title": ["Peru", "Chad"]},
            "searches": ["area of Peru"],
        },
    )

    assert (ask.collection, ask.mode, ask.order, ask.trim) == ("factbook", "full", "document", True)
    assert (ask.truncation, ask.max_context_tokens, ask.max_output_tokens) == ("disabled", 100, 64)
    assert ask.where == {"document": ("peru",), "title": ("Peru", "Chad")}
    assert ask.searches == ("area of Peru",)
    assert ask.response_format == {"type": "json_object"}
