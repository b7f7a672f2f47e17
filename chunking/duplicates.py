"""Tells which chunks repeat a better one, word for word or nearly so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from chunking.document import Chunk
from chunking.sketch import Sketch, Wording, heading_words, near_duplicates


class Ranked(Protocol):
    """A chunk in an order of priority, and what tells repetitions of it."""

    @property
    def chunk(self) -> Chunk:
        """The chunk."""

    @property
    def sketch(self) -> Sketch:
        """Its keys, see `sketch_of`."""

    @property
    def origin(self) -> str:
        """The id of the document whose bytes the chunk's document repeats; empty if none."""


def find_duplicates(ranked: Sequence[Ranked]) -> dict[int, tuple[int, ...]]:
    """Return for the place of every repetition the places of what it repeats, best first.

    A repetition has the same breadcrumb and text as a better chunk, or nearly the same text under
    the same heading, see `near_duplicates`; or it is that text in another copy of one document,
    whatever the copy is called.
    """
    first: dict[tuple[str, tuple[str, ...], str], int] = {}
    texts: dict[str, int] = {}
    numbered: dict[tuple[tuple[str, ...], str], int] = {}
    copied: dict[tuple[str, tuple[str, ...], str], int] = {}
    sketched: dict[str, tuple[int, ...]] = {}
    wordings: dict[int, Wording] = {}
    found: dict[int, tuple[int, ...]] = {}
    for place, one in enumerate(ranked):
        chunk = one.chunk
        # A whole document whose text was not read yet is known by its id alone.
        known_by = chunk.text or chunk.id
        same = first.setdefault((chunk.title, chunk.path, known_by), place)
        if same == place and one.sketch:
            # Titles that differ in digits alone are then as good as equal. They are taken apart
            # for the second chunk of one text, since most texts stand there once.
            alone = texts.setdefault(known_by, place)
            if alone != place:
                numbered.setdefault((heading_words(ranked[alone].chunk), known_by), alone)
                same = numbered.setdefault((heading_words(chunk), known_by), place)
        if same == place and one.origin:
            same = copied.setdefault((one.origin, chunk.path, known_by), place)
        repeated = [] if same == place else [same]
        alike: dict[int, None] = {}
        if not sketched.keys().isdisjoint(one.sketch):
            alike = dict.fromkeys(
                earlier for key in one.sketch for earlier in sketched.get(key, ())
            )
            wordings[place] = Wording.of(chunk)
        for earlier in alike:
            if earlier not in wordings:
                wordings[earlier] = Wording.of(ranked[earlier].chunk)
            if earlier != same and near_duplicates(wordings[earlier], wordings[place]):
                repeated.append(earlier)
        if same == place:
            # What repeats a text word for word is found by that; many copies cost no more.
            for key in one.sketch:
                sketched[key] = (*sketched.get(key, ()), place)
        if repeated:
            found[place] = tuple(sorted(repeated))
    return found
