"""A judge's calls: recorded, labelled and told beforehand, as every other call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from chunking.sensitivity import Sensitivity
from eval.arms import ModelArm
from eval.asked import QuestionSet
from eval.comparing import Comparer, Wanted
from eval.comparison import Comparison
from eval.kept_cells import CellStore
from eval.run import Estimate
from retrieval.memory import MemoryEngine
from serve.backends.scripted import Answer as Played
from serve.backends.scripted import ScriptedBackend
from serve.errors import UpstreamError
from serve.ledger import CallRow, Ledger, read_ledger
from serve.runtime import Runtime
from tests.routes import labelled
from tests.serving import BOLIVIA, CHAD, PERU, fill, mistral, profile, small_runtime
from tests.unit.eval.test_comparing import ASKED, EVIDENCE, FULL, PRICE, RIGHT, counted, wanted

pytest.importorskip("scipy", reason="needs the extra `eval`")

JUDGED = wanted(judge="judge")
VERDICTS = ("right", "right", "wrong")


def runtime_of(answers: Sequence[Played], folder: Path, *, label: str = "internal") -> Runtime:
    """Return a runtime whose arms and judge play one script."""
    engine = MemoryEngine()
    fill(engine, labelled(label, PERU, CHAD, BOLIVIA), counter=mistral())
    backend = ScriptedBackend(answers, prompt_tokens=counted)
    known = {name: profile(name=name, price=PRICE) for name in ("scripted", "judge")}
    ledger = Ledger(folder / "ledger.sqlite3")
    runtime = small_runtime(backend, engine=engine, profiles=known, ledger=ledger)
    runtime._backends["judge"] = backend
    return runtime


def compared(what: Wanted, runtime: Runtime, folder: Path) -> Comparison:
    with CellStore(folder / "calls.sqlite3") as store:
        comparer = Comparer.open(what, runtime, store)
        return asyncio.run(comparer.compare(lambda _, questions: questions))


def estimated(what: Wanted, runtime: Runtime, folder: Path) -> tuple[Estimate, ...]:
    with CellStore(folder / "calls.sqlite3") as store:
        return Comparer.open(what, runtime, store).estimate(lambda _, questions: questions)


def rows(folder: Path) -> list[CallRow]:
    return list(read_ledger(folder / "ledger.sqlite3"))


def test_every_verdict_has_its_row_in_the_ledger(tmp_path: Path) -> None:
    runtime = runtime_of((*RIGHT, *VERDICTS), tmp_path)
    comparison = compared(JUDGED, runtime, tmp_path)
    asyncio.run(runtime.close())
    judged = [row for row in rows(tmp_path) if row.model == "judge"]
    agreement = comparison.arms[0].judge

    assert [(row.outcome, row.route_reason, row.sent) for row in judged] == [
        ("answered", "judge", True)
    ] * 3
    assert agreement is not None
    assert sum((row.price_usd for row in judged), Decimal(0)) == agreement.usd
    assert {row.collection for row in judged} == {"small"}


def test_a_judge_that_fails_leaves_its_row(tmp_path: Path) -> None:
    runtime = runtime_of((*RIGHT, UpstreamError("down")), tmp_path)

    with pytest.raises(UpstreamError):
        compared(JUDGED, runtime, tmp_path)
    asyncio.run(runtime.close())
    assert [(row.model, row.outcome) for row in rows(tmp_path)][-1] == ("judge", "failed")


@pytest.mark.parametrize("label", ["internal", "restricted"])
def test_a_verdict_bears_the_label_of_the_documents_behind_the_answer(
    tmp_path: Path, label: str
) -> None:
    runtime = runtime_of((*RIGHT, *VERDICTS), tmp_path, label=label)
    compared(JUDGED, runtime, tmp_path)
    asyncio.run(runtime.close())

    labels = {row.sensitivity for row in rows(tmp_path) if row.model == "judge"}
    assert labels == {str(Sensitivity(label))}


def test_a_dry_run_counts_the_judge_and_what_is_spent_stays_below_it(tmp_path: Path) -> None:
    (arm, judge) = estimated(JUDGED, runtime_of((), tmp_path), tmp_path)
    comparison = compared(JUDGED, runtime_of((*RIGHT, *VERDICTS), tmp_path), tmp_path)
    (_, again) = estimated(JUDGED, runtime_of((), tmp_path), tmp_path)
    agreement = comparison.arms[0].judge

    assert (arm.calls, judge.arm, judge.calls) == (3, "judge judge", 3)
    assert agreement is not None
    assert 0 < agreement.usd <= judge.usd_at_most
    assert (again.kept, again.calls, again.usd_at_most) == (3, 0, Decimal(0))


def test_a_dry_run_counts_questions_and_arms_that_share_a_call_once(tmp_path: Path) -> None:
    asked = (ASKED[0], replace(ASKED[0], id="same"))
    evidence = {**EVIDENCE, "same": EVIDENCE["area"]}
    twin = ModelArm("twin", "scripted", "retrieve")
    local = ModelArm("local", "scripted", "retrieve")
    what = wanted(
        local, twin, FULL, asked=asked, questions=QuestionSet("qa.jsonl", "0", asked, evidence)
    )

    assert [one.calls for one in estimated(what, runtime_of((), tmp_path), tmp_path)] == [1, 0, 1]
