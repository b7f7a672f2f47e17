"""Pure measures of excerpts by character ranges.

As in Smith and Troynikov, "Evaluating Chunking Strategies for Retrieval", Chroma, 2024,
<https://research.trychroma.com/evaluating-chunking>, whose own code counts characters, too. With
t_e the characters of all excerpts and t_r those of the retrieved chunks:

    recall = |t_e ∩ t_r| / |t_e|      precision = |t_e ∩ t_r| / |t_r|
    IoU    = |t_e ∩ t_r| / (|t_e| + |t_r| - |t_e ∩ t_r|)

A character that two chunks hold counts twice in |t_r|, and once in what is found. Precision omega
is the precision of all chunks that hold part of an excerpt: the best that a splitter allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from eval.questions import Span


@dataclass(frozen=True, slots=True)
class Coverage:
    """How well retrieved spans cover gold ones: shares from 0 to 1."""

    recall: float
    precision: float
    iou: float


def measure_coverage(gold: Sequence[Span], retrieved: Sequence[Span]) -> Coverage:
    """Return how well the retrieved spans cover the gold ones, of which there is at least one."""
    wanted = count_characters(gold)
    found = wanted - count_characters(_without(gold, retrieved))
    taken = sum(span.end - span.start for span in retrieved)
    return Coverage(
        recall=found / wanted,
        precision=found / taken if taken else 0.0,
        iou=found / (wanted + taken - found),
    )


def precision_omega(gold: Sequence[Span], chunks: Iterable[Span]) -> float:
    """Return how much of all chunks that hold part of the gold is gold, and gold that none holds.

    The chunks' characters count once here, wherever chunks overlap.
    """
    holding = [chunk for chunk in chunks if any(_overlap(chunk, span) for span in gold)]
    wanted = count_characters(gold)
    found = wanted - count_characters(_without(gold, holding))
    return found / (count_characters(holding) + wanted - found)


def covered(gold: Sequence[Span], retrieved: Sequence[Span]) -> bool:
    """Return whether every character of the gold spans is retrieved."""
    return not _without(gold, retrieved)


def count_characters(spans: Iterable[Span]) -> int:
    """Return the number of characters that stand in any of the spans."""
    total, document, reached = 0, "", 0
    for span in sorted(spans, key=lambda one: (one.document, one.start)):
        if span.document != document:
            document, reached = span.document, 0
        total += max(0, span.end - max(span.start, reached))
        reached = max(reached, span.end)
    return total


def _overlap(one: Span, other: Span) -> bool:
    return one.document == other.document and one.start < other.end and other.start < one.end


def _without(spans: Sequence[Span], taken: Iterable[Span]) -> list[Span]:
    """Return the parts of spans that are not taken."""
    left = [span for span in spans if span.start < span.end]
    for hole in taken:
        left = [part for span in left for part in _cut(span, hole)]
    return left


def _cut(span: Span, hole: Span) -> list[Span]:
    if not _overlap(span, hole):
        return [span]
    before = Span(span.document, span.start, hole.start)
    after = Span(span.document, hole.end, span.end)
    return [part for part in (before, after) if part.start < part.end]
