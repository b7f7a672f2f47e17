"""Puts the first hits in the order in which a model that reads question and text together has them.

An embedder knows a text before the question is asked; a reranker reads both at once, which orders
better and takes a pass of a model for every text. So it reads the first hits alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from retrieval.catalog import Catalog
from retrieval.hybrid import search_hybrid
from retrieval.index import Index
from retrieval.points import Vector, Where
from retrieval.records import Hit

NO_RERANKER = "none"
"""The name, in settings and profiles, of no reranker."""
RERANKED = 32
"""Most hits that are reranked: the time of a search grows with each."""
QUESTION_LIMIT = 2000
"""Most characters of a question that is reranked; a longer one leaves a text no room beside it."""

_WORD = re.compile(r"\w+")


class Reranker(Protocol):
    """Scores how well texts answer a question; safe to share between threads."""

    @property
    def name(self) -> str:
        """The `"provider:model"` string that it was chosen by."""

    def score(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return one finite score for each text, higher for what answers better.

        Raises:
            ConfigurationError: the weights cannot be loaded.
            EmbedderUnavailable: the device has no memory for the texts.
        """


@dataclass(frozen=True, slots=True)
class WordReranker:
    """Scores a text by the share of the question's words in it: no weights, for tests."""

    name: str = "words"

    def score(self, question: str, texts: Sequence[str]) -> list[float]:
        """See `Reranker.score`."""
        wanted = _words(question)
        return [len(wanted & _words(text)) / max(1, len(wanted)) for text in texts]


@dataclass(frozen=True, slots=True)
class Rerankers:
    """The rerankers that settings and profiles name, as far as their weights are there.

    Attributes:
        default: the name that holds where a profile says nothing.
        present: by name.
        problems: one sentence for every name without weights.
    """

    default: str = NO_RERANKER
    present: Mapping[str, Reranker] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def choose(self, name: str | None) -> Reranker | None:
        """Return the reranker of that name, or the default; None where there is none."""
        return self.present.get(self.default if name is None else name)


def search_reranked(
    index: Index,
    question: str,
    vector: Vector,
    *,
    limit: int,
    where: Where | None,
    catalog: Catalog,
    reranker: Reranker | None,
) -> list[Hit]:
    """Return the hits of `search_hybrid`, the first of them in the reranker's order."""
    depth = limit if reranker is None else max(limit, RERANKED)
    hits = search_hybrid(index, question, vector, limit=depth, where=where, catalog=catalog)
    return (hits if reranker is None else rerank(reranker, question, hits))[:limit]


def rerank(reranker: Reranker, question: str, hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits, the first `RERANKED` ordered anew; their `via` says so.

    Scores stay cosine similarities. Equal scores keep their order. Hits below stay where they are,
    and for a question of more than `QUESTION_LIMIT` characters all do.
    """
    if not hits or len(question) > QUESTION_LIMIT:
        return list(hits)
    first = hits[:RERANKED]
    scores = reranker.score(question, [hit.chunk.embedded_text for hit in first])
    order = sorted(range(len(first)), key=lambda place: -scores[place])
    ordered = [replace(first[place], via=f"{first[place].via} > reranked") for place in order]
    return [*ordered, *hits[RERANKED:]]


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))
