"""Labels of turns: what was asked and answered here keeps its label when it comes back."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.sensitivity import Sensitivity
from chunking.tokens import Message, Tool, ToolCall
from serve.answer import Answer, answer, stream_answer
from serve.answered import AnsweredLabels, _declines
from serve.backends.protocol import Completion
from serve.backends.scripted import ScriptedBackend
from serve.errors import PolicyNoRoute, UpstreamTimeout
from serve.plan import Ask, Plan
from serve.runtime import Runtime
from tests.routes import ASK, labelled, routed_runtime
from tests.serving import CHAD, PERU

ABOUT_CHAD = Ask("What is the capital of Chad?", "small", "far", where={"title": ("Chad",)})


CALL = ToolCall("callabc12", "note", '{"text": "The seat is Lima", "page": 3}')
TOOLS = (Tool("note"),)
SECRET = "The seat is Lima, with 977,431 people, as the envoy wrote from Callao in the spring [1]."


def turn(text: str) -> Message:
    return Message("assistant", text)


def restricted(*script: object) -> Runtime:
    """Return a runtime whose local model answers by a script, about a restricted document."""
    return routed_runtime(
        {"near": ScriptedBackend(script)},  # type: ignore[arg-type]
        documents=(*labelled("restricted", PERU), CHAD),
    )


def leaves(runtime: Runtime, ask: Ask) -> bool:
    """Return whether a request about Chad reaches the cloud."""
    try:
        asyncio.run(answer(ask, runtime))
    except PolicyNoRoute:
        return False
    return True


class TestAnsweredLabels:
    def test_a_text_has_the_highest_label_it_was_given(self) -> None:
        labels = AnsweredLabels()
        labels.note("Lima.", Sensitivity.RESTRICTED)
        labels.note(" Lima.\n", Sensitivity.INTERNAL)

        assert labels.labels_in(["Lima.", "Sucre."]) == [Sensitivity.RESTRICTED]

    @pytest.mark.parametrize("text", [" ", "{}", "", "\n[]"])
    def test_a_text_without_letters_or_symbols_has_none(self, text: str) -> None:
        labels = AnsweredLabels()
        labels.note(text, Sensitivity.RESTRICTED)

        assert labels.labels_in([text]) == []

    @pytest.mark.parametrize("text", ["12", "[12]", "No.", "\N{THUMBS UP SIGN}", "Yes", "п. 5"])
    def test_the_shortest_answer_is_content(self, text: str) -> None:
        labels = AnsweredLabels()
        labels.note(text, Sensitivity.RESTRICTED)

        assert labels.labels_in([f" {text}\n"]) == [Sensitivity.RESTRICTED]

    @pytest.mark.parametrize(
        "text",
        [
            "The sources do not say.",
            "The provided sources do not contain enough information to answer the question.",
            "Sorry, I cannot answer that from the documents [1].",
        ],
    )
    def test_stock_words_that_nothing_was_found_hold_nothing(self, text: str) -> None:
        labels = AnsweredLabels()

        assert not labels.note(text, Sensitivity.RESTRICTED)
        assert labels.labels_in([text]) == []

    def test_declining_with_any_other_word_is_content(self) -> None:
        labels = AnsweredLabels()
        told = "The sources do not say whether Lima is sold."
        labels.note(told, Sensitivity.RESTRICTED)

        assert labels.labels_in([told]) == [Sensitivity.RESTRICTED]

    def test_what_begins_with_stock_words_is_known_by_its_beginning(self) -> None:
        labels = AnsweredLabels()
        begun = "The provided sources do not contain enough information to answer the question."
        labels.note(f"{begun} But Lima is sold.", Sensitivity.RESTRICTED)

        assert labels.labels_in([f"{begun} But Lima"]) == [Sensitivity.RESTRICTED]

    @pytest.mark.parametrize(
        "text",
        [
            SECRET[:90],
            SECRET.replace(" [1]", "").replace(" ", "\n"),
            f"Translate this:\n\n> {SECRET}",
            f"{SECRET}\n(stopped)",
            SECRET.replace("Lima", "**Lima**").upper(),
        ],
    )
    def test_a_long_text_is_known_by_its_opening_at_any_line(self, text: str) -> None:
        labels = AnsweredLabels()
        labels.note(SECRET, Sensitivity.RESTRICTED)

        assert Sensitivity.RESTRICTED in labels.labels_in([text])

    @pytest.mark.parametrize("text", ["The seat is Lima.", "1. Lima\n2. Sucre\n3. N'Djamena"])
    def test_a_text_of_some_words_is_known_on_lines_of_its_own(self, text: str) -> None:
        labels = AnsweredLabels()
        labels.note(text, Sensitivity.RESTRICTED)

        quoted = f"Translate this:\n\n{text}\n\nInto French."
        assert labels.labels_in([quoted]) == [Sensitivity.RESTRICTED]
        assert labels.labels_in([f"Translate this: {text} Please."]) == []

    def test_a_line_that_the_shortest_text_equals_is_no_text_of_its_own(self) -> None:
        labels = AnsweredLabels()
        labels.note("Yes.", Sensitivity.RESTRICTED)

        assert labels.labels_in(["Is it so?\nYes.\nThen go on."]) == []

    def test_the_oldest_are_forgotten_first(self) -> None:
        labels = AnsweredLabels(limit=2)
        for text in ("a", "b", "a", "c"):
            labels.note(text, Sensitivity.INTERNAL)

        assert [bool(labels.labels_in([text])) for text in "abc"] == [True, False, True]

    @given(st.text(min_size=1), st.text(), st.integers(0, 400))
    def test_every_beginning_that_was_noted_piece_by_piece_is_known(
        self, text: str, more: str, cut: int
    ) -> None:
        labels = AnsweredLabels()
        whole = f"Lima {text}{more}" * 9
        known = False
        for end in range(1, len(whole) + 1):
            known = known or labels.note(whole[:end], Sensitivity.RESTRICTED)

        assert labels.labels_in([whole[: cut + 1]]) or _declines(whole[: cut + 1])


class TestWhatComesBack:
    @pytest.mark.parametrize(
        "field",
        [
            {"history": (Message("user", "Well?"), turn(SECRET))},
            {"question": SECRET},
            {"system": f"Be brief.\n\n{SECRET}"},
            {"system": "Be brief.\n\nx", "system_parts": ("Be brief.", SECRET)},
            {"after": (Message("assistant", "", (CALL,)), Message("tool", SECRET, (), CALL.id))},
            {"tools": (Tool("note", f"Say:\n{SECRET}"),)},
            {"sampling": {"stop": [SECRET]}},
        ],
    )
    def test_an_answer_keeps_its_label_in_whatever_field(self, field: dict[str, Any]) -> None:
        runtime = restricted(SECRET)
        asyncio.run(answer(ASK, runtime))

        assert not leaves(runtime, replace(ABOUT_CHAD, **field))
        assert leaves(runtime, ABOUT_CHAD)

    @pytest.mark.parametrize(
        "arguments", [CALL.arguments, '{"page":3,"text":"The seat is Lima"}', SECRET]
    )
    def test_calls_of_tools_keep_the_label_of_what_they_were_made_from(
        self, arguments: str
    ) -> None:
        made = CALL if arguments != SECRET else replace(CALL, arguments=SECRET)
        runtime = restricted(Completion("", None, 5, tool_calls=(made,)))
        asyncio.run(answer(replace(ASK, tools=TOOLS), runtime))
        after = (
            Message("assistant", "", (replace(CALL, arguments=arguments),)),
            Message("tool", "saved", tool_call_id=CALL.id),
        )

        assert not leaves(runtime, replace(ABOUT_CHAD, after=after, tools=TOOLS))

    @pytest.mark.parametrize("leaving", [1, 2, 3])
    def test_what_a_client_that_left_a_stream_has_seen_keeps_its_label(self, leaving: int) -> None:
        runtime = restricted(["The seat ", "is ", "Lima. "])
        seen: list[str] = []

        async def read() -> None:
            async with contextlib.aclosing(stream_answer(ASK, runtime)) as items:
                async for item in items:
                    seen.extend([item] if isinstance(item, str) else [])
                    if len(seen) == leaving:
                        return

        asyncio.run(read())
        history = (Message("user", "Well?"), turn("".join(seen).strip()))
        assert not leaves(runtime, replace(ABOUT_CHAD, history=history))

    def test_a_question_asked_under_a_label_keeps_it_when_it_is_asked_again(self) -> None:
        runtime = restricted("near [1].")
        told = "Is Chad sold?"
        asyncio.run(
            answer(replace(ASK, question=told, sensitivity=Sensitivity.RESTRICTED), runtime)
        )

        assert not leaves(runtime, replace(ABOUT_CHAD, question=told))

    def test_a_question_has_not_the_label_of_the_turns_before_it(self) -> None:
        runtime = restricted(SECRET, "More [1].")
        asyncio.run(answer(ASK, runtime))
        goes_on = replace(
            ASK, question="Tell me more.", history=(Message("user", "Well?"), turn(SECRET))
        )
        asyncio.run(answer(replace(goes_on, where={"title": ("Chad",)}), runtime))

        assert leaves(runtime, replace(ABOUT_CHAD, question="Tell me more."))


def test_a_caller_that_never_routes_keeps_the_labels_of_turns_too() -> None:
    runtime = routed_runtime(
        {"near": ScriptedBackend(["The seat is Lima [1]."])},
        documents=(*labelled("restricted", PERU), CHAD),
    )
    said = asyncio.run(answer(ASK, runtime))

    with pytest.raises(PolicyNoRoute):
        asyncio.run(answer(replace(ABOUT_CHAD, history=(turn(said.text),)), runtime))


def test_the_pieces_of_a_broken_stream_keep_their_label() -> None:
    broken = ScriptedBackend([["The seat is ", "Lima", UpstreamTimeout("cut")]])
    runtime = routed_runtime({"near": broken}, documents=(*labelled("restricted", PERU), CHAD))
    items: list[Plan | str | Answer] = []

    async def read() -> None:
        async for item in stream_answer(ASK, runtime):
            items.append(item)  # noqa: PERF401 - what came before the error is wanted

    with pytest.raises(UpstreamTimeout):
        asyncio.run(read())
    history = (turn("".join(item for item in items if isinstance(item, str))),)
    with pytest.raises(PolicyNoRoute):
        asyncio.run(answer(replace(ABOUT_CHAD, history=history), runtime))


def test_a_question_keeps_the_label_it_was_asked_under() -> None:
    runtime = routed_runtime()
    secret = replace(ASK, question="Is Lima sold?", sensitivity=Sensitivity.RESTRICTED)
    asyncio.run(answer(secret, runtime))

    history = (Message("user", "Is Lima sold?"), turn("No."))
    with pytest.raises(PolicyNoRoute):
        asyncio.run(answer(replace(ABOUT_CHAD, history=history), runtime))
