"""Keeps what every call of a run gave in one SQLite file, so that no call is made twice.

A call is one row, written in one transaction when it has ended: a run that is killed loses the
calls that were under way, one for each that may run at a time, and nothing else. What such a call
may have cost is written before it is made and taken out with its row, so that lost calls count at
their worst case, and a limit on money holds over any number of runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from chunking.counters import well_formed
from chunking.errors import ConfigurationError, WindowfitError
from eval.cells import Seconds, Spent, Tokens
from serve.answer import Answer
from serve.plan import Plan
from serve.schema import as_json, usage_of

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    key TEXT PRIMARY KEY, arm TEXT NOT NULL, question TEXT NOT NULL, made_at TEXT NOT NULL,
    usd TEXT NOT NULL, record BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS under_way (
    place INTEGER PRIMARY KEY, key TEXT NOT NULL, begun_at TEXT NOT NULL, usd TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Given:
    """What a call gave, or the error that it ended with; see `Cell`.

    Attributes:
        profile: the one that answered, by the report.
    """

    profile: str
    answer: str
    tokens: Tokens
    cost: Spent
    seconds: Seconds
    report: Mapping[str, Any]
    citations: tuple[Mapping[str, Any], ...]
    made_at: datetime
    finish_reason: str = ""
    error: str | None = None
    retryable: bool = False


_GIVEN = TypeAdapter(Given)


def key_of(facts: Mapping[str, Any]) -> str:
    """Return the key of a call: equal facts, equal key; nothing of them can be read from it."""
    written = json.dumps(facts, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(written.encode()).hexdigest()


class CellStore:
    """The calls of one run; used by one thread of one process.

    Raises:
        ConfigurationError: by all that write, where the disk is full or the file is gone.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, made where it is missing; only its owner may read it.

        Raises:
            ConfigurationError: it cannot be opened, or is no such file.
        """
        self._path = path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            version = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
            if version == 0:
                self._connection.executescript(f"{_SCHEMA}PRAGMA user_version = {_VERSION};")
        except (sqlite3.Error, OSError) as error:
            raise self._refusal(error) from error
        if version not in {0, _VERSION}:
            raise self._refusal(f"version {version}, this is {_VERSION}")

    def get(self, key: str) -> Given | None:
        """Return what a call gave; None where it was not made, or has to be made again."""
        row = self._connection.execute("SELECT record FROM calls WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        try:
            return _GIVEN.validate_json(zlib.decompress(row[0]))
        except (zlib.error, ValidationError):
            return None

    def begin(self, key: str, *, usd_at_most: Decimal) -> int:
        """Note that a call is about to be made; return what `end` and `forget` know it by."""
        with self._transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO under_way (key, begun_at, usd) VALUES (?, ?, ?)",
                (key, datetime.now(UTC).isoformat(), str(usd_at_most)),
            )
        return int(cursor.lastrowid or 0)

    def end(self, place: int, key: str, given: Given, *, arm: str, question: str) -> None:
        """Keep what a call gave.

        What an earlier call of the same key cost stays counted, though its answer is replaced.
        """
        record = zlib.compress(_GIVEN.dump_json(given), 6)
        made_at = given.made_at.isoformat()
        with self._transaction() as connection:
            paid = connection.execute("SELECT usd FROM calls WHERE key = ?", (key,)).fetchone()
            usd = given.cost.usd + (Decimal(0) if paid is None else Decimal(paid[0]))
            connection.execute(
                "INSERT OR REPLACE INTO calls VALUES (?, ?, ?, ?, ?, ?)",
                (key, arm, question, made_at, str(usd), record),
            )
            connection.execute("DELETE FROM under_way WHERE place = ?", (place,))

    def forget(self, place: int) -> None:
        """Forget a call that cost nothing because it ended before it was made."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM under_way WHERE place = ?", (place,))

    def spent(self) -> Decimal:
        """Return what all calls have cost, those that were lost at their worst case."""
        rows = self._connection.execute("SELECT usd FROM calls UNION ALL SELECT usd FROM under_way")
        return sum((Decimal(usd) for (usd,) in rows), Decimal(0))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Return the store, closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
        except sqlite3.Error as error:
            raise self._refusal(error) from error

    def _refusal(self, error: object) -> ConfigurationError:
        return ConfigurationError(
            f"cannot keep a run in {self._path}: {error}",
            hint="free space on the disk, or give another folder with --run",
            param="run",
        )


def given_answer(answer: Answer) -> Given:
    """Return what is kept of an answer."""
    usage, timings = usage_of(answer), answer.timings_ms
    before = timings.get("search", 0) + timings.get("plan", 0)
    first = timings.get("first_piece", timings["complete"])
    return Given(
        profile=answer.report.model,
        # A server may send half of a surrogate pair; no file holds that.
        answer=well_formed(answer.text),
        tokens=Tokens(
            usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens, usage.source
        ),
        cost=Spent(answer.bill.tokens.usd, answer.bill.tokens.basis, answer.bill.hardware.usd),
        seconds=Seconds((before + first) / 1000, (before + timings["complete"]) / 1000),
        report=as_json(answer.report),
        citations=tuple(as_json(citation) for citation in answer.citations),
        made_at=datetime.now(UTC),
        finish_reason=answer.completion.finish_reason,
    )


def given_failure(
    error: WindowfitError, plan: Plan | None, profile: str, *, usd: Decimal, seconds: float
) -> Given:
    """Return what is kept of a call that ended with an error, and cost so much."""
    report: Any = {} if plan is None else as_json(plan.report)
    basis = "at most: the call failed after it was sent" if usd else "nothing was answered"
    return Given(
        profile=profile,
        answer="",
        tokens=Tokens(0, 0, 0, "planned"),
        cost=Spent(usd, basis),
        seconds=Seconds(None, seconds),
        report=report,
        citations=(),
        made_at=datetime.now(UTC),
        error=error.code,
        retryable=error.retryable,
    )
