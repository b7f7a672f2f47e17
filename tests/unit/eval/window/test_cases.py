from __future__ import annotations

from eval.window.cases import POSITIONS
from tests.unit.eval.window.planning import COUNTER, LIMA, planned


def test_every_question_has_one_case_for_each_size_that_fits_it() -> None:
    cases = planned()
    assert [(case.size, case.question.id) for case in cases] == [
        (300, "lima"),
        (300, "none"),
        (4000, "lima"),
        (4000, "none"),
    ]
    for case in cases:
        assert case.prompt_tokens == COUNTER.count_messages(case.messages)
        assert case.prompt_tokens + case.plan.budget.reserved_output <= case.size
    assert len(cases[2].sources) > len(cases[0].sources)


def test_a_question_without_evidence_holds_none_and_moves_none() -> None:
    lima, none = planned(sizes=[4000])
    assert lima.in_context is True
    assert none.in_context is None
    assert [case.question.id for case in planned(sizes=[4000], placed_at=4000)].count("none") == 1


def test_the_evidence_is_moved_and_nothing_else_differs() -> None:
    whole, *moved = planned([LIMA], sizes=[4000], placed_at=4000)
    assert [case.position for case in moved] == list(POSITIONS)
    places = []
    for case in moved:
        assert sorted(one.id for one in case.sources) == sorted(one.id for one in whole.sources)
        assert case.prompt_tokens == COUNTER.count_messages(case.messages)
        assert case.prompt_tokens <= case.plan.budget.prompt_limit
        texts = [one.text for one in case.sources]
        places.append(next(n for n, text in enumerate(texts) if "Capital: Lima" in text))
    last = len(whole.sources) - 1
    assert places[0] == 0
    assert 0 < places[1] < last
    assert places[2] == last


def test_evidence_is_moved_at_one_size_alone() -> None:
    cases = planned([LIMA], sizes=[300, 4000], placed_at=4000)
    assert {case.size for case in cases if case.position} == {4000}
