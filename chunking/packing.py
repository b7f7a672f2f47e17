"""Packs the lines of a document into chunks: whole sections, whole blocks, or what of them fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple

Headings = tuple[str, ...]

FULL_SHARE: Final = 0.6
"""A chunk less full than this share is filled with part of a block that does not fit as a whole."""


class Unit(NamedTuple):
    """The smallest piece that packing moves: a line, or a part of a line too long for one chunk.

    Attributes:
        group: ordinal of the run of sections under one outermost heading that it stands in.
        block, part, columns: see `blocks.Line`; `columns` shortened where they would fill a chunk.
        above: tokens that `columns` add to a breadcrumb.
    """

    start: int
    end: int
    path: Headings
    tokens: int
    group: int
    block: int = 0
    part: int = 0
    columns: str = ""
    above: int = 0


_LEVELS: Final = (attrgetter("path"), attrgetter("block"), attrgetter("part"), attrgetter("start"))
"""What neighbouring units have in common that stay together where they fit, widest first."""


def pack(units: Sequence[Unit], room: int) -> Iterator[Sequence[Unit]]:
    """Yield neighbouring units as chunks of at most `room` tokens, together where that fits.

    A chunk that begins with rows below the names of their columns holds nothing else.
    """
    packed: list[Unit] = []
    used = 0
    runs = [(run, 0) for run in reversed(_runs(units, 0))]
    while runs:
        run, level = runs.pop()
        tokens = sum([unit.tokens for unit in run])
        apart = bool(packed) and bool(packed[0].columns) and run[0].columns != packed[0].columns
        if packed and not apart and used + tokens <= room:
            packed += run
            used += tokens
            continue
        whole = run[0].above + tokens <= room or level == len(_LEVELS) - 1
        if whole and (
            apart or not packed or not level or used >= room * FULL_SHARE or len(run) == 1
        ):
            if packed:
                yield packed
            packed, used = [*run], run[0].above + tokens
        else:
            runs += [(part, level + 1) for part in reversed(_runs(run, level + 1))]
    if packed:
        yield packed


def _runs(units: Sequence[Unit], level: int) -> list[list[Unit]]:
    return [list(run) for _, run in groupby(units, key=_LEVELS[level])]
