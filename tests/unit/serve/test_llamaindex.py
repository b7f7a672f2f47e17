"""What LlamaIndex sends after our postprocessor is what its report counts, and it fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
)
from llama_index.core.llms import CustomLLM
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from pydantic import PrivateAttr

from chunking.errors import ContextLengthExceeded, InputError
from chunking.sensitivity import Sensitivity
from chunking.tokens import Message, Role
from serve.errors import ModelUnapproved
from serve.llamaindex import WindowPostprocessor
from serve.review import PENDING
from tests.pair_counter import PairCounter
from tests.serving import profile

COUNTER = PairCounter()
QUESTION = "What does Chad export?"
WINDOW = 600
ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}


class RecordingModel(CustomLLM):
    """Answers nothing and keeps what it was sent."""

    _sent: list[tuple[Message, ...]] = PrivateAttr(default_factory=list)

    @property
    def sent(self) -> list[tuple[Message, ...]]:
        return self._sent

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(context_window=1_000_000, num_output=8, is_chat_model=True)

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        del kwargs
        self._sent.append(tuple(Message(ROLES[m.role.value], m.content or "") for m in messages))
        return ChatResponse(message=ChatMessage(content="Oil.", role="assistant"))

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        raise NotImplementedError

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        raise NotImplementedError


def postprocessor(window: int = WINDOW, output: int = 50) -> WindowPostprocessor:
    return WindowPostprocessor(replace(profile(), window=window), COUNTER, output=output)


def nodes(texts: Sequence[str]) -> list[NodeWithScore]:
    return [
        NodeWithScore(node=TextNode(id_=f"n{place}", text=text), score=1 - place / 100)
        for place, text in enumerate(texts)
    ]


@given(texts=st.lists(st.text("ab {}\n.", max_size=300), max_size=12))
def test_every_node_has_one_fate_and_the_parts_sum_to_the_window(texts: list[str]) -> None:
    used = postprocessor(window=800)
    given_nodes = nodes(texts)
    kept = used.postprocess_nodes(given_nodes, query_str=QUESTION)
    report = used.last_report
    assert [entry.chunk for entry in report.entries] == [one.node.node_id for one in given_nodes]
    assert [one.node.node_id for one in kept] == [
        entry.chunk for entry in report.entries if entry.fate == "kept"
    ]
    assert report.segments.total == report.prompt_tokens
    assert report.prompt_tokens + report.reserved_output + report.free == report.window
    assert report.free >= 0
    assert report.truncated == any(e.reason == "over_budget" for e in report.entries)


def test_what_llamaindex_sends_is_what_the_report_counts() -> None:
    used, model = postprocessor(), RecordingModel()
    texts = [f"Fact {n}: " + "oil, copper and cotton; " * 9 * n for n in range(9)]
    kept = used.postprocess_nodes(nodes(texts), QueryBundle(QUESTION))
    assert 0 < len(kept) < len(texts)

    synthesizer = get_response_synthesizer(llm=model, response_mode="compact")  # type: ignore[arg-type]
    synthesizer.synthesize(QUESTION, kept)

    [messages] = model.sent
    assert COUNTER.count_messages(messages) == used.last_report.prompt_tokens


def test_a_node_that_does_not_fit_is_skipped_and_the_next_is_tried() -> None:
    used = postprocessor()
    kept = used.postprocess_nodes(nodes(["short", "x y " * 900, "brief"]), query_str=QUESTION)
    assert [one.node.node_id for one in kept] == ["n0", "n2"]
    assert [entry.fate for entry in used.last_report.entries] == ["kept", "dropped", "kept"]
    assert used.last_report.truncated


def test_a_repetition_names_what_it_repeats() -> None:
    used = postprocessor()
    twice = nodes(["Oil.", "Oil."])
    for one in twice:
        one.node.metadata["title"] = "Chad"
    assert len(used.postprocess_nodes(twice, query_str=QUESTION)) == 1
    entry = used.last_report.entries[1]
    assert (entry.fate, entry.duplicate_of) == ("duplicate", "n0")
    assert not used.last_report.truncated


def test_without_a_question_nothing_is_planned() -> None:
    used = postprocessor()
    with pytest.raises(InputError, match="the question is missing"):
        used.postprocess_nodes(nodes(["Oil."]))
    with pytest.raises(InputError, match="nothing was processed yet"):
        _ = used.last_report


def test_a_window_too_small_for_question_and_answer_is_refused() -> None:
    with pytest.raises(ContextLengthExceeded, match=r"window 60 < prompt \d+ \+ answer 50"):
        postprocessor(window=60).postprocess_nodes(nodes(["Oil."]), query_str=QUESTION)


class TestLabels:
    """LlamaIndex calls the model itself, so this is the last door that its nodes pass."""

    @staticmethod
    def labelled(*given: tuple[str, str]) -> list[NodeWithScore]:
        made = nodes([text for text, _ in given])
        for one, (_, label) in zip(made, given, strict=True):
            one.node.metadata["title"] = "Chad"
            one.node.metadata["sensitivity"] = label
            one.node.excluded_llm_metadata_keys = ["sensitivity"]
        return made

    @staticmethod
    def cloud(limit: Sensitivity = Sensitivity.INTERNAL) -> WindowPostprocessor:
        far = replace(profile(), window=WINDOW, place="cloud")
        return WindowPostprocessor(far, COUNTER, output=50, cloud_limit=limit)

    MIXED = (("Oil.", "restricted"), ("Cotton.", "internal"), ("Gold.", "confidential"))

    @pytest.mark.parametrize(
        ("limit", "kept"),
        [("public", []), ("internal", ["n1"]), ("confidential", ["n1", "n2"])],
    )
    def test_a_cloud_is_shown_nothing_above_its_limit(self, limit: str, kept: list[str]) -> None:
        used = self.cloud(Sensitivity(limit))

        shown = used.postprocess_nodes(self.labelled(*self.MIXED), query_str=QUESTION)

        assert [one.node.node_id for one in shown] == kept
        left_out = [one for one in used.last_report.entries if one.chunk not in kept]
        assert {(one.fate, one.reason) for one in left_out} == {("dropped", "policy")}
        assert not used.last_report.truncated

    @pytest.mark.parametrize("limit", list(Sensitivity))
    def test_no_limit_lets_restricted_text_leave(self, limit: Sensitivity) -> None:
        given_nodes = self.labelled(("Oil.", "restricted"), ("Tin.", "who knows"))
        assert self.cloud(limit).postprocess_nodes(given_nodes, query_str=QUESTION) == []

    @pytest.mark.parametrize("order", [("internal", "restricted"), ("restricted", "internal")])
    def test_one_text_under_two_labels_is_the_higher_ones(self, order: tuple[str, str]) -> None:
        twice = self.labelled(*(("Oil is found there.", label) for label in order))
        assert self.cloud().postprocess_nodes(twice, query_str=QUESTION) == []

    def test_a_local_model_is_shown_all_and_the_record_holds_the_highest_label(self) -> None:
        used = postprocessor()

        kept = used.postprocess_nodes(self.labelled(*self.MIXED), query_str=QUESTION)

        assert len(kept) == len(self.MIXED)
        inputs = used.last_report.route.inputs
        assert inputs is not None
        assert inputs.context_sensitivity is Sensitivity.RESTRICTED

    def test_a_model_without_an_approved_review_is_shown_nothing(self) -> None:
        with pytest.raises(ModelUnapproved, match="nobody has reviewed it"):
            WindowPostprocessor(replace(profile(), review=PENDING), COUNTER)
