from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from chunking.errors import ConfigurationError
from eval.cells import Seconds, Spent, Tokens
from eval.kept_cells import CellStore, Given, key_of

GIVEN = Given(
    "p",
    "It is 5 [1].",
    Tokens(100, 10, 5, "server"),
    Spent(Decimal("0.00010000000000000001"), "by a list"),
    Seconds(0.5, 1.5),
    {"entries": [{"chunk": "c", "marker": None}]},
    ({"marker": 1},),
    datetime(2026, 11, 22, tzinfo=UTC),
)


def test_what_was_given_is_read_back_by_another_process_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "run" / "calls.sqlite3"
    with CellStore(path) as store:
        place = store.begin("key", usd_at_most=Decimal(1))
        assert store.get("key") is None
        store.end(place, "key", GIVEN, arm="a", question="q")

    with CellStore(path) as again:
        assert again.get("key") == GIVEN
        assert again.spent() == GIVEN.cost.usd
    assert path.stat().st_mode & 0o077 == 0


def test_a_call_that_was_cut_off_counts_at_its_worst_case(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite3"
    killed = CellStore(path)
    killed.begin("lost", usd_at_most=Decimal("0.25"))
    undone = killed.begin("undone", usd_at_most=Decimal("9.00"))
    killed.forget(undone)
    killed.close()

    with CellStore(path) as store:
        assert store.get("lost") is None
        assert store.spent() == Decimal("0.25")
        place = store.begin("lost", usd_at_most=Decimal("0.25"))
        store.end(place, "lost", GIVEN, arm="a", question="q")
        assert store.spent() == Decimal("0.25") + GIVEN.cost.usd


def test_a_damaged_row_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite3"
    with CellStore(path) as store:
        store.end(0, "key", GIVEN, arm="a", question="q")
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE calls SET record = x'00'")

    with CellStore(path) as store:
        assert store.get("key") is None


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    other, newer = tmp_path / "other", tmp_path / "newer"
    other.write_text("no database, but long enough to be read as one" * 20)
    with sqlite3.connect(newer) as raw:
        raw.execute("PRAGMA user_version = 99")

    with pytest.raises(ConfigurationError, match="cannot keep a run"):
        CellStore(other)
    with pytest.raises(ConfigurationError, match="version 99"):
        CellStore(newer)


def test_equal_facts_have_one_key_and_others_another() -> None:
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    assert key_of({"a": 1}) != key_of({"a": "1"})


def test_a_write_that_fails_is_told_and_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite3"
    with CellStore(path) as store:
        store.end(0, "key", GIVEN, arm="a", question="q")
        with sqlite3.connect(path) as other:
            other.execute("DROP TABLE under_way")
        other.close()
        with pytest.raises(ConfigurationError, match="cannot keep a run"):
            store.begin("more", usd_at_most=Decimal(1))
        with pytest.raises(ConfigurationError, match="cannot keep a run"):
            store.end(0, "key", replace(GIVEN, answer="other"), arm="a", question="q")
        assert store.get("key") == GIVEN
