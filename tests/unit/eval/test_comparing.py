"""A whole comparison over a small corpus, with a script for a model."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from chunking.errors import (
    CallLimitExceeded,
    ConfigurationError,
    InputError,
    ModelNotFound,
    ProfileMismatch,
)
from eval.arms import Arm, ModelArm, RouteArm
from eval.asked import QuestionSet
from eval.cells import AskedQuestion, Cell
from eval.comparing import Comparer, Wanted
from eval.comparison import Comparison
from eval.kept_cells import CellStore
from eval.questions import Evidence, Question
from retrieval.points import Engine
from serve.backends.protocol import Completion, CompletionRequest
from serve.backends.scripted import Answer as Played
from serve.backends.scripted import ScriptedBackend
from serve.errors import UpstreamRateLimited, UpstreamTimeout
from serve.profiles import ModelProfile, PerMillionPrice, SnapshotPrice
from serve.runtime import Runtime
from tests.serving import mistral, profile, small_runtime

pytest.importorskip("scipy", reason="needs the extra `eval`")

ASKED = (
    AskedQuestion("area", "field", "What is the area of Chad?", "number", "1,284,000 sq km"),
    AskedQuestion("capital", "field", "What is the capital of Peru?", "string", "Lima"),
    AskedQuestion("none", "none", "Who wrote the ninth symphony?", "abstain", None),
)
EVIDENCE = {
    "area": Question("area", "field", "", (Evidence("chad", "Area: 1,284,000 sq km"),)),
    "capital": Question("capital", "field", "", (Evidence("peru", "Capital: Lima"),)),
    "none": Question("none", "none", ""),
}
RIGHT = ("The area is 1,284,000 sq km [1].", "Lima [1].", "The sources do not say.")
LOCAL = ModelArm("local", "scripted", "retrieve")
FULL = ModelArm("full", "scripted", "full")
ROUTE = RouteArm(
    "route", "local", "full", ("error", "insufficient_evidence", "abstained", "ungrounded")
)
PRICE = PerMillionPrice(input_usd=Decimal(1000), output_usd=Decimal(1000))


def wanted(*arms: Arm, **changes: object) -> Wanted:
    questions = QuestionSet("qa.jsonl", "0" * 64, ASKED, EVIDENCE)
    declared = {arm.name: arm for arm in (LOCAL, FULL)}
    made = Wanted(questions, ASKED, arms or (LOCAL,), declared, "small")
    return replace(made, **changes)  # type: ignore[arg-type]


def run(
    what: Wanted,
    path: Path,
    answers: Iterable[Played] = (),
    *,
    profiles: Sequence[ModelProfile] | None = None,
    engine: Engine | None = None,
    **script: object,
) -> tuple[Comparison, ScriptedBackend]:
    """Compare with a fresh runtime over what the folder keeps."""
    backend = ScriptedBackend(answers, **script)  # type: ignore[arg-type]
    runtime = small_runtime(
        backend,
        engine=engine,
        profiles={one.name: one for one in profiles or (profile(price=PRICE),)},
    )
    with CellStore(path / "calls.sqlite3") as store:
        comparer = Comparer.open(what, runtime, store)
        comparison = asyncio.run(comparer.compare(lambda _, questions: questions))
        assert comparer.asker.purse.reserved == 0
    return comparison, backend


def cells(comparison: Comparison, arm: str) -> dict[str, Cell]:
    return {cell.question: cell for cell in comparison.cells if cell.arm == arm}


def counted(request: CompletionRequest) -> int:
    return mistral().count_messages(request.messages)


def test_every_cell_holds_answer_score_tokens_cost_time_and_receipt(tmp_path: Path) -> None:
    comparison, backend = run(wanted(), tmp_path, RIGHT, prompt_tokens=counted)
    cell = cells(comparison, "local")["area"]

    assert len(backend.requests) == 3
    assert [cell.score.correct for cell in comparison.cells] == [True, True, True]
    assert cell.answer == RIGHT[0]
    assert cell.score.in_context is True
    assert cell.score.grounded is True
    assert cell.tokens.source == "server"
    assert cell.tokens.prompt == cell.report["prompt_tokens"]
    assert cell.cost.usd == Decimal(cell.tokens.prompt) / 1000
    assert cell.seconds.first is not None
    assert 0 < cell.seconds.first <= cell.seconds.total
    assert cell.citations[0]["document"] == cell.report["entries"][0]["document"]
    assert cells(comparison, "local")["none"].score.abstained
    (arm,) = comparison.arms
    assert arm.accuracy.mean == 1
    assert arm.abstention is not None
    assert arm.abstention.mean == 1
    assert arm.cost_usd == sum((one.cost.usd for one in comparison.cells), Decimal(0))
    assert comparison.run.complete


def test_a_second_run_makes_no_call_and_gives_the_same_cells(tmp_path: Path) -> None:
    first, _ = run(wanted(), tmp_path, RIGHT)
    second, backend = run(wanted(), tmp_path)

    assert backend.requests == []
    assert backend.probes == []
    assert second.cells == first.cells


@pytest.mark.parametrize(
    "other",
    [
        ModelArm("local", "scripted", "retrieve", 50),
        ModelArm("local", "scripted", "full"),
        ModelArm("local", "scripted", "retrieve", max_output_tokens=9),
    ],
)
def test_an_arm_that_asks_otherwise_is_asked_anew(tmp_path: Path, other: ModelArm) -> None:
    run(wanted(), tmp_path, RIGHT)
    _, backend = run(wanted(other), tmp_path, RIGHT)

    assert len(backend.requests) == 3


def test_a_kill_loses_one_question_and_the_next_run_asks_it_alone(tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def kill(request: CompletionRequest) -> int:
        if "Peru" in request.question:
            raise Killed
        return counted(request)

    with pytest.raises(Killed):
        run(wanted(), tmp_path, RIGHT, prompt_tokens=kill)
    comparison, backend = run(wanted(), tmp_path, RIGHT[1:])

    assert [request.question for request in backend.requests] == [
        question.question for question in ASKED[1:]
    ]
    assert comparison.arms[0].accuracy.mean == 1


def test_a_lost_call_counts_against_the_limit_of_money(tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def kill(request: CompletionRequest) -> int:
        raise Killed

    with pytest.raises(Killed):
        run(wanted(), tmp_path, RIGHT, prompt_tokens=kill)
    with CellStore(tmp_path / "calls.sqlite3") as store:
        lost = store.spent()
    assert lost > 0
    with pytest.raises(CallLimitExceeded):
        run(wanted(cost_limit_usd=lost), tmp_path, RIGHT)


@pytest.mark.parametrize("parallel", [1, 3])
def test_no_call_is_made_that_could_cost_more_than_is_left(tmp_path: Path, parallel: int) -> None:
    limit = Decimal("0.9")
    with pytest.raises(CallLimitExceeded, match="USD are spent"):
        run(
            wanted(cost_limit_usd=limit, parallel=parallel),
            tmp_path,
            RIGHT,
            prompt_tokens=counted,
        )
    with CellStore(tmp_path / "calls.sqlite3") as store:
        assert 0 < store.spent() <= limit


def test_calls_that_wait_for_money_are_freed_by_one_that_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise ConfigurationError("the disk is full")

    monkeypatch.setattr(CellStore, "end", full)

    with pytest.raises(ConfigurationError, match="disk is full"):
        run(wanted(cost_limit_usd=Decimal("0.9"), parallel=3), tmp_path, RIGHT)


def test_a_route_goes_on_where_the_first_answer_is_in_doubt(tmp_path: Path) -> None:
    local = ("It is 77 sq km [1].", "Lima [1].", "The sources do not say.")
    full = ("It is 1,284,000 sq km [1].", "The sources do not say.")
    comparison, backend = run(wanted(LOCAL, ROUTE), tmp_path, (*local, *full))
    routed, first = cells(comparison, "route"), cells(comparison, "local")

    assert len(backend.requests) == 5
    assert {name: cell.doubt for name, cell in routed.items()} == {
        "area": "ungrounded",
        "capital": "",
        "none": "insufficient_evidence",
    }
    assert routed["area"].answered_by == "full"
    assert routed["area"].score.correct
    assert routed["area"].cost.usd > first["area"].cost.usd
    assert routed["area"].seconds.total > first["area"].seconds.total
    assert replace(routed["capital"], arm="local") == first["capital"]
    assert [arm.arm for arm in comparison.arms] == ["local", "route"]
    route = comparison.arms[1]
    assert route.escalated is not None
    assert route.escalated.mean == pytest.approx(2 / 3)


def test_a_route_over_arms_that_are_compared_too_makes_no_call_of_its_own(tmp_path: Path) -> None:
    comparison, backend = run(wanted(LOCAL, FULL, ROUTE), tmp_path, (*RIGHT, *RIGHT))

    assert len(backend.requests) == 6
    assert len(comparison.cells) == 9


def test_a_failed_call_counts_as_wrong_and_is_asked_again(tmp_path: Path) -> None:
    failing, _ = run(wanted(), tmp_path, (UpstreamTimeout("late"), *RIGHT[1:]))
    mended, backend = run(wanted(), tmp_path, RIGHT[:1])
    cell = cells(failing, "local")["area"]

    assert (cell.error, cell.retryable, cell.score.correct) == ("upstream_timeout", True, False)
    assert failing.arms[0].failed == 1
    assert not failing.run.complete
    assert len(backend.requests) == 1
    assert mended.run.complete


def test_a_server_that_fails_three_times_in_a_row_ends_the_run(tmp_path: Path) -> None:
    more = (*ASKED, replace(ASKED[0], id="fourth"))
    evidence = {**EVIDENCE, "fourth": EVIDENCE["area"]}
    what = wanted(asked=more, questions=QuestionSet("qa.jsonl", "0", more, evidence))
    backend_answers = [UpstreamTimeout("late")] * 4

    with pytest.raises(UpstreamTimeout):
        run(what, tmp_path, backend_answers)


def test_a_refused_call_costs_nothing_and_one_that_timed_out_its_worst_case(
    tmp_path: Path,
) -> None:
    for error, paid in ((UpstreamRateLimited("later"), False), (UpstreamTimeout("late"), True)):
        folder = tmp_path / error.code
        run(wanted(), folder, (error, *RIGHT[1:]))
        with sqlite3.connect(folder / "calls.sqlite3") as raw:
            rows = raw.execute("SELECT usd FROM under_way").fetchall()
        raw.close()
        assert len(rows) == (1 if paid else 0)


def test_a_question_that_does_not_fit_is_kept_as_an_error_and_not_asked_again(
    tmp_path: Path,
) -> None:
    long = replace(ASKED[0], question="Chad " * 20_000)
    questions = QuestionSet("qa.jsonl", "0", (long,), EVIDENCE)
    what = wanted(asked=(long,), questions=questions)
    comparison, backend = run(what, tmp_path)

    assert comparison.cells[0].error == "context_length_exceeded"
    assert not comparison.cells[0].retryable
    assert comparison.run.complete
    assert backend.requests == []


def test_a_run_says_what_it_was_made_of(tmp_path: Path) -> None:
    comparison, _ = run(wanted(ModelArm("a", "scripted", "full", stand_in="x")), tmp_path, RIGHT)
    facts = comparison.run

    assert facts.arms[0].stand_in == "x"
    assert facts.arms[0].window == 8192
    assert facts.documents == 3
    assert facts.fingerprint["embedder"].startswith("hash:")
    assert "windowfit" in facts.versions


OpenWith = Callable[[Wanted, Sequence[ModelProfile]], Comparer]


@pytest.fixture
def open_with(tmp_path: Path) -> OpenWith:
    def opened(what: Wanted, profiles: Sequence[ModelProfile]) -> Comparer:
        runtime = small_runtime(ScriptedBackend(()), profiles={one.name: one for one in profiles})
        with CellStore(tmp_path / "calls.sqlite3") as store:
            return Comparer.open(what, runtime, store)

    return opened


def test_an_oracle_reads_the_documents_that_a_question_is_about_and_no_others(
    tmp_path: Path,
) -> None:
    about = {"area": ("chad",), "capital": ("peru", "chad"), "none": ("peru",)}
    asked = tuple(replace(one, documents=about[one.id]) for one in ASKED)
    oracle = replace(FULL, oracle=True)

    comparison, _ = run(wanted(oracle, asked=asked), tmp_path, RIGHT)

    read = {
        cell.question: {entry["document"] for entry in cell.report["entries"]}
        for cell in cells(comparison, "full").values()
    }
    assert read == {question: set(documents) for question, documents in about.items()}


def test_an_oracle_that_is_told_of_other_documents_is_asked_anew(tmp_path: Path) -> None:
    oracle = replace(FULL, oracle=True)
    asked = tuple(replace(one, documents=("chad",)) for one in ASKED)
    run(wanted(oracle, asked=asked), tmp_path, RIGHT)

    _, same = run(wanted(oracle, asked=asked), tmp_path)
    other = tuple(replace(one, documents=("peru",)) for one in ASKED)
    _, again = run(wanted(oracle, asked=other), tmp_path, RIGHT)

    assert (len(same.requests), len(again.requests)) == (0, 3)


def test_an_oracle_is_refused_a_question_that_names_no_document(open_with: OpenWith) -> None:
    asked = (replace(ASKED[0], documents=("chad",)), *ASKED[1:])
    with pytest.raises(InputError, match="2 of 3 questions name none, such as 'capital'"):
        open_with(wanted(replace(FULL, oracle=True), asked=asked), [profile()])


def test_an_oracle_is_refused_a_document_that_the_collection_lacks(open_with: OpenWith) -> None:
    asked = tuple(replace(one, documents=("chat",)) for one in ASKED)
    told = "the collection lacks 1 of them, such as 'chat' of 'area', did you mean 'chad'"
    with pytest.raises(InputError, match=told):
        open_with(wanted(replace(FULL, oracle=True), asked=asked), [profile()])


def test_an_arm_that_cannot_be_asked_is_refused_before_any_call(open_with: OpenWith) -> None:
    keyed = profile(name="keyed", backend="openai", base_url="http://x", api_key_env="NO_KEY")
    unpriced = profile(price=SnapshotPrice("openai", "no-such-model-anywhere"))

    with pytest.raises(ModelNotFound, match="absent"):
        open_with(wanted(ModelArm("a", "absent", "full")), [profile()])
    with pytest.raises(ConfigurationError, match="NO_KEY"):
        open_with(wanted(ModelArm("a", "keyed", "full")), [keyed])
    with pytest.raises(ConfigurationError, match="no price"):
        open_with(wanted(), [unpriced])
    with pytest.raises(InputError, match="budget 9000 > 7680"):
        open_with(wanted(ModelArm("a", "scripted", "full", 9000)), [profile()])
    with pytest.raises(InputError, match="9999 answer tokens"):
        open_with(wanted(ModelArm("a", "scripted", "full", None, 9999)), [profile()])


def test_a_judge_in_the_cloud_is_refused(open_with: OpenWith) -> None:
    cloud = profile(name="cloud-judge", place="cloud")

    with pytest.raises(InputError, match="in the cloud"):
        open_with(wanted(judge="cloud-judge"), [profile(), cloud])
    assert open_with(wanted(judge="scripted"), [profile()]).wanted.judge == "scripted"


def test_an_answer_of_another_profile_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Runtime.plan

    def misrouted(self: Runtime, ask: object) -> object:
        made = plan(self, ask)  # type: ignore[arg-type]
        return replace(made, report=replace(made.report, model="another"))

    monkeypatch.setattr(Runtime, "plan", misrouted)

    with pytest.raises(ProfileMismatch, match="'another' answered"):
        run(wanted(), tmp_path, RIGHT)


def test_a_judge_stands_beside_the_rules_and_is_asked_once(tmp_path: Path) -> None:
    said = ("right", "wrong", "I will not say")
    what = wanted(judge="scripted")
    comparison, backend = run(what, tmp_path, (*RIGHT, *said))
    again, silent = run(what, tmp_path)
    agreement = comparison.arms[0].judge

    assert len(backend.requests) == 6
    assert "Expected: 1,284,000 sq km" in backend.requests[3].messages[-1].content
    assert [cell.verdict and cell.verdict.correct for cell in comparison.cells] == [
        True,
        False,
        None,
    ]
    assert comparison.arms[0].accuracy.mean == 1
    assert agreement is not None
    assert (agreement.judged, agreement.agreed) == (2, 1)
    assert agreement.usd > 0
    assert silent.requests == []
    assert again.cells == comparison.cells


def test_a_long_completion_keeps_why_it_ended(tmp_path: Path) -> None:
    cut = Completion(text="The area", prompt_tokens=None, output_tokens=2, finish_reason="length")
    comparison, _ = run(wanted(), tmp_path, (cut, *RIGHT[1:]))

    assert cells(comparison, "local")["area"].finish_reason == "length"
