"""Cases of a small corpus, planned for windows as a request would be."""

from __future__ import annotations

from collections.abc import Sequence

from eval.cells import AskedQuestion
from eval.questions import Evidence, Question
from eval.window.cases import WindowCase, plan_cases
from serve.plan import Ask, Plan, make_plan
from tests.pair_counter import PairCounter
from tests.serving import profile, small_searcher

COUNTER = PairCounter()
SEARCHER = small_searcher(counter=COUNTER)
LIMA = AskedQuestion("lima", "single_field", "What is the capital of Peru?", "string", "Lima")
NOTHING = AskedQuestion("none", "unanswerable", "How long are the rivers?", "abstain", None)
GOLD = {
    "lima": Question("lima", "single_field", LIMA.question, (Evidence("peru", "Capital: Lima"),)),
    "none": Question("none", "unanswerable", NOTHING.question),
}


def plan_for(question: str, size: int) -> Plan:
    ask = Ask(question, "small", "scripted", max_output_tokens=64)
    return make_plan(ask, profile=profile(window=size), counter=COUNTER, searcher=SEARCHER)


def planned(
    asked: Sequence[AskedQuestion] = (LIMA, NOTHING),
    *,
    sizes: Sequence[int] = (300, 4000),
    placed_at: int | None = None,
) -> list[WindowCase]:
    found = plan_cases(
        asked, lambda one: GOLD[one.id], sizes, plan_for=plan_for, placed_at=placed_at
    )
    return list(found)
