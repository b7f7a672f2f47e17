"""LlamaIndex: response synthesizers `compact` (its default) and `simple_summarize`.

`get_response_synthesizer(llm=…, response_mode=…)` with the retrieved nodes, as in
https://developers.llamaindex.ai/python/framework/module_guides/deploying/query_engine/response_modes
The language model says its window and output size in its metadata, from which LlamaIndex makes its
`PromptHelper`; it is a chat model, so LlamaIndex takes its chat prompts. The default tokenizer is
tiktoken's for gpt-3.5-turbo; the right one is set as `Settings.tokenizer`, see
https://developers.llamaindex.ai/python/framework/module_guides/models/llms#a-note-on-tokenization
The sources listed are `response.source_nodes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from llama_index.core import Settings, get_response_synthesizer
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.llms import CustomLLM
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.utils import get_tokenizer
from pydantic import PrivateAttr

from scripts.prove.peers_cases import Case, Turn
from scripts.prove.peers_room import MODEL, Arm, Prompts, Room

REPLY: Final = (
    "The context gives the figures that the question asks for, each with the year of its estimate; "
    "where it gives none, this answer says so."
)
"""What the mock model answers; the refining prompts that follow carry it."""


class RecordingModel(CustomLLM):
    """A chat model that answers the same to everything and keeps what it was sent."""

    window: int
    output: int
    _prompts: list[tuple[Turn, ...]] = PrivateAttr(default_factory=list)

    @property
    def metadata(self) -> LLMMetadata:
        """What LlamaIndex makes its `PromptHelper` from."""
        return LLMMetadata(
            context_window=self.window,
            num_output=self.output,
            is_chat_model=True,
            model_name=MODEL,
        )

    @property
    def prompts(self) -> Prompts:
        """The messages of each call, in order."""
        return tuple(self._prompts)

    def chat(self, messages: Sequence[ChatMessage], **_: Any) -> ChatResponse:
        """Record the messages and return the one reply."""
        turns = (Turn(message.role.value, message.content or "") for message in messages)
        self._prompts.append(tuple(turns))
        return ChatResponse(message=ChatMessage(content=REPLY, role=MessageRole.ASSISTANT))

    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        """Refuse: a chat model is sent messages."""
        raise NotImplementedError

    def stream_complete(
        self, prompt: str, formatted: bool = False, **_: Any
    ) -> CompletionResponseGen:
        """Refuse, likewise."""
        raise NotImplementedError


def arms(room: Room) -> dict[str, Arm]:
    """Return both response modes, each with its default tokenizer and with the right one."""
    default = get_tokenizer()
    right = room.tokenizer.encode
    return {
        "llamaindex compact / default": _arm(room, ResponseMode.COMPACT, default),
        "llamaindex compact / mistral": _arm(room, ResponseMode.COMPACT, right),
        "llamaindex simple_summarize / default": _arm(room, ResponseMode.SIMPLE_SUMMARIZE, default),
        "llamaindex simple_summarize / mistral": _arm(room, ResponseMode.SIMPLE_SUMMARIZE, right),
    }


def _arm(room: Room, mode: ResponseMode, tokenizer: Any) -> Arm:
    def run(case: Case) -> tuple[Prompts, tuple[str, ...]]:
        Settings.tokenizer = tokenizer
        model = RecordingModel(window=room.window, output=room.output)
        synthesizer = get_response_synthesizer(llm=model, response_mode=mode)
        nodes = [
            NodeWithScore(node=TextNode(id_=source.id, text=source.content), score=1.0)
            for source in case.sources
        ]
        response = synthesizer.synthesize(case.question, nodes)
        return model.prompts, tuple(node.node.node_id for node in response.source_nodes)

    return run
