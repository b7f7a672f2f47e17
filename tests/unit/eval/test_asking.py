"""How single calls are made and accounted for, with a script for a model."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from chunking.errors import (
    CollectionChanged,
    ConfigurationError,
    StoreError,
    WindowfitError,
)
from chunking.sensitivity import Sensitivity
from eval.asked import QuestionSet
from eval.comparing import Wanted
from eval.kept_cells import CellStore
from retrieval.memory import MemoryEngine
from serve.errors import (
    PolicyRefused,
    QueueFull,
    UpstreamRejected,
    UpstreamSilentTruncation,
    UpstreamWithheld,
)
from tests.routes import labelled
from tests.serving import CHAD, PERU, fill, mistral, profile
from tests.unit.eval.test_comparing import (
    ASKED,
    EVIDENCE,
    LOCAL,
    PRICE,
    RIGHT,
    cells,
    counted,
    run,
    wanted,
)

HOURLY = {"hardware_usd_per_hour": Decimal(3_600_000)}
"""A thousand dollars a second, so that a call of a millisecond costs one."""


def same_question(count: int, **changes: object) -> Wanted:
    """Return a run of one text under several ids."""
    asked = tuple(replace(ASKED[0], id=f"area-{number}") for number in range(count))
    evidence = {one.id: replace(EVIDENCE["area"], id=one.id) for one in asked}
    return wanted(asked=asked, questions=QuestionSet("qa.jsonl", "0", asked, evidence), **changes)


def spent(path: Path) -> Decimal:
    with CellStore(path / "calls.sqlite3") as store:
        return store.spent()


def paid(cell_count: int, path: Path) -> int:
    with sqlite3.connect(path / "calls.sqlite3") as raw:
        (rows,) = raw.execute("SELECT count(*) FROM calls").fetchone()
    raw.close()
    assert rows <= cell_count
    return int(rows)


def test_local_hardware_is_told_apart_from_what_is_billed_by_the_token(tmp_path: Path) -> None:
    priced = [profile(price=PRICE, **HOURLY)]
    comparison, _ = run(
        wanted(), tmp_path, RIGHT, profiles=priced, prompt_tokens=counted, delay_seconds=0.002
    )
    (arm,) = comparison.arms

    for cell in comparison.cells:
        tokens = cell.tokens.prompt + cell.tokens.output
        assert cell.cost.usd == Decimal(tokens) * 1000 / 1_000_000
        assert cell.cost.hardware_usd >= 2
        assert "hardware" not in cell.cost.basis
    assert arm.cost_usd == sum((cell.cost.usd for cell in comparison.cells), Decimal(0))
    assert len(arm.cost_basis) == 1


def test_a_limit_of_money_is_not_spent_by_hardware(tmp_path: Path) -> None:
    free = [profile(**HOURLY)]
    comparison, _ = run(
        wanted(cost_limit_usd=Decimal("0.5")), tmp_path, RIGHT, profiles=free, delay_seconds=0.002
    )

    assert comparison.run.complete
    assert spent(tmp_path) == 0


def test_questions_of_one_text_that_run_at_once_share_one_call(tmp_path: Path) -> None:
    comparison, backend = run(
        same_question(4, parallel=4), tmp_path, RIGHT[:1], prompt_tokens=counted, delay_seconds=0.01
    )

    assert len(backend.requests) == 1
    assert [cell.answer for cell in comparison.cells] == [RIGHT[0]] * 4
    assert spent(tmp_path) == comparison.cells[0].cost.usd


def test_who_shares_a_call_shares_its_failure(tmp_path: Path) -> None:
    comparison, backend = run(
        same_question(2, parallel=2), tmp_path, [QueueFull("full")], delay_seconds=0.01
    )

    assert len(backend.requests) == 1
    assert {cell.error for cell in comparison.cells} == {"queue_full"}


def test_an_answer_that_replaces_another_leaves_its_cost_counted(tmp_path: Path) -> None:
    run(wanted(), tmp_path, RIGHT, prompt_tokens=counted)
    before = spent(tmp_path)
    with sqlite3.connect(tmp_path / "calls.sqlite3") as raw:
        raw.execute("UPDATE calls SET record = x'00'")
    raw.close()
    run(wanted(), tmp_path, RIGHT, prompt_tokens=counted)

    assert spent(tmp_path) == 2 * before


@pytest.mark.parametrize(
    "error", [UpstreamSilentTruncation("cut"), UpstreamWithheld("a content filter")]
)
def test_an_error_that_would_come_again_is_kept_and_not_paid_again(
    tmp_path: Path, error: WindowfitError
) -> None:
    failing, _ = run(wanted(), tmp_path, (error, *RIGHT[1:]))
    once = spent(tmp_path)
    again, backend = run(wanted(), tmp_path)
    cell = cells(again, "local")["area"]

    assert backend.requests == []
    assert spent(tmp_path) == once
    assert (cell.error, cell.retryable) == (error.code, False)
    assert cell.cost.usd > 0
    assert failing.run.complete
    assert again.cells == failing.cells


def test_a_key_that_is_refused_ends_the_run_at_once_and_costs_nothing(tmp_path: Path) -> None:
    refused = UpstreamRejected("the server refused the key (HTTP 401)", hint="check the key")

    with pytest.raises(ConfigurationError, match=r"arm 'local'.*refused the key") as raised:
        run(wanted(), tmp_path, (refused, *RIGHT))
    assert raised.value.hint == "check the key"
    assert spent(tmp_path) == 0
    _, backend = run(wanted(), tmp_path, RIGHT)
    assert len(backend.requests) == 3


def test_a_question_that_is_refused_where_others_are_answered_fails_alone_and_for_nothing(
    tmp_path: Path,
) -> None:
    refused = UpstreamRejected("the server refused the request (HTTP 400)")
    comparison, _ = run(wanted(), tmp_path, (RIGHT[0], refused, RIGHT[2]), prompt_tokens=counted)
    cell = cells(comparison, "local")["capital"]
    again, backend = run(wanted(), tmp_path, [refused])

    assert (cell.error, cell.retryable, cell.cost.usd) == ("upstream_rejected", False, Decimal(0))
    assert comparison.run.complete
    assert spent(tmp_path) == sum((one.cost.usd for one in comparison.cells), Decimal(0))
    assert len(backend.requests) == 1
    assert again.run.complete


def test_what_a_policy_refuses_costs_nothing_and_is_tried_again_by_the_next_run(
    tmp_path: Path,
) -> None:
    refused, _ = run(wanted(), tmp_path, (PolicyRefused("not to the cloud"), *RIGHT[1:]))
    again, backend = run(wanted(), tmp_path, RIGHT[:1])

    assert refused.run.complete
    assert cells(refused, "local")["area"].cost.usd == 0
    assert len(backend.requests) == 1
    assert cells(again, "local")["area"].score.correct


@pytest.mark.parametrize(
    "error", [CollectionChanged("a label was raised"), StoreError("the store is away")]
)
def test_a_call_that_was_never_made_costs_nothing(tmp_path: Path, error: WindowfitError) -> None:
    comparison, _ = run(wanted(), tmp_path, (error, *RIGHT[1:]), prompt_tokens=counted)

    assert cells(comparison, "local")["area"].cost.usd == 0
    assert spent(tmp_path) == sum((one.cost.usd for one in comparison.cells), Decimal(0))


def test_half_of_a_surrogate_pair_does_not_lose_a_paid_answer(tmp_path: Path) -> None:
    comparison, _ = run(wanted(), tmp_path, ("Lima \ud83d [1].", *RIGHT[1:]))
    again, backend = run(wanted(), tmp_path)

    assert backend.requests == []
    assert comparison.cells[0].answer.startswith("Lima ")
    assert again.cells == comparison.cells


def test_questions_that_may_not_leave_are_sent_to_no_cloud(tmp_path: Path) -> None:
    cloud = profile(place="cloud")
    restricted = wanted(sensitivity=Sensitivity.RESTRICTED)

    refused, unasked = run(restricted, tmp_path / "restricted", RIGHT, profiles=[cloud])
    _, asked = run(wanted(), tmp_path / "internal", RIGHT, profiles=[cloud], prompt_tokens=counted)

    assert {cell.error for cell in refused.cells} == {"policy_no_route"}
    assert not unasked.requests
    assert len(asked.requests) == len(RIGHT)


def test_a_question_that_was_made_from_a_restricted_document_is_sent_to_no_cloud(
    tmp_path: Path,
) -> None:
    """Its own words tell of the document, whether the search finds it or not."""
    engine = MemoryEngine()
    fill(engine, (*labelled("restricted", PERU), CHAD), counter=mistral())
    about = [replace(one, documents=(PERU.id,)) for one in ASKED[1:2]]
    narrow = replace(LOCAL, budget=20)  # fits no chunk

    comparison, backend = run(
        wanted(narrow, asked=(*about, ASKED[0])),
        tmp_path,
        RIGHT,
        profiles=[profile(place="cloud")],
        engine=engine,
    )

    assert cells(comparison, "local")["capital"].error == "policy_no_route"
    assert [one.question for one in backend.requests] == [ASKED[0].question]
