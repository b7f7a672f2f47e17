"""A self-route decides as a service does, with the same settings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from chunking.errors import InputError
from eval.arms import ModelArm, RouteArm
from eval.asked import QuestionSet
from eval.cells import AskedQuestion, Cell, Score, Seconds, Spent, Tokens
from eval.comparing import Comparer, Wanted
from eval.kept_cells import CellStore
from eval.questions import Question
from eval.routes import doubt_of, go_on
from serve.answer import Answer
from serve.backends.scripted import Answer as Played
from serve.backends.scripted import ScriptedBackend
from serve.errors import UpstreamSilentTruncation, UpstreamTimeout
from serve.escalation import Signals, Thresholds
from serve.routed import answer_routed
from serve.runtime import Runtime
from tests.routes import ASK, routed_runtime, script

pytest.importorskip("scipy", reason="needs the extra `eval`")

RULE = {"name": "escalating", "target": "near", "escalate": "far"}
NEAR, FAR = ModelArm("local", "near", "retrieve"), ModelArm("cloud", "far", "retrieve")
ROUTE = RouteArm("route", "local", "cloud")
QUESTIONS = (ASK.question, "Who composed the ninth symphony?")
SAID = (
    "Lima [1].",
    "Lima has 77 lakes and 5 hills [1].",
    "Zanzibar Quito Oslo, 1234 [1].",
    "The capital of Peru is Lima, with Oslo [1].",
    "The sources do not say.",
    "",
)
USUAL = Thresholds()
STRICT = Thresholds(grounding=1.0, support=0.0, declined_support=0.0)
SEARCHED = Thresholds(grounding=0.5, support=0.9, declined_support=0.3)
NEVER = Thresholds(grounding=0.0, support=0.0, declined_support=1.01)


def serving(near: Played, far: Played, thresholds: Thresholds) -> Runtime:
    backends = {name: ScriptedBackend([said]) for name, said in (("near", near), ("far", far))}
    runtime = routed_runtime(backends, rules=[RULE])
    runtime.policy = replace(runtime.policy, thresholds=thresholds)
    return runtime


def served(runtime: Runtime, question: str) -> Answer:
    return asyncio.run(answer_routed(replace(ASK, question=question, route="auto"), runtime))


def compared(runtime: Runtime, question: str, path: Path, *arms: ModelArm | RouteArm) -> Cell:
    asked = (AskedQuestion("q", "field", question, "string", "Lima"),)
    questions = QuestionSet("qa.jsonl", "0", asked, {"q": Question("q", "field", question)})
    what = Wanted(questions, asked, arms or (ROUTE,), {"local": NEAR, "cloud": FAR}, "small")
    with CellStore(path / "calls.sqlite3") as store:
        comparer = Comparer.open(what, runtime, store)
        return asyncio.run(comparer.compare(lambda _, them: them)).cells[-1]


@pytest.mark.parametrize("thresholds", [USUAL, STRICT, SEARCHED, NEVER])
@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("said", SAID)
def test_a_route_decides_as_a_service_with_the_same_settings(
    tmp_path: Path, said: str, question: str, thresholds: Thresholds
) -> None:
    there = serving(said, "far says Lima [1].", thresholds)
    given = served(there, question)
    escalation = given.report.route.escalation
    here = serving(said, "far says Lima [1].", thresholds)
    cell = compared(here, question, tmp_path)

    assert cell.doubt == (f"policy: {escalation.reason}" if escalation else "")
    assert cell.answer == given.text
    assert len(script(here, "far").requests) == len(script(there, "far").requests)
    first_called = bool(script(there, "near").requests)
    calls = first_called + bool(escalation)
    assert cell.tokens.prompt >= calls * given.report.prompt_tokens * 0.9
    if not first_called:
        assert cell.tokens.prompt == given.report.prompt_tokens


def test_the_first_answer_stands_where_the_second_arm_can_give_none(tmp_path: Path) -> None:
    said, failed = "Zanzibar Quito Oslo, 1234 [1].", UpstreamSilentTruncation("cut")
    given = served(serving(said, failed, USUAL), ASK.question)
    cell = compared(serving(said, failed, USUAL), ASK.question, tmp_path)

    assert cell.answer == given.text
    assert (cell.answered_by, cell.error, cell.doubt) == ("local", None, "policy: ungrounded")
    assert cell.cost.usd > 0


def test_a_second_arm_that_is_asked_again_leaves_the_question_open(tmp_path: Path) -> None:
    cell = compared(
        serving("Oslo 1234 Quito [1].", UpstreamTimeout("late"), USUAL), ASK.question, tmp_path
    )

    assert (cell.error, cell.retryable) == ("upstream_timeout", True)


def test_a_route_that_begins_in_the_cloud_is_refused_as_no_service_escalates_from_there(
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError, match="'cloud' is in the cloud"):
        compared(serving("a", "b", USUAL), "?", tmp_path, RouteArm("r", "cloud", "local"))
    other = RouteArm("r", "cloud", "local", ("abstained",))
    assert compared(serving("a", "b", USUAL), ASK.question, tmp_path, other).answer == "b"


def cell(arm: str, **changes: object) -> Cell:
    made = Cell(
        arm=arm,
        question="q",
        answered_by=arm,
        answer="It is 5.",
        score=Score(False, "", False, False, 0.0, signals=Signals(0.0, False, 0.9)),
        tokens=Tokens(10, 1, 2, "server"),
        cost=Spent(Decimal(1), "list", Decimal("0.5")),
        seconds=Seconds(1.0, 2.0),
        report={"support": 0.9},
        citations=(),
        made_at=datetime(2026, 11, 22, tzinfo=UTC),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("doubts", "expected"),
    [(("policy",), "policy: ungrounded"), (("error", "abstained"), ""), (("ungrounded",), "")],
)
def test_only_the_doubts_of_a_route_send_it_on(doubts: Sequence[str], expected: str) -> None:
    route = RouteArm("route", "local", "cloud", tuple(doubts))  # type: ignore[arg-type]

    assert doubt_of(cell("local"), route, thresholds=USUAL) == expected


def test_both_calls_are_paid_and_waited_for() -> None:
    routed = go_on(ROUTE, cell("local"), cell("cloud"), doubt="policy: ungrounded")

    assert routed.tokens == Tokens(20, 2, 4, "server")
    assert routed.cost == Spent(Decimal(2), "list", Decimal("1.0"))
    assert routed.seconds == Seconds(3.0, 4.0)


def test_what_the_search_alone_decides_costs_no_first_call() -> None:
    poor = cell("local", report={"support": 0.1})
    doubt = doubt_of(poor, ROUTE, thresholds=SEARCHED)
    routed = go_on(ROUTE, poor, cell("cloud"), doubt=doubt)

    assert doubt == "policy: unsupported"
    assert routed.cost == cell("cloud").cost
    assert routed.seconds == cell("cloud").seconds
