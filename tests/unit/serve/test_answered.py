"""Labels of turns: what was asked and answered here keeps its label when it comes back."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.sensitivity import Sensitivity
from chunking.tokens import Message, Tool, ToolCall
from serve.answer import Answer, answer, stream_answer
from serve.answered import AnsweredLabels, Known, Saying, Source
from serve.backends.protocol import Completion
from serve.backends.scripted import ScriptedBackend
from serve.errors import PolicyNoRoute, UpstreamTimeout
from serve.plan import Ask, Plan
from serve.prints import RUN_LETTERS, Brought, prints_of
from serve.runtime import Runtime
from tests.routes import ASK, labelled, routed_runtime
from tests.serving import CHAD, PERU

ABOUT_CHAD = Ask("What is the capital of Chad?", "small", "far", where={"title": ("Chad",)})


CALL = ToolCall("callabc12", "note", '{"text": "The seat is Lima", "page": 3}')
TOOLS = (Tool("note"),)
PUBLIC = Sensitivity.PUBLIC
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


def known(label: Sensitivity, *documents: str) -> Known:
    return Known(label, (Source("small", documents),) if documents else ())


def label_in(labels: AnsweredLabels, text: str) -> Sensitivity:
    return labels.find(Brought.of((text,)).prints).label


class TestAnsweredLabels:
    def test_a_text_has_the_highest_label_it_was_given(self) -> None:
        labels = AnsweredLabels()
        labels.note("Lima.", Known(Sensitivity.RESTRICTED))
        labels.note(" Lima.\n", Known(Sensitivity.INTERNAL))

        assert label_in(labels, "Lima.") is Sensitivity.RESTRICTED
        assert label_in(labels, "Sucre.") is Sensitivity.PUBLIC

    def test_all_that_a_text_was_made_from_is_known(self) -> None:
        labels = AnsweredLabels()
        for document in ("peru", "chad"):
            labels.note("Yes.", known(Sensitivity.PUBLIC, document))

        assert labels.find(Brought.of(("Yes",)).prints).sources == (
            Source("small", ("chad", "peru")),
        )

    def test_the_oldest_are_forgotten_first(self) -> None:
        labels = AnsweredLabels(limit=2)
        for text in ("a", "b", "a", "c"):
            labels.note(text, Known(Sensitivity.INTERNAL))

        found = [label_in(labels, text) for text in "abc"]
        assert found == [Sensitivity.INTERNAL, Sensitivity.PUBLIC, Sensitivity.INTERNAL]

    def test_what_may_leave_pushes_nothing_out_that_may_not(self) -> None:
        labels = AnsweredLabels(limit=8)
        labels.note(SECRET, Known(Sensitivity.RESTRICTED))
        for number in range(100):
            labels.note(f"What is number {number}?", Known(Sensitivity.INTERNAL))
            labels.note(f"{number} {SECRET[::-1]}", Known(Sensitivity.RESTRICTED), kind="shown")

        assert label_in(labels, SECRET) is Sensitivity.RESTRICTED

    @given(st.text(min_size=1), st.text(), st.integers(1, 400), st.booleans())
    def test_every_beginning_of_an_answer_that_is_written_is_known(
        self, text: str, more: str, cut: int, thinks: bool
    ) -> None:
        labels = AnsweredLabels()
        whole = ("<think>So it is.</think>" if thinks else "") + f"Lima {text}{more}" * 9
        saying = Saying(labels, Known(Sensitivity.RESTRICTED), skip=frozenset())
        for end in range(1, len(whole[:cut]) + 1):
            saying.add(whole[:end])

        said = whole[:cut].rpartition("</think>")[2] or whole[:cut]
        assert not [*prints_of(said, lines=False)] or label_in(labels, said) is not PUBLIC

    @given(st.lists(st.text(alphabet="ab [1]\n", max_size=90), max_size=9))
    def test_every_run_of_an_answer_that_is_written_is_known(self, pieces: list[str]) -> None:
        labels = AnsweredLabels()
        saying = Saying(labels, Known(Sensitivity.RESTRICTED), skip=frozenset())
        text = ""
        for piece in pieces:
            saying.add(text := text + piece)

        plain = "".join(letter for letter in text if letter in "ab")
        for start in range(0, len(plain) - RUN_LETTERS, 7):
            run = plain[start : start + RUN_LETTERS]
            if run in text.replace(" ", "").replace("\n", ""):
                assert label_in(labels, f"They say: {run}, do they?") is not PUBLIC

    @pytest.mark.parametrize("piece", ["----", "\n", "| ", "\N{THUMBS UP SIGN}", "a ", "a--------"])
    def test_a_stream_of_any_pieces_takes_time_by_their_number(self, piece: str) -> None:
        def spent(count: int) -> float:
            saying, text = Saying(AnsweredLabels(), Known(Sensitivity.RESTRICTED), skip=set()), ""
            started = time.process_time()
            for _ in range(count):
                saying.add(text := text + piece)
            return time.process_time() - started

        pairs = [(spent(500), spent(4000)) for _ in range(2)]
        small, large = (min(times) for times in zip(*pairs, strict=True))
        assert large < 0.3 + 20 * small


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

    @pytest.mark.parametrize("cut", [2, 3])
    def test_what_was_seen_after_thoughts_keeps_its_label(self, cut: int) -> None:
        thoughts = "<think>Let me look at the sources for its seat, and then at all others.</think>"
        runtime = restricted([thoughts, "The seat of the assembly ", "is Lima."])

        async def read() -> list[str]:
            seen: list[str] = []
            async with contextlib.aclosing(stream_answer(ASK, runtime)) as items:
                async for item in items:
                    seen.extend([item] if isinstance(item, str) else [])
                    if len(seen) == cut:
                        break
            return seen

        seen = "".join(asyncio.run(read()))
        for back in (seen, seen.removeprefix(thoughts).strip()):
            assert not leaves(runtime, replace(ABOUT_CHAD, history=(turn(back),)))

    def test_what_a_form_of_answer_was_filled_with_keeps_its_label(self) -> None:
        value = "The seat is Lima, by the bay"
        runtime = restricted(f'{{"page": 3, "answer": "{value}"}}')
        asyncio.run(answer(replace(ASK, response_format={"type": "json_object"}), runtime))

        for back in (value, f'{{"answer": "{value}", "page": 3}}', f"- {value}.\n- Other"):
            assert not leaves(runtime, replace(ABOUT_CHAD, history=(turn(back),)))

    def test_what_a_tool_was_given_keeps_its_label_in_what_it_returns(self) -> None:
        runtime = restricted(Completion("", None, 5, tool_calls=(CALL,)))
        asyncio.run(answer(replace(ASK, tools=TOOLS), runtime))
        after = (
            Message("assistant", "", (replace(CALL, arguments="{}"),)),
            Message("tool", "Saved:\nThe seat is Lima", tool_call_id=CALL.id),
        )

        assert not leaves(runtime, replace(ABOUT_CHAD, after=after, tools=TOOLS))
        assert not leaves(runtime, replace(ABOUT_CHAD, question="The seat is Lima"))

    def test_the_text_of_a_citation_keeps_the_label_of_its_document(self) -> None:
        runtime = restricted("Lima [1].")
        given = asyncio.run(answer(ASK, runtime))
        [cited] = given.citations

        assert not leaves(runtime, replace(ABOUT_CHAD, history=(turn(cited.text),)))

    def test_a_short_title_of_a_document_is_a_word_of_many(self) -> None:
        runtime = restricted()
        chunks = runtime.plan(ASK).context.chunks

        assert {chunk.title for chunk in chunks} >= {"Peru"}
        assert leaves(runtime, replace(ABOUT_CHAD, question="Peru"))

    def test_the_text_of_a_preview_keeps_the_label_of_its_document(self) -> None:
        runtime = restricted()
        shown = runtime.plan(ASK).context.chunks[0].text

        assert not leaves(runtime, replace(ABOUT_CHAD, system=f"Background:\n{shown}"))

    def test_a_request_that_was_changed_is_looked_at_anew(self) -> None:
        runtime = restricted(SECRET)
        asyncio.run(answer(ASK, runtime))
        looked_at = runtime.recall.recognise(ABOUT_CHAD)

        assert looked_at.recognised is PUBLIC
        changed = replace(looked_at, question=SECRET)
        assert runtime.recall.recognise(changed).recognised is Sensitivity.RESTRICTED

    def test_what_an_answer_restates_of_the_caller_is_the_callers(self) -> None:
        system = (
            "You answer for the archive of the northern harbour, in a sentence with its sources."
        )
        runtime = restricted(f"<think>{system} So be it.</think>The seat is Lima, by the bay.")
        asyncio.run(answer(replace(ASK, system=system), runtime))

        assert leaves(runtime, replace(ABOUT_CHAD, system=system))
        history = (turn("The seat is Lima, by the bay."),)
        assert not leaves(runtime, replace(ABOUT_CHAD, system=system, history=history))

    def test_what_a_caller_said_under_a_label_keeps_it_in_an_answer(self) -> None:
        runtime = restricted(SECRET)
        ask = replace(ABOUT_CHAD, model="near", system=SECRET, sensitivity=Sensitivity.RESTRICTED)
        asyncio.run(answer(ask, runtime))

        assert not leaves(runtime, replace(ABOUT_CHAD, history=(turn(SECRET),)))

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
