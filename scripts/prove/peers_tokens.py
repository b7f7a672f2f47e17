"""Mistral's own count of a prompt: `mistral-common`, full chat template, no Windowfit between.

The suite measures every arm with it, and gives it to the peers as "the right tokenizer".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from scripts.prove.peers_cases import Turn


class Tokenizer(Protocol):
    """What a peer may be given to count with."""

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a bare text."""

    def count(self, turns: Sequence[Turn]) -> int:
        """Return the prompt tokens of a conversation, template included."""


class MistralTokenizer:
    """Mistral 7B Instruct v0.3, as vLLM's Mistral mode and Mistral's API tokenise it."""

    def __init__(self) -> None:
        """Load the tokenizer from inside the package."""
        from mistral_common.protocol.instruct.request import ChatCompletionRequest
        from mistral_common.tokens.tokenizers import mistral

        self._chat: Final = mistral.MistralTokenizer.v3()
        self._text: Final = self._chat.instruct_tokenizer.tokenizer
        self._request: Final[Any] = ChatCompletionRequest

    def encode(self, text: str) -> list[int]:
        """See `Tokenizer.encode`."""
        return list(self._text.encode(text, bos=False, eos=False))

    def count(self, turns: Sequence[Turn]) -> int:
        """See `Tokenizer.count`; the template joins turns of one role in a row."""
        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        request = self._request.model_validate({"messages": messages})
        return len(self._chat.encode_chat_completion(request).tokens)

    def count_any(self, turns: Sequence[Turn]) -> int:
        """Return the count of turns in an order that is no conversation: part of one, or reversed.

        Libraries that trim count single messages and reversed lists, which the template refuses.
        """
        if not turns:
            return 0
        system = [turn for turn in turns if turn.role == "system"]
        others = [turn for turn in turns if turn.role != "system"]
        return self.count([*system, *(others or [Turn("user", "")])])
