from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import monotonic

import pytest

from chunking.errors import LedgerUnavailable
from serve.ledger import FILE_NAME, CallRow, Ledger, Outcome, read_ledger
from tests.killed import acknowledged_before_kill
from tests.rows import MORNING, row


def ledger(folder: Path) -> Ledger:
    return Ledger(folder / FILE_NAME)


def read(folder: Path, **days: date) -> list[CallRow]:
    return list(read_ledger(folder / FILE_NAME, **days))


def test_a_row_comes_back_as_it_was(tmp_path: Path) -> None:
    full = row(
        "a",
        collection="small",
        rule="regulated",
        error_code="rate_limited",
        price_usd=Decimal("0.000000000000000001234567890123456789"),
        first_token_seconds=0.25,
        output_tokens_per_second=None,
        sensitivity="internal",
    )
    kept = ledger(tmp_path)

    assert kept.append(full)

    assert read(tmp_path) == [full]
    kept.close()
    assert read(tmp_path) == [full]


def test_the_database_refuses_to_change_or_delete_a_row(tmp_path: Path) -> None:
    ledger(tmp_path).append(row("a"))
    connection = sqlite3.connect(tmp_path / FILE_NAME)

    for statement in ("UPDATE calls SET price_usd = '0'", "DELETE FROM calls"):
        with pytest.raises(sqlite3.IntegrityError, match="stay"):
            connection.execute(statement)
    connection.close()


def test_days_are_whole_and_in_utc(tmp_path: Path) -> None:
    kept = ledger(tmp_path)
    day = date(2026, 11, 21)
    begin = datetime(2026, 11, 21, tzinfo=UTC)
    moments = {
        "before": begin - timedelta(microseconds=1),
        "first": begin,
        "last": begin + timedelta(days=1, microseconds=-1),
        "after": begin + timedelta(days=1),
    }
    for name, moment in moments.items():
        kept.append(row(name, at=moment))

    assert [one.call for one in read(tmp_path, since=day, until=day)] == ["first", "last"]
    assert [one.call for one in read(tmp_path, since=day)] == ["first", "last", "after"]
    assert [one.call for one in read(tmp_path, until=day)] == ["before", "first", "last"]


@pytest.mark.parametrize("end", ["answered", "failed", "abandoned"])
def test_of_a_call_that_has_ended_its_end_is_read_alone(tmp_path: Path, end: Outcome) -> None:
    kept = ledger(tmp_path)

    kept.append(row("a", outcome="open"))
    kept.append(row("b", outcome="open"))
    kept.append(row("a", outcome=end))

    assert [(one.call, one.outcome) for one in read(tmp_path)] == [("b", "open"), ("a", end)]


def test_what_cannot_be_stored_as_it_is_is_stored_as_it_can_be(tmp_path: Path) -> None:
    kept = ledger(tmp_path)

    assert kept.append(row("a", collection="x\ud800", output_tokens=10**30))

    (found,) = read(tmp_path)
    assert (found.collection, found.output_tokens) == ("x\ufffd", 2**63 - 1)


def test_threads_and_ledgers_may_write_at_once(tmp_path: Path) -> None:
    ledgers = [ledger(tmp_path), ledger(tmp_path)]

    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(lambda n: ledgers[n % 2].append(row(str(n))), range(200)))

    assert all(kept)
    assert {one.call for one in read(tmp_path)} == {str(number) for number in range(200)}


def test_a_killed_process_loses_no_row_that_it_had_acknowledged(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from serve.ledger import FILE_NAME, Ledger\n"
        "from tests.rows import row\n"
        "ledger = Ledger(Path(sys.argv[1]) / FILE_NAME)\n"
        "number = 0\n"
        "while True:\n"
        "    assert ledger.append(row(str(number)))\n"
        "    print(number, flush=True)\n"
        "    number += 1\n"
    )
    acknowledged = acknowledged_before_kill(script, tmp_path)

    found = [one.call for one in read(tmp_path)]
    assert found[: len(acknowledged)] == acknowledged
    assert len(found) <= len(acknowledged) + 1
    assert ledger(tmp_path).append(row("after"))


