"""LangChain: `trim_messages`, which keeps the newest messages that fit.

    trim_messages(messages, max_tokens=…, strategy="last", token_counter=…, start_on="human",
                  include_system=True)

These are the arguments that its reference recommends for a history that goes to a chat model:
https://reference.langchain.com/python/langchain-core/messages/utils/trim_messages
`token_counter` has no default; "approximate" is the one the reference recommends where no model is
given, the right tokenizer comes as a function over messages. Each candidate is a message of its
own, the best next to the question, so that what is trimmed is the worst. `trim_messages` returns
messages and lists no sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from pkgutil import resolve_name
from typing import Any

from scripts.prove.peers_cases import Case, Turn, stacked
from scripts.prove.peers_room import Arm, Prompts, Room

_ROLES = {"system": "system", "human": "user", "ai": "assistant"}


def arms(room: Room) -> dict[str, Arm]:
    """Return the recommended approximate counter, and the right one."""

    def count(messages: Sequence[Any]) -> int:
        return room.tokenizer.count_any(_turns(messages))

    return {
        "langchain trim_messages / default": _arm(room, "approximate"),
        "langchain trim_messages / mistral": _arm(room, count),
    }


def _arm(room: Room, token_counter: Any) -> Arm:
    trim = resolve_name("langchain_core.messages:trim_messages")
    kinds = {
        "system": resolve_name("langchain_core.messages:SystemMessage"),
        "user": resolve_name("langchain_core.messages:HumanMessage"),
    }

    def run(case: Case) -> tuple[Prompts, None]:
        trimmed = trim(
            [kinds[turn.role](turn.content) for turn in stacked(case)],
            max_tokens=room.prompt_limit,
            strategy="last",
            token_counter=token_counter,
            start_on="human",
            include_system=True,
        )
        return (tuple(_turns(trimmed)),), None

    return run


def _turns(messages: Sequence[Any]) -> list[Turn]:
    return [Turn(_ROLES[message.type], str(message.content)) for message in messages]
