"""Token counting: the protocol, and counters for Mistral, Hugging Face and tiktoken tokenizers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat request."""

    role: Role
    content: str


class TokenCounter(Protocol):
    """Counts text and whole chat requests the way one model's server counts them."""

    @property
    def name(self) -> str:
        """The `"provider:model"` string of the tokenizer, shown in every report."""

    @property
    def exact(self) -> bool:
        """Whether `count_messages` equals the server's `usage.prompt_tokens`."""

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """Texts that the server would read as control tokens inside a message."""

    def count(self, text: str) -> int:
        """Return the tokens of a bare text, without template or special tokens."""

    def count_messages(self, messages: Sequence[Message]) -> int:
        """Return the prompt tokens of the request, template and generation prompt included."""
