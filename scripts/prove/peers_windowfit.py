"""Windowfit's own arm: `make_plan` over the very candidates that the peers get."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from chunking.counters import load_counter
from retrieval.catalog import Catalog
from retrieval.embed import HashEmbedder
from retrieval.fingerprint import IndexFingerprint
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.points import Where
from retrieval.records import Hit
from retrieval.search import Searcher
from scripts.prove.peers_cases import Case, Outcome, Turn
from scripts.prove.peers_export import hit_of
from serve.plan import Ask, make_plan
from serve.profiles import load_profiles

ARM: Final = "windowfit"
PROFILE: Final = "mistral-7b-8k"
COLLECTION: Final = "factbook"
_IN_PROMPT: Final = frozenset({"kept", "trimmed", "merged"})


@dataclass(slots=True)
class GivenSearcher(Searcher):
    """Returns prepared hits: the peers' candidates, however many the planner asks for."""

    hits: list[Hit] = field(default_factory=list)

    def search(
        self,
        question: str,
        *,
        limit: int,
        where: Where | None = None,
        catalog: Catalog | None = None,
        searches: Sequence[str] = (),
    ) -> list[Hit]:
        """Return all the hits, whatever is asked."""
        del question, limit, where, catalog, searches
        return list(self.hits)


def given_searcher(case: Case) -> GivenSearcher:
    """Return a searcher that finds the candidates of a case.

    The index behind it is empty: counts from ingestion, which the peers do not have, are not there.
    """
    embedder = HashEmbedder()
    fingerprint = IndexFingerprint(embedder.name, embedder.dimension, "none")
    index = Index.create(MemoryEngine(), COLLECTION, fingerprint)
    return GivenSearcher(index, embedder, hits=[hit_of(source) for source in case.sources])


def run_windowfit(cases: Iterable[Case], *, window: int, output: int) -> Iterator[Outcome]:
    """Yield the outcome of each case, in one call each."""
    profile = replace(load_profiles()[PROFILE], window=window, default_output=output)
    counter = load_counter(profile.tokenizer)
    for case in cases:
        ask = Ask(case.question, COLLECTION, PROFILE)
        plan = make_plan(ask, profile=profile, counter=counter, searcher=given_searcher(case))
        messages = plan.context.messages
        prompt = tuple(Turn(message.role, message.content) for message in messages)
        entries = plan.report.entries
        listed = tuple(entry.chunk for entry in entries if entry.fate in _IN_PROMPT)
        yield Outcome(ARM, case.id, (prompt,), listed)
