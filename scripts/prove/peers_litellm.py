"""LiteLLM: `trim_messages`, and its `token_counter` in a caller's own loop.

- `trim_messages(messages, model, max_tokens=…)`, as in
  https://docs.litellm.ai/docs/completion/message_trimming, keeps the newest messages and shortens
  the first that does not fit. `max_tokens` must be given: for a model outside LiteLLM's price list,
  as any model served locally is, it would return the messages untouched. It takes no tokenizer.
- `token_counter(model, messages, custom_tokenizer=…)`, as in
  https://docs.litellm.ai/docs/completion/token_usage, counts and trims nothing: a loop adds
  candidates, best first, until the count passes the limit. For models without a tokenizer of
  their own it counts with tiktoken; the right one is handed over as `custom_tokenizer`, where
  LiteLLM asks for a Hugging Face tokenizer and calls the one method that the adapter has.

Neither lists any sources.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pkgutil import resolve_name
from typing import Any, Final

from scripts.prove.peers_cases import SYSTEM, Case, Turn, stacked
from scripts.prove.peers_room import MODEL, Arm, Prompts, Room

_MODEL: Final = f"hosted_vllm/{MODEL}"
_Payload = list[dict[str, str]]


class TokenizerAdapter:
    """The right tokenizer with the face of a `tokenizers.Tokenizer`, as LiteLLM calls it."""

    def __init__(self, room: Room) -> None:
        """Encode with the room's tokenizer."""
        self._room: Final = room

    def encode_batch_fast(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each text."""
        return [self._room.tokenizer.encode(text) for text in texts]


def arms(room: Room) -> dict[str, Arm]:
    """Return trimming, and counting with the default tokenizer and with the right one."""
    count = resolve_name("litellm:token_counter")
    right = {"type": "huggingface_tokenizer", "tokenizer": TokenizerAdapter(room)}

    def count_default(messages: _Payload) -> int:
        return int(count(model=_MODEL, messages=messages))

    def count_right(messages: _Payload) -> int:
        return int(count(model=_MODEL, messages=messages, custom_tokenizer=right))

    return {
        "litellm trim_messages / default": _trimming_arm(room),
        "litellm token_counter / default": _counting_arm(room, count_default),
        "litellm token_counter / mistral": _counting_arm(room, count_right),
    }


def _trimming_arm(room: Room) -> Arm:
    trim = resolve_name("litellm.utils:trim_messages")

    def run(case: Case) -> tuple[Prompts, None]:
        messages: Any = trim(_payload(stacked(case)), _MODEL, max_tokens=room.prompt_limit)
        return (tuple(Turn(turn["role"], turn["content"]) for turn in messages),), None

    return run


def _counting_arm(room: Room, count: Callable[[_Payload], int]) -> Arm:
    def run(case: Case) -> tuple[Prompts, None]:
        fitting = _prompt(case, 0)
        for size in range(1, len(case.sources) + 1):
            longer = _prompt(case, size)
            if count(_payload(longer)) > room.prompt_limit:
                break
            fitting = longer
        return (fitting,), None

    return run


def _prompt(case: Case, size: int) -> tuple[Turn, ...]:
    context = "\n\n".join(source.content for source in case.sources[:size])
    return Turn("system", SYSTEM), Turn("user", f"{context}\n\nQuestion: {case.question}")


def _payload(turns: Sequence[Turn]) -> _Payload:
    return [{"role": turn.role, "content": turn.content} for turn in turns]
