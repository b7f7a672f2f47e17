"""Counts the lines of documents word by word, where the seams of a tokenizer allow it.

A word that was counted once need not be counted again, so that a corpus costs little more than its
vocabulary. Nothing is guessed: what the seams do not make exact is measured, see `measures`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Protocol

from chunking.cuts import Span
from chunking.measures import Measure, SeamedMeasure, Seams


class TextCounts(Protocol):
    """Counts texts, and knows how many tokens more they may have when they are joined."""

    @property
    def special(self) -> int:
        """Special tokens of every text."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each text, without special ones."""

    def joined(self, header: str, text: str, spans: Sequence[Span]) -> int | None:
        """Return the most tokens that a chunk has beside those of its spans, one by one.

        These are special tokens, the header's on a line above, and what joining makes more.

        Args:
            header: a text of its own.
            text: what the spans are taken from.
            spans: in order; each begins and ends with a visible character.

        Returns:
            None where only counting the whole chunk tells.
        """


def text_counts(measure: Measure) -> TextCounts:
    """Return the quickest counts that are those of a measure; they remember words, so keep them."""
    if isinstance(measure, SeamedMeasure) and measure.seams is not None:
        return _WORDS[measure.seams](measure)
    return MeasuredTexts(measure)


class MeasuredTexts:
    """Measures every text: right for every measure."""

    def __init__(self, measure: Measure) -> None:
        """Take a measure."""
        self._measure: Final = measure
        [self.special] = measure([""])

    def count(self, texts: Sequence[str]) -> list[int]:
        """See `TextCounts.count`."""
        return [count - self.special for count in self._measure(texts)] if texts else []

    def joined(self, header: str, text: str, spans: Sequence[Span]) -> int | None:  # noqa: ARG002
        """See `TextCounts.joined`: nothing is known."""
        return None


class _SummedTexts(ABC):
    """Adds up what was counted before, and what joining costs."""

    special: int

    @abstractmethod
    def count(self, texts: Sequence[str]) -> list[int]:
        """See `TextCounts.count`."""

    @abstractmethod
    def _joint(self, text: str, before: Span, after: Span) -> int | None:
        """Return how many tokens more two neighbours have at most when joined; None if unknown."""

    def joined(self, header: str, text: str, spans: Sequence[Span]) -> int | None:
        """See `TextCounts.joined`."""
        begin = len(header) + 1
        opening = f"{header}\n{text[spans[0][0]]}"
        joints = [self._joint(opening, (0, begin - 1), (begin, begin + 1))]
        joints += [self._joint(text, before, after) for before, after in pairwise(spans)]
        if None in joints:
            return None
        return self.special + self.count([header])[0] + sum(filter(None, joints))


class PartedWords(_SummedTexts):
    """Adds up what stands between white space, which counts nothing itself."""

    def __init__(self, measure: SeamedMeasure) -> None:
        """Take a measure whose seams are at white space."""
        self._words: Final = _Remembered(measure)
        [self.special] = measure([""])

    def count(self, texts: Sequence[str]) -> list[int]:
        """See `TextCounts.count`."""
        words = self._words.__getitem__
        return [sum(map(words, text.replace("\n", " ").split(" "))) for text in texts]

    def _joint(self, text: str, before: Span, after: Span) -> int | None:
        """Return 0 over spaces and line breaks."""
        gap = text[before[1] : after[0]]
        return 0 if gap and not gap.strip(" \n") else None


class SpacedWords(_SummedTexts):
    """Adds up words, each with the one space before it."""

    def __init__(self, measure: SeamedMeasure) -> None:
        """Take a measure whose seams are before spaces."""
        self._tokens: Final = measure.tokens
        self._first: Final = _Remembered(measure, visible_end=True)
        self._spaced: Final = _Remembered(measure, before=" ", visible_end=True)
        [self.special] = measure([""])

    def count(self, texts: Sequence[str]) -> list[int]:
        """See `TextCounts.count`."""
        return [self._sum(text) for text in texts]

    def _sum(self, text: str) -> int:
        first, space, others = text.partition(" ")
        try:
            if space:
                spaced = self._spaced.__getitem__
                return sum(map(spaced, others.split(" ")), self._first[first])
            return self._first[first]
        except _NoSeamError:
            return self._tokens(text)

    def _joint(self, text: str, before: Span, after: Span) -> int | None:
        """Return what a space or the white space before a line costs.

        Over a space, the first word behind it is another one. Over white space that ends in a line
        break, only the punctuation before it can change, and no token is shorter than one byte.
        """
        (_, end), (start, stop) = before, after
        gap = text[end:start]
        if gap == " ":
            word = text[start:stop].partition(" ")[0]
            try:
                return self._spaced[word] - self._first[word]
            except _NoSeamError:
                return None
        joins = text.startswith(_JOINS_LINE_ABOVE, start) or (end and text[end - 1].isspace())
        if joins or not gap.endswith("\n") or gap.strip():
            return None
        begin = end
        while begin and not (text[begin - 1].isalnum() or text[begin - 1].isspace()):
            begin -= 1
        return len(text[begin:start].encode("utf-8", "surrogatepass"))


_JOINS_LINE_ABOVE: Final = "/"
r"""At the beginning of a line, part of the token before: o200k_base takes ".\n/" as a whole."""

_WORDS: dict[Seams, type[PartedWords | SpacedWords]] = {
    "white space": PartedWords,
    "space": SpacedWords,
}


class _NoSeamError(KeyError):
    """A word ends with white space, which what follows may join."""


class _Remembered(dict[str, int]):
    """The tokens of words, counted when first asked for; threads may share them.

    The memory is bounded. A longer word is seldom seen again: a line of Chinese, an address.
    """

    MOST: Final = 200_000
    LONGEST: Final = 40

    def __init__(
        self, measure: SeamedMeasure, *, before: str = "", visible_end: bool = False
    ) -> None:
        """Count words behind `before`; where they need a visible end, raise for others."""
        super().__init__()
        self._tokens: Final = measure.tokens
        self._before: Final = before
        self._visible_end: Final = visible_end

    def __missing__(self, word: str) -> int:
        if self._visible_end and (not word or word[-1].isspace()):
            raise _NoSeamError(word)
        tokens = self._tokens(self._before + word)
        if len(word) <= self.LONGEST:
            if len(self) >= self.MOST:
                self.clear()
            self[word] = tokens
        return tokens
