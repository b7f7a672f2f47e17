"""Labels of turns: what was asked and answered here keeps its label when it comes back."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from chunking.sensitivity import Sensitivity
from chunking.tokens import Message
from serve.answer import Answer, answer, stream_answer
from serve.answered import AnsweredLabels
from serve.backends.scripted import ScriptedBackend
from serve.errors import PolicyNoRoute, UpstreamTimeout
from serve.plan import Ask, Plan
from tests.routes import ASK, labelled, routed_runtime
from tests.serving import CHAD, PERU

ABOUT_CHAD = Ask("What is the capital of Chad?", "small", "far", where={"title": ("Chad",)})


def turn(text: str) -> Message:
    return Message("assistant", text)


def test_a_turn_has_the_highest_label_it_was_given() -> None:
    labels = AnsweredLabels()
    labels.note("Lima.", Sensitivity.RESTRICTED)
    labels.note(" Lima.\n", Sensitivity.PUBLIC)

    assert list(labels.labels_in([turn("Lima."), turn("Sucre.")])) == [Sensitivity.RESTRICTED]


def test_a_turn_without_text_has_none() -> None:
    labels = AnsweredLabels()
    labels.note(" ", Sensitivity.RESTRICTED)

    assert list(labels.labels_in([turn(""), turn(" ")])) == []


def test_the_oldest_are_forgotten_first() -> None:
    labels = AnsweredLabels(limit=2)
    for text in ("a", "b", "a", "c"):
        labels.note(text, Sensitivity.INTERNAL)

    assert [bool([*labels.labels_in([turn(text)])]) for text in "abc"] == [True, False, True]


def test_a_caller_that_never_routes_keeps_the_labels_of_turns_too() -> None:
    runtime = routed_runtime(
        {"near": ScriptedBackend(["The seat is Lima [1]."])},
        documents=(*labelled("restricted", PERU), CHAD),
    )
    given = asyncio.run(answer(ASK, runtime))

    with pytest.raises(PolicyNoRoute):
        asyncio.run(answer(replace(ABOUT_CHAD, history=(turn(given.text),)), runtime))


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
