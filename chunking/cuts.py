"""Where a text may be cut: between lines and sentences, then ever harder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

from nupunkt import sent_spans

Span = tuple[int, int]
Cut = Callable[[str, int, int], list[Span]]
"""Parts the text between two places completely, white space included."""

_LINE_END = re.compile(r"\r\n?|\n")


def line_starts(text: str) -> list[int]:
    """Return where each line of a text begins, ended as CommonMark and Python take lines to be."""
    return [0, *(match.end() for match in _LINE_END.finditer(text))]


def line_spans(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the lines between two places that hold anything visible, without outer white space."""
    for line in text[start:end].split("\n"):
        visible = line.strip()
        if visible:
            # White space before it cannot hold its first character.
            begin = start + line.index(visible[0]) if visible is not line else start
            yield begin, begin + len(visible)
        start += len(line) + 1


def visible_spans(text: str, start: int, end: int, *, cut: Cut) -> Iterator[Span]:
    """Yield the parts of a cut that hold anything visible, without outer white space."""
    for left, right in cut(text, start, end):
        part = text[left:right]
        visible = part.strip()
        if visible:
            begin = left + part.index(visible[0])
            yield begin, begin + len(visible)


def boundaries(text: str) -> list[int]:
    """Return where a text may be cut without cutting a sentence or a line, first to last."""
    return [
        end
        for line in line_spans(text, 0, len(text))
        for _, end in visible_spans(text, *line, cut=_sentences)
        if end < len(text)
    ]


def _sentences(text: str, start: int, end: int) -> list[Span]:
    return [(start + left, start + right) for left, right in sent_spans(text[start:end])]


def _cut_after(pattern: str) -> Cut:
    compiled = re.compile(pattern)

    def spans(text: str, start: int, end: int) -> list[Span]:
        cuts = [start, *(match.end() for match in compiled.finditer(text, start, end)), end]
        return list(pairwise(cuts))

    return spans


def _halves(text: str, start: int, end: int) -> list[Span]:
    del text
    middle = (start + end) // 2
    return [(start, middle), (middle, end)]


CUTS: tuple[Cut, ...] = (
    _sentences,
    _cut_after(r"[;:]\s"),
    _cut_after(r",\s"),
    _cut_after(r"\s+"),
    _halves,
)
"""Where a text longer than one chunk is cut, mildest first."""
