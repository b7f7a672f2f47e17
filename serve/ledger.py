"""Keeps one row of every answer call, in one SQLite file that only grows, and never a text.

A row is written when a call ends, before its last byte goes to the caller: answered, failed or
abandoned. A call to a cloud model has a row before anything is sent, too, with the outcome `open`:
a process that is killed in mid-call cannot take with it what had left. The database refuses to
change or delete a row. What a kill can and cannot take is said in `serve.database`.

Nothing here fails an answer. A row that cannot be written waits in memory for the next one, is
logged with its numbers, and shows in `problem`.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any, Final, Literal
from urllib.parse import quote

from chunking.counters import well_formed
from chunking.errors import LedgerUnavailable
from serve.database import Database, check_version
from serve.profile_entry import Place

_LOG = logging.getLogger("windowfit.serve")
_VERSION: Final = 1
_WAITING_LIMIT: Final = 10_000
"""Rows that wait in memory for a file that takes them; more are lost, and counted."""
_PAUSE_SECONDS: Final = 10.0
"""How long rows wait once a file was busy, so that answers do not queue for it."""
_LARGEST: Final = 2**63 - 1

FILE_NAME: Final = "ledger.sqlite3"
Outcome = Literal["open", "answered", "failed", "abandoned"]
TokenSource = Literal["measured", "planned"]


@dataclass(frozen=True, slots=True)
class CallRow:
    """One call: what was sent where and why, and what it took.

    Attributes:
        call: names the call; its two rows have it in common where there are two.
        request_id: of the request that it was made for; a fallback makes several calls for one.
        at: when the request was taken up, UTC.
        collection, model, place: None where the request was refused before they were known.
        route_reason, rule: why it went there, and the rule of the configuration that said so.
        outcome: "open" before a call to the cloud; of a call that has no other row, the process
            was killed in mid-call, or it is under way.
        error_code: of a failed call.
        sent: whether the prompt was handed to the model; else nothing left, and nothing is paid.
        streamed: whether the caller got the answer piece by piece.
        llm_calls: calls of the model; mode `exhaustive` makes several.
        cached_tokens: part of `prompt_tokens` that came from the provider's cache.
        tokens: "measured" by the model's server; "planned" are our count of the prompt and of the
            text that had arrived.
        price_usd, price_basis: what is billed by the token, see `serve.cost`; of a call that was
            sent and not answered, what it may be billed.
        hardware_usd, hardware_basis: the measured seconds at the profile's cost of an hour.
        first_token_seconds: from the request to the first text, all of it where it is not streamed.
        call_seconds: of the model alone; `total_seconds` with planning.
        output_tokens_per_second: output tokens by `call_seconds`.
        sensitivity: highest label of what was sent; None where nothing is labelled.
        sent_documents: documents of which the prompt held a part.
    """

    call: str
    request_id: str
    at: datetime
    tenant: str
    collection: str | None
    model: str | None
    place: Place | None
    route_reason: str | None
    rule: str | None
    outcome: Outcome
    error_code: str | None
    sent: bool
    streamed: bool
    llm_calls: int
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    tokens: TokenSource
    price_usd: Decimal
    price_basis: str
    hardware_usd: Decimal
    hardware_basis: str
    first_token_seconds: float | None
    call_seconds: float
    total_seconds: float
    output_tokens_per_second: float | None
    sensitivity: str | None
    sent_documents: int

    @property
    def usd(self) -> Decimal:
        """What the call cost in all."""
        return self.price_usd + self.hardware_usd


_COLUMNS: Final = tuple(field.name for field in fields(CallRow))
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS calls (
    call TEXT NOT NULL, request_id TEXT NOT NULL, at TEXT NOT NULL, tenant TEXT NOT NULL,
    collection TEXT, model TEXT, place TEXT, route_reason TEXT, rule TEXT,
    outcome TEXT NOT NULL, error_code TEXT, sent INTEGER NOT NULL, streamed INTEGER NOT NULL,
    llm_calls INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL, tokens TEXT NOT NULL,
    price_usd TEXT NOT NULL, price_basis TEXT NOT NULL,
    hardware_usd TEXT NOT NULL, hardware_basis TEXT NOT NULL,
    first_token_seconds REAL, call_seconds REAL NOT NULL, total_seconds REAL NOT NULL,
    output_tokens_per_second REAL, sensitivity TEXT, sent_documents INTEGER NOT NULL,
    UNIQUE (call, outcome)
);
CREATE INDEX IF NOT EXISTS ages ON calls (at);
CREATE TRIGGER IF NOT EXISTS no_change BEFORE UPDATE ON calls
    BEGIN SELECT RAISE(ABORT, 'rows of the ledger stay as they are'); END;
CREATE TRIGGER IF NOT EXISTS no_removal BEFORE DELETE ON calls
    BEGIN SELECT RAISE(ABORT, 'rows of the ledger stay'); END;
"""
# A row that waited may have been written after all: its second time changes nothing.
_INSERT: Final = (
    f"INSERT INTO calls ({', '.join(_COLUMNS)})"  # noqa: S608 - names of our own
    f" VALUES ({', '.join('?' * len(_COLUMNS))})"
    " ON CONFLICT (call, outcome) DO NOTHING"
)
_SELECT: Final = (
    f"SELECT {', '.join(_COLUMNS)} FROM calls AS row"  # noqa: S608 - names of our own
    " WHERE at >= ? AND at <= ? AND (outcome != 'open' OR NOT EXISTS"
    " (SELECT 1 FROM calls WHERE call = row.call AND outcome != 'open')) ORDER BY rowid"
)


