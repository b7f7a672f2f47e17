"""Estimates for providers that publish no tokenizer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from chunking.errors import ConfigurationError
from chunking.tokens import Message, TokenCounter, Tool

# cl100k_base counts 19 % fewer tokens than Mistral on the World Factbook: 1 / 0.81, rounded up.
DEFAULT_ESTIMATE_FACTOR: Final = 1.25


class EstimatedCounter:
    """Counts by another model's tokenizer, raised by a factor, and says that it is an estimate.

    For providers that publish no tokenizer. Every count is rounded up.

    Attributes:
        name: `"estimated:BASE"`, with the factor after `estimated` unless it is the default one.
        identity: the base counter's: its counts are what is raised.
        exact: always false.
        exact_tools: always false.
        base: the counter whose counts are raised.
        factor: what they are multiplied by, exactly as the decimal digits say.
        additive: as the base counter is.
        control_tokens: those of the base counter.
    """

    def __init__(self, base: TokenCounter, *, factor: float = DEFAULT_ESTIMATE_FACTOR) -> None:
        """Wrap a counter.

        Args:
            base: the counter whose counts are raised.
            factor: what to multiply them by; at least 1, because an estimate must not overflow.

        Raises:
            ConfigurationError: the factor is below 1 or no finite number.
        """
        if not (math.isfinite(factor) and factor >= 1):
            raise ConfigurationError(
                f"an estimate needs a finite factor of at least 1, not {factor}",
                hint="take the largest ratio of the provider's usage to these counts",
            )
        own = "estimated" if factor == DEFAULT_ESTIMATE_FACTOR else f"estimated:{factor}"
        self.name: Final = f"{own}:{base.name}"
        self.exact: Final = False
        self.exact_tools: Final = False
        self.control_tokens: Final = base.control_tokens
        self.identity: Final = base.identity
        self.additive: Final = base.additive
        self.base: Final = base
        # Of the decimal digits: 10 tokens times 1.1 are 11, while the float product is above 11.
        self.factor: Final = Fraction(str(factor))

    def count(self, text: str) -> int:
        """Return the estimated tokens of a bare text."""
        return math.ceil(self.base.count(text) * self.factor)

    def count_messages(self, messages: Sequence[Message], *, tools: Sequence[Tool] = ()) -> int:
        """Return the estimated prompt tokens of the request."""
        return math.ceil(self.base.count_messages(messages, tools=tools) * self.factor)
