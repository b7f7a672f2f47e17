from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from serve.database import Database, damaged_files

SCHEMA = "CREATE TABLE IF NOT EXISTS words (word TEXT NOT NULL);"


def database(path: Path, **changes: bool) -> Database:
    return Database(path / "words.sqlite3", schema=SCHEMA, version=1, **changes)


def words(opened: Database) -> list[str]:
    with opened.transaction("DEFERRED") as connection:
        return [word for (word,) in connection.execute("SELECT word FROM words")]


def test_a_transaction_that_fails_changes_nothing_and_the_next_succeeds(tmp_path: Path) -> None:
    opened = database(tmp_path)

    with pytest.raises(sqlite3.IntegrityError), opened.transaction("IMMEDIATE") as connection:
        connection.executemany("INSERT INTO words VALUES (?)", [("half",), (None,)])
    with opened.transaction("IMMEDIATE") as connection:
        connection.execute("INSERT INTO words VALUES ('whole')")

    assert words(opened) == ["whole"]


def test_a_closed_file_is_opened_by_its_next_use(tmp_path: Path) -> None:
    opened = database(tmp_path)
    with opened.transaction("IMMEDIATE") as connection:
        connection.execute("INSERT INTO words VALUES ('kept')")

    opened.close()

    assert words(opened) == ["kept"]


@pytest.mark.parametrize(("keep", "count"), [(True, 3), (False, 1)])
def test_damaged_files_take_each_others_place_unless_they_are_to_be_kept(
    tmp_path: Path, keep: bool, count: int
) -> None:
    for number in range(3):
        (tmp_path / "words.sqlite3").write_text(f"damage {number}" * 100)
        opened = database(tmp_path, keep_damaged=keep)
        assert words(opened) == []
        opened.close()

    aside = damaged_files(tmp_path / "words.sqlite3")
    assert len(aside) == count
    assert any(path.read_text().startswith("damage 2") for path in aside)


def test_a_file_whose_tables_were_not_finished_gets_them(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "words.sqlite3")
    connection.execute(SCHEMA)  # and the process was killed before it wrote the version
    connection.close()

    assert words(database(tmp_path)) == []
