"""Counts by OpenAI's encodings and its documented overheads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from chunking.counters.seams import adds_up, local_pattern
from chunking.counters.wire import longest_first, sendable, well_formed
from chunking.tokenizer_sources import load_tiktoken
from chunking.tokens import Message, TokenCounter, Tool

# OpenAI's cookbook, "How to count tokens with tiktoken", section 6: gpt-4o, gpt-4, gpt-3.5-turbo.
OPENAI_MESSAGE_TOKENS: Final = 3
OPENAI_REPLY_TOKENS: Final = 3

_CALL_TOKENS = 8
"""What a call of a tool adds to its name and arguments; nothing is documented: an estimate."""


@dataclass(frozen=True, slots=True)
class ToolOverheads:
    """What a server adds to the texts of a tool's schema.

    The numbers are those of OpenAI's cookbook, section 7; `tool` is 10 for gpt-4 and gpt-3.5-turbo.
    """

    tool: int = 7
    properties: int = 3
    property: int = 3
    choices: int = -3
    choice: int = 3
    all_tools: int = 12


_OVERHEADS: Mapping[str, ToolOverheads] = {"cl100k_base": ToolOverheads(tool=10)}
_SAID_BY_OVERHEADS = frozenset({"type", "description", "enum", "properties", "items", "required"})


class TiktokenCounter:
    """Counts by OpenAI's encodings and its documented overhead for each message and the reply.

    Exact for the models that OpenAI's cookbook names; for a model outside that list, or one that
    adds hidden reasoning, wrap it in an `EstimatedCounter`. Tools, calls and their results are
    counted by the cookbook's formula, which fits its own examples and is an estimate elsewhere.

    Attributes:
        name: `"tiktoken:ENCODING"`.
        identity: the name; tiktoken checks the digest of its files.
        exact: always true.
        exact_tools: always false.
        factor: always 1.
        additive: true for cl100k_base and o200k_base, see `seams`.
        control_tokens: the special tokens of the encoding, longest first; OpenAI's servers read
            them in a message as plain text, and so do the counts.
    """

    def __init__(
        self,
        encoding: str,
        *,
        message_tokens: int = OPENAI_MESSAGE_TOKENS,
        reply_tokens: int = OPENAI_REPLY_TOKENS,
    ) -> None:
        """Load an encoding from tiktoken's cache, LlamaIndex's copy of it, or OpenAI.

        Args:
            encoding: `o200k_base`, `cl100k_base` or another name that tiktoken knows.
            message_tokens: what the server adds to each message's role and content.
            reply_tokens: what the server adds once, to open the reply.

        Raises:
            DependencyMissing: `tiktoken` is not installed.
            TokenizerUnavailable: the encoding is unknown, or neither cached nor downloadable.
        """
        self._encoding: Final = load_tiktoken(encoding)
        self.name: Final = f"tiktoken:{encoding}"
        self.identity: Final = self.name
        self.exact: Final = True
        self.exact_tools: Final = False
        self.factor: Final = Fraction(1)
        self.control_tokens: Final = longest_first(self._encoding.special_tokens_set)
        self._message_tokens: Final = message_tokens
        self._reply_tokens: Final = reply_tokens
        self._overheads: Final = _OVERHEADS.get(encoding, ToolOverheads())
        pattern = self._encoding._pat_str  # tiktoken has no public name for it
        self.additive: Final = local_pattern(pattern) and adds_up(self.count)

    @property
    def base(self) -> TokenCounter:
        """Return itself: these counts are not raised."""
        return self

    def count(self, text: str) -> int:
        """Return the tokens of a bare text; special tokens in it count as plain text."""
        return len(self._encoding.encode(well_formed(text), disallowed_special=()))

    def count_messages(self, messages: Sequence[Message], *, tools: Sequence[Tool] = ()) -> int:
        """Return the prompt tokens of the request, overheads included."""
        turns = sum(map(self._turn, messages)) + self._reply_tokens
        if not tools:
            return turns
        return turns + sum(map(self._tool, tools)) + self._overheads.all_tools

    def _turn(self, message: Message) -> int:
        calls = sum(
            self.count(call.name) + self.count(call.arguments) + _CALL_TOKENS
            for call in message.tool_calls
        )
        texts = self.count(message.role) + self.count(message.content)
        return texts + calls + self._message_tokens

    def _tool(self, tool: Tool) -> int:
        described = (tool.description or "").removesuffix(".")
        schema = sendable(tool.parameters or {})
        return (
            self._overheads.tool
            + self.count(f"{tool.name}:{described}")
            + self._properties(schema.get("properties"))
        )

    def _properties(self, properties: Any) -> int:
        if not (isinstance(properties, dict) and properties):
            return 0
        each = sum(self._property(name, schema) for name, schema in properties.items())
        return self._overheads.properties + each

    def _property(self, name: str, schema: Any) -> int:
        if not isinstance(schema, dict):
            return self._overheads.property + self.count(f"{name}:{json.dumps(schema)}")
        kind, described = schema.get("type", ""), str(schema.get("description", ""))
        line = f"{name}:{kind}:{described.removesuffix('.')}"
        return (
            self._overheads.property
            + self.count(line)
            + self._choices(schema.get("enum"))
            + self._beyond_the_formula(schema)
        )

    def _choices(self, choices: Any) -> int:
        if not isinstance(choices, list):
            return 0
        each = sum(self.count(str(choice)) + self._overheads.choice for choice in choices)
        return self._overheads.choices + each

    def _beyond_the_formula(self, schema: Mapping[str, Any]) -> int:
        """Return the tokens of what the cookbook's examples do not have: nested and other schemas.

        Nested properties count as properties do, everything else as its JSON, which is too much
        rather than too little.
        """
        items = schema.get("items")
        nested = self._properties(schema.get("properties"))
        if isinstance(items, dict):
            nested += self._property("items", items)
        rest = {name: value for name, value in schema.items() if name not in _SAID_BY_OVERHEADS}
        return nested + (self.count(json.dumps(rest, ensure_ascii=False)) if rest else 0)
