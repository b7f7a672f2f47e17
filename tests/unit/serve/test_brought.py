"""Every text that a request brings, whatever field it came in."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from chunking.tokens import Message, Tool, ToolCall
from serve.brought import arguments_text, brought_texts
from serve.plan import Ask

ASK = Ask("q", "small", "near")
CALL = ToolCall("c", "note", '{"b": {"c": ["told"]}, "a": 1}')


@pytest.mark.parametrize(
    "field",
    [
        {"question": "told"},
        {"system": "told"},
        {"system_parts": ("x", "told")},
        {"history": (Message("user", "told"),)},
        {"after": (Message("tool", "told"),)},
        {"after": (Message("assistant", "", (CALL,)),)},
        {"after": (Message("assistant", "", (replace(CALL, arguments="told"),)),)},
        {"tools": (Tool("told"),)},
        {"tools": (Tool("n", "told"),)},
        {"tools": (Tool("n", parameters={"properties": {"a": {"enum": ["told"]}}}),)},
        {"tool_choice": {"function": {"name": "told"}}},
        {"response_format": {"json_schema": {"schema": {"title": "told"}}}},
        {"sampling": {"stop": ["told"]}},
    ],
)
def test_a_text_is_found_in_every_field(field: dict[str, object]) -> None:
    assert "told" in brought_texts(replace(ASK, **field))  # type: ignore[arg-type]


def test_a_field_of_a_request_is_looked_at_or_known_to_hold_no_text_for_a_model() -> None:
    looked_at = {"question", "system", "system_parts", "history", "after"}
    looked_at |= {"tools", "tool_choice", "response_format", "sampling"}
    no_text = {"collection", "model", "mode", "truncation", "where", "searches", "order", "trim"}
    no_text |= {"max_context_tokens", "max_output_tokens", "call_limit", "cost_limit_usd"}
    no_text |= {"sensitivity", "recognised", "recalled", "brought", "route"}

    assert {one.name for one in fields(Ask)} == looked_at | no_text


def test_blank_texts_are_left_out_and_equal_ones_told_once() -> None:
    turns = (Message("user", "q"), Message("assistant", " "))

    assert brought_texts(replace(ASK, history=turns)) == ("q",)


def test_arguments_have_one_form_however_they_were_written() -> None:
    again = replace(
        CALL, arguments=json.dumps(json.loads(CALL.arguments), indent=1, sort_keys=True)
    )

    assert arguments_text(again) == arguments_text(CALL)
    assert arguments_text(replace(CALL, arguments="{not JSON")) == "{not JSON"


def test_arguments_of_any_depth_are_read_or_taken_as_they_are() -> None:
    deep = "[" * 100_000

    assert arguments_text(replace(CALL, arguments=deep)) == deep
    assert deep in brought_texts(
        replace(ASK, after=(Message("assistant", "", (replace(CALL, arguments=deep),)),))
    )
