"""Token counting: chat messages and tools, and the protocols that count them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, Protocol

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool that a model asked for; `arguments` is the JSON text it wrote."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may ask the caller to run.

    Attributes:
        name: what the model calls it.
        description: what it does; None where the caller said nothing.
        parameters: its JSON schema; None where it takes none.
        strict: whether the arguments must follow the schema; None where the caller said nothing.
    """

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat request.

    Attributes:
        role: who speaks.
        content: the text; empty where an assistant turn holds tool calls only.
        tool_calls: what an assistant turn asks the caller to run.
        tool_call_id: in a tool turn, the call whose result this is.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


class TextCounter(Protocol):
    """Counts bare texts by one tokenizer."""

    @property
    def name(self) -> str:
        """The `"provider:model"` string of the tokenizer, shown in every report."""

    @property
    def identity(self) -> str:
        """A key that changes whenever the counts of texts could: stored counts are kept under it.

        An estimate has the key of its base, whose counts are what is stored.
        """

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """Texts that the server would read as control tokens inside a message."""

    @property
    def additive(self) -> bool:
        r"""Whether counts add up where the prompt begins a source or the question.

        That is at a line break before "[" or "Q": for all texts `a`, for all `b` that begin with
        one of the two, and `count` that of the base,
        `count(a + "\n" + b) == count(a + "\n[") + count("\n" + b) - count("\n[")`. A source `p`
        (from "[" to the line break before the next "[" or "Q") therefore adds
        `count("\n" + p + "[") - count("\n[")` wherever it stands, and the digits of its marker
        "[12] " cost the same whatever follows.
        """

    def count(self, text: str) -> int:
        """Return the tokens of a bare text, without template or special tokens."""


class TokenCounter(TextCounter, Protocol):
    """Counts text and whole chat requests the way one model's server counts them."""

    @property
    def exact(self) -> bool:
        """Whether `count_messages` equals the server's `usage.prompt_tokens`."""

    @property
    def exact_tools(self) -> bool:
        """Whether an exact count is exact, too, for requests with tools, calls or their results."""

    @property
    def base(self) -> TokenCounter:
        """The counter whose counts are multiplied by `factor`; itself unless it estimates."""

    @property
    def factor(self) -> Fraction:
        """What the counts of `base` are multiplied by and rounded up; 1 unless it estimates."""

    def count_messages(self, messages: Sequence[Message], *, tools: Sequence[Tool] = ()) -> int:
        """Return the prompt tokens of the request, template, tools and reply opening included."""


def counted_exactly(
    counter: TokenCounter, messages: Sequence[Message], *, tools: Sequence[Tool] = ()
) -> bool:
    """Return whether the counter's count of this request is exact."""
    tooled = bool(tools) or any(turn.tool_calls or turn.role == "tool" for turn in messages)
    return counter.exact and (counter.exact_tools or not tooled)
