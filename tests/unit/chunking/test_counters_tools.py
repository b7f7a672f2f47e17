"""Tools, their calls and their results are counted the way each server writes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chunking.counters import HuggingFaceCounter, MistralCounter, TiktokenCounter
from chunking.counters.wire import message_payload, tool_payload
from chunking.errors import DependencyMissing, InputError, TokenizerUnavailable
from chunking.tokens import Message, Tool, ToolCall, counted_exactly

PARAMETERS = {
    "type": "object",
    "properties": {
        "location": {
            "type": "string",
            "description": "The city and state, e.g. San Francisco, CA",
        },
        "unit": {
            "type": "string",
            "description": "The unit of temperature to return",
            "enum": ["celsius", "fahrenheit"],
        },
    },
    "required": ["location"],
}
WEATHER = Tool(
    "get_current_weather", "Get the current weather in a given location", parameters=PARAMETERS
)
QUESTION = (
    Message(
        "system",
        "You are a helpful assistant that can answer to questions about the weather.",
    ),
    Message("user", "What's the weather like in San Francisco?"),
)
CALLED = (
    *QUESTION,
    Message("assistant", "", (ToolCall("call00001", WEATHER.name, '{"location": "SF"}'),)),
    Message("tool", '{"celsius": 18}', tool_call_id="call00001"),
)
DUMP = "{{ messages | tojson }}{{ tools | tojson }}"


# --- OpenAI


@pytest.fixture(scope="module")
def gpt4o() -> TiktokenCounter:
    return openai("o200k_base")


def openai(encoding: str) -> TiktokenCounter:
    try:
        return TiktokenCounter(encoding)
    except (DependencyMissing, TokenizerUnavailable) as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("encoding", "served"), [("o200k_base", 101), ("cl100k_base", 105)])
def test_tiktoken_counts_the_cookbook_s_tool_as_openai_s_api_counted_it(
    encoding: str, served: int
) -> None:
    """Section 7 of the cookbook: 101 prompt tokens from gpt-4o, 105 from gpt-4."""
    assert openai(encoding).count_messages(QUESTION, tools=[WEATHER]) == served


def test_tiktoken_calls_its_count_of_tools_no_exact_one(gpt4o: TiktokenCounter) -> None:
    assert counted_exactly(gpt4o, QUESTION)
    assert not counted_exactly(gpt4o, QUESTION, tools=[WEATHER])
    assert not counted_exactly(gpt4o, CALLED[:3])
    assert not counted_exactly(gpt4o, CALLED[3:])


def test_mistral_calls_its_count_of_tools_exact() -> None:
    assert counted_exactly(MistralCounter("v3"), CALLED, tools=[WEATHER])


@pytest.mark.parametrize(
    "parameters",
    [
        None,
        {},
        {"type": "object", "properties": {}},
        {"properties": {"a": {"$ref": "#/$defs/A"}, "b": True, "c": {"enum": [1, None]}}},
        {"properties": {"d": {"type": ["string", "null"]}}},
        {"properties": {"e": {"type": "array", "items": {"properties": {"f": {"type": "x"}}}}}},
    ],
)
def test_tiktoken_counts_every_schema_and_more_of_it_is_more(
    gpt4o: TiktokenCounter, parameters: dict[str, Any] | None
) -> None:
    bare = gpt4o.count_messages(QUESTION)
    one = gpt4o.count_messages(QUESTION, tools=[Tool("f", parameters=parameters)])
    two = gpt4o.count_messages(QUESTION, tools=[Tool("f", parameters=parameters), WEATHER])
    assert bare < one < two


def test_tiktoken_charges_calls_and_their_results(gpt4o: TiktokenCounter) -> None:
    longer = (*CALLED[:2], Message("assistant", "", CALLED[2].tool_calls * 2), *CALLED[3:])
    counts = [gpt4o.count_messages(turns) for turns in (QUESTION, CALLED[:3], CALLED, longer)]
    assert counts == sorted(set(counts))


# --- Mistral


@pytest.mark.parametrize("version", ["v2", "v3", "tekken"])
def test_mistral_counts_tools_as_mistral_common_encodes_them(version: str) -> None:
    from mistral_common.protocol.instruct.request import ChatCompletionRequest
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    makers: dict[str, Callable[[], Any]] = {
        "v2": MistralTokenizer.v2,
        "v3": MistralTokenizer.v3,
        "tekken": partial(MistralTokenizer.v3, is_tekken=True),
    }
    counter = MistralCounter(version)
    for messages in (QUESTION, CALLED):
        request: Any = ChatCompletionRequest.from_openai(
            [message_payload(message) for message in messages], tools=[tool_payload(WEATHER)]
        )
        expected = len(makers[version]().encode_chat_completion(request).tokens)
        assert counter.count_messages(messages, tools=[WEATHER]) == expected
        assert counter.count_messages(messages) < expected


def test_mistral_v1_refuses_tools_instead_of_dropping_them() -> None:
    with pytest.raises(InputError, match="mistral:v1 has no form for tools") as refusal:
        MistralCounter("v1").count_messages(QUESTION, tools=[WEATHER])
    assert refusal.value.param == "tools"
    assert "v2" in refusal.value.hint


def test_mistral_v1_refuses_calls_of_tools() -> None:
    with pytest.raises(InputError, match="mistral:v1 has no form"):
        MistralCounter("v1").count_messages(CALLED)


def test_mistral_reads_the_last_nine_letters_of_a_longer_id() -> None:
    counter = MistralCounter("v3")
    long = "call_abcdefghi"
    call = Message("assistant", "", (ToolCall(long, WEATHER.name, "{}"),))
    result = Message("tool", "18", tool_call_id=long)
    short = Message("assistant", "", (ToolCall(long[-9:], WEATHER.name, "{}"),))
    short_result = Message("tool", "18", tool_call_id=long[-9:])
    assert counter.count_messages((*QUESTION, call, result)) == counter.count_messages(
        (*QUESTION, short, short_result)
    )


@pytest.mark.parametrize(
    "turns",
    [
        (Message("assistant", "", (ToolCall("c1", "f", "{}"),)), Message("tool", "r")),
        (Message("assistant", "", (ToolCall("call00001", "f g", "{}"),)),),
        (Message("tool", "r", tool_call_id="call00001"),),
        (CALLED[2], Message("tool", "r")),
    ],
    ids=["a short id", "a name with a space", "a result without a call", "a result of nothing"],
)
def test_mistral_refuses_calls_that_its_format_cannot_hold(turns: tuple[Message, ...]) -> None:
    with pytest.raises(InputError, match="mistral:v3 has no form") as refusal:
        MistralCounter("v3").count_messages((*QUESTION, *turns))
    assert refusal.value.param == "messages"


def test_mistral_refuses_a_tool_whose_schema_is_none() -> None:
    broken = Tool("f", parameters={"type": "no such type"})
    with pytest.raises(InputError, match="mistral:v3 has no form"):
        MistralCounter("v3").count_messages(QUESTION, tools=[broken])


@pytest.mark.parametrize("version", ["v1", "v2", "v3", "tekken"])
def test_mistral_folds_the_system_text_into_a_user_turn(version: str) -> None:
    counter = MistralCounter(version)
    folded = Message("user", f"{QUESTION[0].content}\n\n{QUESTION[1].content}")
    assert counter.count_messages(QUESTION) == counter.count_messages([folded])


# --- Hugging Face


def templated(folder: Path, template: str) -> HuggingFaceCounter:
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    rust = tokenizers.Tokenizer(tokenizers.models.BPE())
    rust.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(initial_alphabet=alphabet, show_progress=False)
    rust.train_from_iterator([], trainer)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=rust, chat_template=template
    ).save_pretrained(folder)
    return HuggingFaceCounter(folder)


def test_hugging_face_gives_the_template_what_vllm_gives_it(tmp_path: Path) -> None:
    """As vLLM 0.32 rendered this template: arguments parsed, keys in its order, nulls kept."""
    counter = templated(tmp_path, DUMP)
    calls = (
        ToolCall("call_1", "f", '{"b": 1, "a": "é"}'),
        ToolCall("x", "g", "nope"),
        ToolCall("y", "g", "[1]"),
        ToolCall("z", "g", ""),
    )
    messages = [Message("assistant", "", calls), Message("tool", "r", tool_call_id="call_1")]
    tools = [
        Tool("f", "d", {"type": "object"}),
        Tool("g"),
        Tool("h", "d", None, strict=True),
        Tool("i", "d", {}, strict=False),
    ]
    rendered = (
        '[{"role": "assistant", "content": "", "tool_calls": ['
        '{"id": "call_1", "function": {"arguments": {"b": 1, "a": "é"}, "name": "f"},'
        ' "type": "function"}, '
        '{"id": "x", "function": {"arguments": {}, "name": "g"}, "type": "function"}, '
        '{"id": "y", "function": {"arguments": {}, "name": "g"}, "type": "function"}, '
        '{"id": "z", "function": {"arguments": {}, "name": "g"}, "type": "function"}]}, '
        '{"role": "tool", "content": "r", "tool_call_id": "call_1"}]'
        '[{"type": "function", "function": {"name": "f", "description": "d",'
        ' "parameters": {"type": "object"}}}, '
        '{"type": "function", "function": {"name": "g", "description": null,'
        ' "parameters": null}}, '
        '{"type": "function", "function": {"name": "h", "description": "d",'
        ' "parameters": null, "strict": true}}, '
        '{"type": "function", "function": {"name": "i", "description": "d",'
        ' "parameters": {}, "strict": false}}]'
    )
    # Every byte is a token of this tokenizer, so the count is the length of the rendered text.
    assert counter.count_messages(messages, tools=tools) == len(rendered.encode())
    assert counter.count(rendered) == len(rendered.encode())


def test_hugging_face_gives_the_template_no_tools_where_there_are_none(tmp_path: Path) -> None:
    counter = templated(tmp_path, "{{ 'none' if tools is none else 'some' }}")
    assert counter.count_messages([Message("user", "q")]) == len("none")


def test_a_template_without_a_system_role_is_refused_with_the_way_out(tmp_path: Path) -> None:
    template = (
        "{% if messages[0]['role'] == 'system' %}"
        "{{ raise_exception('System role not supported') }}{% endif %}"
        "{{ messages[0]['content'] }}"
    )
    counter = templated(tmp_path, template)
    assert counter.count_messages([Message("user", "abc")]) == 3
    with pytest.raises(InputError, match="System role not supported") as refusal:
        counter.count_messages(QUESTION)
    assert "system_role" in refusal.value.hint


def test_lone_surrogates_in_tools_are_counted_as_what_is_sent(tmp_path: Path) -> None:
    counter = templated(tmp_path, DUMP)
    broken = Tool("f", "a\ud800", {"description": "\udc00", "enum": ["\ud83d\ude00"]})
    sent = Tool("f", "a\ufffd", {"description": "\ufffd", "enum": ["😀"]})
    turns = [Message("assistant", "", (ToolCall("a\ud800", "f", json.dumps("\ud800")),))]
    assert counter.count_messages(turns, tools=[broken]) == counter.count_messages(
        [Message("assistant", "", (ToolCall("a\ufffd", "f", '"x"'),))], tools=[sent]
    )