class Ledger:
    """The rows of one file; safe to share between threads, and processes."""

    def __init__(self, path: Path) -> None:
        """Prepare the ledger; the file is opened by the first row."""
        self._database = Database(path, schema=_SCHEMA, version=_VERSION, keep_damaged=True)
        self._waiting: deque[CallRow] = deque()
        self._lock = Lock()
        self._lost = 0
        self._reason = ""
        self._paused_until = 0.0

    @property
    def problem(self) -> str | None:
        """How many calls the file does not hold, and why; None where it holds all."""
        missing = len(self._waiting) + self._lost
        if not missing:
            return None
        return f"{missing} rows are not in the ledger ({self._lost} lost): {self._reason}"

    def append(self, row: CallRow) -> bool:
        """Write a row, and those that wait, and return whether they are written; never raises."""
        with self._lock:
            self._waiting.append(row)
            if monotonic() >= self._paused_until and self._write():
                return True
            if len(self._waiting) > _WAITING_LIMIT:
                self._waiting.popleft()
                self._lost += 1
        told = {"reason": self._reason, **dict(zip(_COLUMNS, _values(row), strict=True))}
        _LOG.warning("call not in the ledger", extra={"fields": told})
        return False

    def close(self) -> None:
        """Write what waits, if that is possible now, and close the file; a next row opens it."""
        with self._lock:
            if self._waiting:
                self._write()
            self._database.close()

    def _write(self) -> bool:
        try:
            with self._database.transaction("IMMEDIATE") as connection:
                connection.executemany(_INSERT, map(_values, self._waiting))
        except (sqlite3.Error, OSError) as error:
            self._reason = f"{self._database.path}: {error}"
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                self._paused_until = monotonic() + _PAUSE_SECONDS
            return False
        self._waiting.clear()
        return True


def read_ledger(
    path: Path, *, since: date | None = None, until: date | None = None
) -> Iterator[CallRow]:
    """Yield the rows of the days from `since` to `until`, both whole and in UTC, in their order.

    Of a call that has ended the row of its end is read alone. Nothing is written, so that a ledger
    can be read beside a running service.

    Raises:
        LedgerUnavailable: there is no such file, or it cannot be read.
    """
    first = datetime.combine(since or date.min, time(), tzinfo=UTC)
    last = datetime.combine(until or date.max, time.max, tzinfo=UTC)
    if not path.exists():
        raise LedgerUnavailable(f"there is no ledger at {path}")
    try:
        address = f"file:{quote(str(path.absolute()))}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
            check_version(connection, _VERSION)
            for values in connection.execute(_SELECT, (_text(first), _text(last))):
                yield _row(values)
    except (sqlite3.Error, ValueError, ArithmeticError) as error:
        raise LedgerUnavailable(f"cannot read {path}: {error}") from error


def _values(row: CallRow) -> tuple[Any, ...]:
    return tuple(_stored(getattr(row, name)) for name in _COLUMNS)


def _stored(value: Any) -> Any:
    """Return a value as the file takes it, whatever a server or caller has sent."""
    match value:
        case bool():
            return int(value)
        case int():
            return min(value, _LARGEST)
        case str():
            return well_formed(value)
        case datetime():
            return _text(value)
        case Decimal():
            return str(value)
        case _:
            return value


def _text(moment: datetime) -> str:
    """Return a moment so that texts order as moments do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _row(values: tuple[Any, ...]) -> CallRow:
    given = dict(zip(_COLUMNS, values, strict=True))
    given["at"] = datetime.fromisoformat(given["at"])
    for name in ("price_usd", "hardware_usd"):
        given[name] = Decimal(given[name])
    for name in ("sent", "streamed"):
        given[name] = bool(given[name])
    return CallRow(**given)
