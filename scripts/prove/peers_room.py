"""What an arm of a peer is told about the model it fits prompts for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from scripts.prove.peers_cases import Case, Turn
from scripts.prove.peers_tokens import MistralTokenizer

MODEL: Final = "mistralai/Mistral-7B-Instruct-v0.3"

Prompts = tuple[tuple[Turn, ...], ...]
Arm = Callable[[Case], tuple[Prompts, tuple[str, ...] | None]]
"""Returns the messages of each call, and the ids of the sources that the answer lists, if any."""


@dataclass(frozen=True, slots=True)
class Room:
    """A window, the part of it that is kept for the answer, and the model's true tokenizer."""

    window: int
    output: int
    tokenizer: MistralTokenizer

    @property
    def prompt_limit(self) -> int:
        """Most tokens of a prompt."""
        return self.window - self.output
