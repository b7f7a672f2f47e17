r"""Measures of texts in tokens, and what is known of where their counts add up.

Where a tokenizer never joins what stands on two sides of a place in a text, the count of the text
is the sum of the counts of both sides: the place is a seam. A measure that knows the seams of its
tokenizer makes splitting many times faster, because a word that was counted once need not be
counted again, see `words`. There are two kinds of them:

- `"white space"`: at every space and line break, which count nothing. So it is where a tokenizer
  parts words at white space before anything else: WordPiece, as BERT uses it. Its normalizer looks
  at one character at a time and at the combining marks after it, which a space parts, too.
- `"space"`: before a space that follows a visible character. So it is where a pattern parts texts
  whose every alternative holds a space behind a visible character, or a visible character behind a
  line break, at most as its first sign, and never looks back: those of GPT-2, cl100k_base,
  o200k_base, Llama 3, Qwen and tekken. A line break is no seam: ".\n" is one token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Literal, Protocol, runtime_checkable

from chunking.counters.seams import local_pattern

if TYPE_CHECKING:
    import tiktoken

Measure = Callable[[Sequence[str]], list[int]]
"""Counts the tokens of each text, special tokens included; an embedder's `count_tokens`."""

Seams = Literal["white space", "space"]
"""Where the counts of a measure add up, see above."""


@runtime_checkable
class SeamedMeasure(Protocol):
    """A measure that says where its counts add up."""

    @property
    def seams(self) -> Seams | None:
        """Where the counts add up, for all texts; None where that is not known."""

    def __call__(self, texts: Sequence[str], /) -> list[int]:
        """Return the tokens of each text, special tokens included."""

    def word(self, word: str) -> int:
        """Return the tokens of what stands between two seams, without special tokens."""


class TiktokenMeasure:
    """Measures by an encoding of tiktoken; special tokens in a text count as plain text.

    Attributes:
        encoding: what counts.
        seams: where the counts add up, read from the pattern of the encoding.
    """

    def __init__(self, encoding: tiktoken.Encoding) -> None:
        """Take an encoding."""
        self.encoding: Final = encoding
        self._encode: Final = encoding.encode_ordinary
        pattern = encoding._pat_str  # tiktoken has no public name for it
        self.seams: Final[Seams | None] = "space" if local_pattern(pattern) else None

    def __call__(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each text."""
        return list(map(len, map(self._encode, texts)))

    def word(self, word: str) -> int:
        """See `SeamedMeasure.word`."""
        return len(self._encode(word))
