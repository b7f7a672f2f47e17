"""Tells which candidates repeat a better one, word for word or nearly so."""

from __future__ import annotations

from collections.abc import Sequence

from chunking.sketch import near_duplicates
from serve.context.report import Candidate


def find_duplicates(candidates: Sequence[Candidate]) -> dict[int, tuple[int, ...]]:
    """Return for the place of every repetition the places of what it repeats, best first.

    A repetition has the same breadcrumb and text as a better candidate, or nearly the same text
    under the same heading, see `near_duplicates`.
    """
    first: dict[tuple[str, tuple[str, ...], str], int] = {}
    sketched: dict[str, tuple[int, ...]] = {}
    found: dict[int, tuple[int, ...]] = {}
    for place, candidate in enumerate(candidates):
        chunk = candidate.chunk
        # A whole document whose text was not read yet is known by its id alone.
        known_by = chunk.text or chunk.id
        same = first.setdefault((chunk.title, chunk.path, known_by), place)
        repeated = [] if same == place else [same]
        alone = (place,)
        for key in candidate.sketch:
            alike = sketched.setdefault(key, alone)
            if alike is alone:
                continue
            sketched[key] = (*alike, place)
            repeated += [
                earlier
                for earlier in alike
                if earlier not in repeated and near_duplicates(candidates[earlier].chunk, chunk)
            ]
        if repeated:
            found[place] = tuple(sorted(repeated))
    return found
