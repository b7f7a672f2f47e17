"""A tokenizer in a few lines whose counts do not add up across a join, as those of BPE do not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from chunking.tokens import Message

_UNIT = re.compile(r"\s*\n\s*\n\s*|\d|[^\W\d_]+|[^\w\s]|_")
_SHORT = 3


@dataclass(frozen=True, slots=True)
class PairCounter:
    """Counts words, digits and marks, with two habits that make sums of parts wrong.

    A short word merges with the short word before it, across a line break too, so that a joined
    text has fewer tokens than its parts; a blank line costs a token inside of a text and nothing at
    its ends, so that a joined text has more.
    """

    name: str = "pairs:v1"
    exact: bool = True
    control_tokens: tuple[str, ...] = ("<|im_start|>", "<|im_end|>", "[INST]", "[/INST]", "</s>")

    def count(self, text: str) -> int:
        """See `TokenCounter.count`."""
        tokens, open_pair = 0, False
        for unit in _UNIT.findall(text.strip()):
            short = unit.isalpha() and len(unit) <= _SHORT
            if short and open_pair:
                open_pair = False
                continue
            tokens += 1
            open_pair = short
        return tokens

    def count_messages(self, messages: Sequence[Message]) -> int:
        """See `TokenCounter.count_messages`: two marks a turn, and one for the reply."""
        return sum(2 + self.count(message.content) for message in messages) + 1
