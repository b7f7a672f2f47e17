"""Counts the lines of documents word by word, where the seams of a tokenizer allow it.

A word that was counted once need not be counted again, so that a corpus costs little more than its
vocabulary. Nothing is guessed: what the seams do not make exact is measured, see `measures`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
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


MOST_BYTES: Final = 8
"""Most bytes of a text for each of its tokens, as texts are split."""


class BoundedTexts:
    """Counts as other counts do, and no text as less than a token for every `MOST_BYTES` of it.

    Some measures hardly count what they cannot read: to BERT a word of unknown letters is one token
    however long it is, and so is one of over 100 letters. By such counts a page of Thai, of Khmer
    or of hexadecimal digits is a handful of tokens, and would be a single chunk that no prompt has
    room for. Text that a measure reads has more tokens than this: English about two in eight bytes.
    """

    def __init__(self, counts: TextCounts) -> None:
        """Take the counts to hold to."""
        self._counts: Final = counts
        self.special: Final = counts.special
        self.joined: Final = counts.joined

    def count(self, texts: Sequence[str]) -> list[int]:
        """See `TextCounts.count`."""
        counted = zip(self._counts.count(texts), texts, strict=True)
        return [max(tokens, byte_length(text) // MOST_BYTES) for tokens, text in counted]


def byte_length(text: str) -> int:
    """Return the bytes of a text in UTF-8; of a lone surrogate three."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


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
    """Adds up words that were counted before; threads may share it.

    The first word of a text is counted by itself, each later one as it stands behind a space.
    """

    def __init__(self, measure: SeamedMeasure) -> None:
        """Take a measure that says where its seams are."""
        self._measure: Final = measure
        self._first: Final = _Remembered(measure, self._ends)
        self._later: Final = _Remembered(measure, self._ends, before=" ")
        self._header = ("", 0)
        [self.special] = measure([""])

    @staticmethod
    @abstractmethod
    def _ends(word: str) -> bool:
        """Return whether there is a seam behind a word that a space follows."""

    @abstractmethod
    def _joint(self, text: str, end: int, start: int, stop: int) -> int | None:
        """Return how many tokens joining adds at most to spans that end and begin at these places.

        None where that is not known.
        """

    def count(self, texts: Sequence[str]) -> list[int]:
        """See `TextCounts.count`."""
        first, later = self._first.__getitem__, self._later.__getitem__
        tokens: list[int] = []
        for text in texts:
            head, space, others = text.partition(" ")
            try:
                tokens.append(
                    sum(map(later, others.split(" ")), first(head)) if space else first(head)
                )
            except _NoSeamError:
                tokens.append(self._measure([text])[0] - self.special)
        return tokens

    def joined(self, header: str, text: str, spans: Sequence[Span]) -> int | None:
        """See `TextCounts.joined`."""
        known = self._header  # another thread may put its own there
        if header != known[0]:
            known = self._header = header, self.count([header])[0]
        begin = len(header) + 1
        opening = f"{header}\n{text[spans[0][0]]}"
        more = self._joint(opening, begin - 1, begin, begin + 1)
        for (_, end), (start, stop) in pairwise(spans):
            joint = self._joint(text, end, start, stop)
            if joint is None or more is None:
                return None
            more += joint
        return None if more is None else self.special + known[1] + more


class PartedWords(_SummedTexts):
    """Adds up what stands between white space, which counts nothing itself."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """See `TextCounts.count`."""
        words = self._first.__getitem__
        return [sum(map(words, text.replace("\n", " ").split(" "))) for text in texts]

    @staticmethod
    def _ends(word: str) -> bool:  # noqa: ARG004
        return True

    def _joint(self, text: str, end: int, start: int, stop: int) -> int | None:  # noqa: ARG002
        gap = text[end:start]
        return 0 if gap in _GAPS or (gap and not gap.strip(" \n")) else None


class SpacedWords(_SummedTexts):
    """Adds up words, each with the one space before it."""

    @staticmethod
    def _ends(word: str) -> bool:
        return bool(word) and not word[-1].isspace()

    def _joint(self, text: str, end: int, start: int, stop: int) -> int | None:
        """Return what the space or the line break between the spans may add.

        Over a space, the first word behind it is another one. Over white space that ends in a line
        break, only the punctuation before it can change, and no token is shorter than a byte.
        """
        gap = text[end:start]
        if gap == " ":
            word = text[start:stop].partition(" ")[0]
            return self._later[word] - self._first[word] if self._ends(word) else None
        joins = text[start] == _JOINS_LINE_ABOVE or (end and text[end - 1].isspace())
        if joins or not (gap in _GAPS or (gap.endswith("\n") and gap.isspace())):
            return None
        begin = end
        while begin and not (text[begin - 1].isalnum() or text[begin - 1].isspace()):
            begin -= 1
        return byte_length(text[begin:start])


_GAPS: Final = frozenset({"\n", "\n\n"})
_JOINS_LINE_ABOVE: Final = "/"
r"""At the beginning of a line, part of the token before: o200k_base takes ".\n/" as a whole."""

_WORDS: dict[Seams, type[PartedWords | SpacedWords]] = {
    "white space": PartedWords,
    "space": SpacedWords,
}


class _NoSeamError(KeyError):
    """A word has no seam behind it: it ends with white space that may join what follows."""


class _Remembered(dict[str, int]):
    """The tokens of words, counted when first asked for; threads may share them.

    The memory is bounded. A longer word is seldom seen again: a line of Chinese, an address.
    """

    MOST: Final = 200_000
    LONGEST: Final = 40

    def __init__(
        self, measure: SeamedMeasure, ends: Callable[[str], bool], *, before: str = ""
    ) -> None:
        """Count words behind `before`; raise for one that does not end at a seam."""
        super().__init__()
        self._count: Final = measure.word
        self._ends: Final = ends
        self._before: Final = before

    def __missing__(self, word: str) -> int:
        if not self._ends(word):
            raise _NoSeamError(word)
        tokens = self._count(self._before + word)
        if len(word) <= self.LONGEST:
            if len(self) >= self.MOST:
                self.clear()
            self[word] = tokens
        return tokens
