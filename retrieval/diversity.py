"""Keeps repetitions and old editions from standing before what is new; touches nothing."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from chunking.duplicates import find_duplicates
from chunking.sketch import NEAR
from retrieval.records import Hit

_DIGITS = re.compile(r"\d+")
_WORD = re.compile(r"\w+")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")


def arrange(question: str, hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits, new editions before old ones and repetitions last; none is lost."""
    distinct, repeated = part_repetitions(latest_first(question, hits))
    return [*distinct, *repeated]


def part_repetitions(hits: Sequence[Hit]) -> tuple[list[Hit], list[Hit]]:
    """Return the hits that repeat no better one, and those that do; see `find_duplicates`.

    Put behind the others, copies of one text do not take the places of other texts, and those that
    stay among the candidates have their entry in the report.
    """
    repeated = find_duplicates(hits)
    distinct = [hit for place, hit in enumerate(hits) if place not in repeated]
    return distinct, [hits[place] for place in repeated]


def latest_first(question: str, hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits; those that are editions of one text share their places, the latest first.

    Editions stand in different documents, or under headings with different years. Their headings
    differ in years alone, "Apollo 11" and "Apollo 17" are none; their texts differ in numbers, and
    in up to one word in ten. The year of an edition is the latest in its headings, or
    else in its text. A question with a year of its own has its order left.
    """
    arranged = list(hits)
    if _YEAR.search(question):
        return arranged
    groups = defaultdict[str, list[int]](list)
    for place, hit in enumerate(hits):
        groups[_YEAR.sub("", hit.chunk.breadcrumb)].append(place)
    for places in groups.values():
        if len(places) > 1 and _may_be_editions([hits[place] for place in places]):
            for editions in _editions(hits, places):
                latest = sorted(editions, key=lambda place: -_year(hits[place]))
                for place, source in zip(editions, latest, strict=True):
                    arranged[place] = hits[source]
    return arranged


def _may_be_editions(hits: Sequence[Hit]) -> bool:
    """Return whether hits under the same headings, but for numbers, are not parts of one text."""
    if len({hit.chunk.document for hit in hits}) > 1:
        return True
    paths = {hit.chunk.path for hit in hits}
    return len(paths) > 1 and all(map(_YEAR.search, map(" ".join, paths)))


def _editions(hits: Sequence[Hit], places: Sequence[int]) -> list[list[int]]:
    """Return the places of hits with a year, in groups of nearly the same words but numbers."""
    groups: list[tuple[set[str], list[int]]] = []
    for place in places:
        if not _year(hits[place]):
            continue
        words = set(_WORD.findall(_DIGITS.sub("", hits[place].chunk.text)))
        for known, group in groups:
            if len(words & known) >= NEAR * len(words | known):
                group.append(place)
                break
        else:
            groups.append((words, [place]))
    return [group for _, group in groups if len(group) > 1]


def _year(hit: Hit) -> int:
    """Return the latest year of a hit's headings, or else of its text; 0 where there is none."""
    for text in (hit.chunk.breadcrumb, hit.chunk.text):
        years = _YEAR.findall(text)
        if years:
            return int(max(years))
    return 0
