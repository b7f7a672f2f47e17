"""A tokenizer in a few lines whose counts do not add up across a join, as those of BPE do not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from chunking.tokens import Message, TokenCounter, Tool

_UNIT = re.compile(r"(\s*\n\s*\n\s*)|(\b[^\W\d_]{1,3}\b)|\d|[^\W\d_]+|([^\w\s]|_)")
_KINDS = ("blank", "short", "mark")


@dataclass(frozen=True, slots=True)
class PairCounter:
    """Counts words, digits and marks, with three habits that make sums of parts wrong.

    A blank line costs a token inside of a text and nothing at its ends, so that a joined text has
    more tokens than its parts. A short word merges with the short word before it, across a line
    break too, and a mark with the blank line and the mark before it, so that it has fewer.
    """

    name: str = "pairs:v1"
    identity: str = "pairs:v1"
    exact: bool = True
    exact_tools: bool = True
    factor: Fraction = Fraction(1)
    additive: bool = False
    control_tokens: tuple[str, ...] = ("<|im_start|>", "<|im_end|>", "[INST]", "[/INST]", "</s>")

    @property
    def base(self) -> TokenCounter:
        """See `TokenCounter.base`."""
        return self

    def count(self, text: str) -> int:
        """See `TokenCounter.count`."""
        tokens, before, after_blank = 0, "", False
        for match in _UNIT.finditer(text.strip()):
            kind = _KINDS[match.lastindex - 1] if match.lastindex else "plain"
            if kind == "blank":
                tokens, after_blank = tokens + 1, True
                continue
            if kind == before == "short":
                before = ""
            elif kind == before == "mark" and after_blank:
                tokens, before = tokens - 1, ""
            else:
                tokens, before = tokens + 1, kind
            after_blank = False
        return tokens

    def count_messages(self, messages: Sequence[Message], *, tools: Sequence[Tool] = ()) -> int:
        """See `TokenCounter.count_messages`: two for each turn and tool, and one for the reply."""
        texts = [message.content for message in messages]
        texts += [f"{call.name} {call.arguments}" for turn in messages for call in turn.tool_calls]
        texts += [f"{tool.name} {tool.description} {tool.parameters}" for tool in tools]
        return sum(2 + self.count(text) for text in texts) + 1