def test_damaged_files_are_set_aside_and_none_takes_the_place_of_another(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / FILE_NAME).write_bytes(b"no database %d" % number * 100)
        kept = ledger(tmp_path)
        assert kept.append(row(str(number)))
        kept.close()

    aside = [f"{FILE_NAME}.damaged{ending}" for ending in ("", "-2", "-3")]
    assert [(tmp_path / name).read_bytes()[:13] for name in aside] == [
        b"no database %d" % number for number in range(3)
    ]
    assert [one.call for one in read(tmp_path)] == ["2"]


def test_a_file_damaged_while_it_is_open_costs_no_row_that_came_after(tmp_path: Path) -> None:
    kept = ledger(tmp_path)
    for number in range(200):
        kept.append(row(str(number)))
    kept.close()
    path = tmp_path / FILE_NAME
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)

    assert kept.append(row("after")) is False
    assert kept.append(row("later"))

    assert [one.call for one in read(tmp_path)] == ["after", "later"]
    assert kept.problem is None


def test_rows_that_cannot_be_written_wait_and_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.database._BUSY_SECONDS", 0.05)
    kept = ledger(tmp_path)
    kept.append(row("a"))
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    assert [kept.append(row(name)) for name in "bc"] == [False, False]
    assert str(kept.problem).startswith("2 rows are not in the ledger (0 lost)")
    other.execute("ROLLBACK")
    other.close()
    kept.close()

    assert kept.problem is None
    assert [one.call for one in read(tmp_path)] == ["a", "b", "c"]


def test_a_busy_file_is_waited_for_once_and_not_by_every_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.database._BUSY_SECONDS", 0.2)
    kept = ledger(tmp_path)
    kept.append(row("a"))
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    begun = monotonic()
    for number in range(20):
        assert kept.append(row(str(number))) is False
    assert monotonic() - begun < 2
    other.execute("ROLLBACK")
    other.close()
    monkeypatch.setattr(kept, "_paused_until", 0.0)

    assert kept.append(row("last"))
    assert len(read(tmp_path)) == 22


def test_a_row_that_waited_and_was_written_after_all_is_there_once(tmp_path: Path) -> None:
    kept = ledger(tmp_path)

    assert kept.append(row("a"))
    assert kept.append(row("a"))

    assert len(read(tmp_path)) == 1


def test_only_so_many_rows_wait_and_the_rest_is_counted_as_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.ledger._WAITING_LIMIT", 3)
    (tmp_path / "file").write_text("in the way")
    kept = ledger(tmp_path / "file" / "below")

    for number in range(5):
        assert kept.append(row(str(number))) is False

    assert kept.problem is not None
    assert kept.problem.startswith("5 rows are not in the ledger (2 lost)")


def test_a_row_that_is_not_written_is_logged_with_its_numbers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")

    ledger(tmp_path / "file" / "below").append(row("a", price_usd=Decimal("0.25")))

    (record,) = caplog.records
    assert record.getMessage() == "call not in the ledger"
    assert record.__dict__["fields"]["price_usd"] == "0.25"


def test_a_file_of_another_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    assert ledger(tmp_path).append(row("a")) is False

    assert [found.name for found in tmp_path.glob("*.damaged*")] == []
    with pytest.raises(LedgerUnavailable, match="version 99, this is 1"):
        read(tmp_path)


def test_an_emptied_file_is_not_taken_for_a_ledger_without_calls(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).touch()

    with pytest.raises(LedgerUnavailable, match="no such table"):
        read(tmp_path)


def test_a_missing_ledger_is_told_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="there is no ledger"):
        read(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_reading_a_damaged_ledger_is_refused_and_leaves_it_where_it_is(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no database at all" * 100)

    with pytest.raises(LedgerUnavailable, match="cannot read"):
        read(tmp_path)

    assert [found.name for found in tmp_path.iterdir()] == [FILE_NAME]


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    kept = ledger(tmp_path)
    kept.append(row("a"))

    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path.name


def test_what_a_call_cost_is_the_sum_of_tokens_and_hardware() -> None:
    one = replace(row("a"), price_usd=Decimal("0.1"), hardware_usd=Decimal("0.2"))

    assert one.usd == Decimal("0.3")
    assert one.at == MORNING
