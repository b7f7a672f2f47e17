"""`windowfit cost` over a ledger, and over answers that a command has just given."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from serve.ledger import FILE_NAME, CallRow, Ledger, read_ledger
from tests.integration.commands import Command
from tests.integration.test_cli import ingest, refused
from tests.rows import MORNING, row


def write(tmp_path: Path, *rows: CallRow) -> None:
    ledger = Ledger(tmp_path / "home" / FILE_NAME)
    assert all(ledger.append(one) for one in rows)
    ledger.close()


ROWS = (
    row("1", price_usd=Decimal("0.1")),
    row("2", price_usd=Decimal("0.2"), at=MORNING + timedelta(days=1)),
    row("3", price_usd=Decimal("0.0000000000000000001"), model="local-model", place="local"),
    row("4", price_usd=Decimal(5), outcome="failed", error_code="upstream_timeout"),
)


def test_the_report_is_exact_where_a_float_would_not_be(command: Command, tmp_path: Path) -> None:
    write(tmp_path, *ROWS)

    told = command("cost", "report", "--json").json

    assert told["total"]["usd"] == "0.3000000000000000001"
    assert told["total"]["unanswered_usd"] == "5"
    assert [(group["day"], group["model"], group["usd"]) for group in told["groups"]] == [
        ("2026-11-21", "cloud-model", "0.1"),
        ("2026-11-21", "local-model", "0.0000000000000000001"),
        ("2026-11-22", "cloud-model", "0.2"),
    ]


def test_days_and_columns_are_chosen(command: Command, tmp_path: Path) -> None:
    write(tmp_path, *ROWS)

    ended = command("cost", "report", "--by", "place", "--since", "2026-11-22", "--json")

    assert [(group["place"], group["calls"]) for group in ended.json["groups"]] == [("cloud", 1)]
    assert (ended.json["since"], ended.json["until"]) == ("2026-11-22", None)


def test_the_table_shows_a_total_and_says_what_its_figures_are(
    command: Command, tmp_path: Path
) -> None:
    write(tmp_path, *ROWS, row("5", model="[red]odd[/]", tokens="planned", outcome="open"))

    out = command("cost", "report").out

    assert "[red]odd[/]" in out
    assert "total" in out
    assert "0.300000" in out
    assert "tokens of 1 calls are planned" in out
    assert "1 calls have no end" in out


def test_csv_has_the_figures_of_the_json(command: Command, tmp_path: Path) -> None:
    write(tmp_path, *ROWS)

    parsed = list(csv.DictReader(io.StringIO(command("cost", "report", "--csv").out)))

    assert [line["usd"] for line in parsed] == ["0.1", "0.0000000000000000001", "0.2"]


def test_egress_tells_what_left_and_why(command: Command, tmp_path: Path) -> None:
    write(
        tmp_path,
        row("1", sensitivity="internal", rule="reasoning"),
        row("2", sensitivity="internal", rule="reasoning", outcome="abandoned"),
        row("3", sensitivity=None),
        row("4", sensitivity="restricted", place="local"),
    )

    ended = command("cost", "egress", "--json")

    assert ended.code == 0
    groups = [
        (group["rule"], group["sensitivity"], group["calls"], group["prompt_tokens"])
        for group in ended.json["groups"]
    ]
    assert groups == [("none", "none", 1, 1000), ("reasoning", "internal", 2, 2000)]
    assert (ended.json["restricted_calls"], ended.json["unlabelled_calls"]) == (0, 1)
    assert "restricted: 0 (must be 0); without a label: 1" in command("cost", "egress").out


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)])
def test_anything_restricted_that_left_ends_with_a_failed_gate(
    command: Command, tmp_path: Path, form: tuple[str, ...]
) -> None:
    write(tmp_path, row("1", sensitivity="restricted"))

    assert command("cost", "egress", *form).code == 5


def test_without_a_ledger_nothing_is_claimed(command: Command) -> None:
    assert "there is no ledger" in refused(command("cost", "egress", "--json"), code=4)


def test_days_in_the_wrong_order_are_refused(command: Command, tmp_path: Path) -> None:
    write(tmp_path, *ROWS)

    ended = command("cost", "report", "--since", "2026-11-22", "--until", "2026-11-21")

    assert "is after" in refused(ended, code=2)


def test_a_ledger_that_was_damaged_is_called_incomplete(command: Command, tmp_path: Path) -> None:
    write(tmp_path, *ROWS)
    (tmp_path / "home" / f"{FILE_NAME}.damaged").write_bytes(b"damaged")

    assert "NOT COMPLETE" in command("cost", "egress").out
    assert command("cost", "report", "--json").json["damaged_files"] == [f"{FILE_NAME}.damaged"]


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)])
def test_an_account_of_what_left_that_is_not_complete_is_no_success(
    command: Command, tmp_path: Path, form: tuple[str, ...]
) -> None:
    write(tmp_path, row("1", sensitivity="internal"))
    whole = command("cost", "egress", *form)
    (tmp_path / "home" / f"{FILE_NAME}.damaged").write_bytes(b"damaged")

    ended = command("cost", "egress", *form)

    assert (whole.code, whole.err, ended.code) == (0, "", 4)
    assert f"NOT COMPLETE: damaged files were set aside: {FILE_NAME}.damaged" in ended.err
    if form == ("--json",):
        assert (whole.json["complete"], ended.json["complete"]) == (True, False)


def test_restricted_text_that_left_outweighs_damage(command: Command, tmp_path: Path) -> None:
    write(tmp_path, row("1", sensitivity="restricted"))
    (tmp_path / "home" / f"{FILE_NAME}.damaged").write_bytes(b"damaged")

    assert command("cost", "egress").code == 5


def test_an_answer_of_the_command_line_is_in_the_ledger(command: Command, tmp_path: Path) -> None:
    ingest(command, tmp_path)
    asked = command("ask", "Capital of Peru?", "--collection", "small", "--json").json
    command("ask", "Capital of Peru?", "--collection", "small", "--dry-run")
    assert command("ask", "Capital?", "--collection", "nonesuch").code == 2

    rows = list(read_ledger(tmp_path / "home" / FILE_NAME))

    assert [(one.outcome, one.error_code) for one in rows] == [
        ("answered", None),
        ("failed", "collection_not_found"),
    ]
    assert rows[0].request_id == asked["request_id"]
    told = command("cost", "report", "--by", "collection", "--by", "tenant", "--json").json
    assert [(group["collection"], group["tenant"]) for group in told["groups"]] == [
        ("none", "default"),
        ("small", "default"),
    ]
