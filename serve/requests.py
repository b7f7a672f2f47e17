"""Keeps every answered request with its receipt in one SQLite file, bounded by age, count and size.

Why a killed process loses no receipt that a client has seen: a record is one transaction, committed
before the response is sent, and SQLite's write-ahead log gives it to the operating system with the
commit. `kill -9` takes nothing back from there; the next opening replays the log, and half a record
fails its checksum and is as if it had never been. A power failure may take the last records, never
the file (https://sqlite.org/wal.html, https://sqlite.org/pragma.html#pragma_synchronous).

A file that is no database is set aside under `.damaged`, and a new one begun. Nothing here fails an
answer: a record that cannot be written is logged and shows in `problem`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any, Final, Literal

from chunking.errors import RequestNotFound, RequestsUnavailable
from serve.settings import ServeSettings

_LOG = logging.getLogger("windowfit.serve")
_BUSY_SECONDS: Final = 2.0
"""How long a writer waits for another process before the record is given up."""
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS requests (
    place INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    size INTEGER NOT NULL,
    record BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS ages ON requests (created_at, size);
"""

Kind = Literal["answer", "preview"]
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """A request that was answered or previewed.

    Attributes:
        id: the request id; where a caller gave the same id twice, the later request is kept.
        receipt: what the caller got, without the texts of the prompt and of the citations.
        replay: what rebuilds the prompt; see `serve.replay`.
    """

    id: str
    kind: Kind
    created_at: datetime
    receipt: Json
    replay: Json


class RequestStore:
    """The kept requests of one file; safe to share between threads, and processes.

    Attributes:
        problem: why the last record could not be written; None where it was.
    """

    def __init__(
        self,
        path: Path,
        *,
        limit: int,
        limit_bytes: int,
        days: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Prepare the store; the file is opened by the first use.

        Args:
            path: the file; its folder is made where it is missing.
            limit: most requests; the oldest go first.
            limit_bytes: most bytes of all records together, as they are stored.
            days: how long a request is kept.
            now: the clock.
        """
        self._path = path
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._days = days
        self._now = now
        self._open: sqlite3.Connection | None = None
        self._lock = Lock()
        self.problem: str | None = None

    def put(self, request: KeptRequest) -> bool:
        """Keep a request, and return whether it is kept; never raises."""
        record = {"kind": request.kind, "receipt": request.receipt, "replay": request.replay}
        packed = zlib.compress(json.dumps(record, separators=(",", ":")).encode("ascii"), 1)
        if len(packed) > self._limit_bytes:
            return self._given_up(request.id, f"{len(packed)} bytes > {self._limit_bytes}")
        row = (request.id, request.created_at.isoformat(), len(packed), packed)
        try:
            with self._transaction("IMMEDIATE") as connection:
                # A replaced row gets a new place: the newest.
                connection.execute(
                    "INSERT OR REPLACE INTO requests (id, created_at, size, record)"
                    " VALUES (?, ?, ?, ?)",
                    row,
                )
                self._prune(connection)
        except (sqlite3.Error, OSError) as error:
            return self._given_up(request.id, f"{self._path}: {error}")
        self.problem = None
        return True

    def _given_up(self, request_id: str, reason: str) -> bool:
        self.problem = f"the last request is not kept: {reason}"
        fields = {"request_id": request_id, "reason": reason}
        _LOG.warning("request not kept", extra={"fields": fields})
        return False

    def get(self, request_id: str) -> KeptRequest:
        """Return a kept request.

        Raises:
            RequestNotFound: none of that id is kept, or not any more.
            RequestsUnavailable: the file cannot be read.
        """
        oldest = (self._now() - timedelta(days=self._days)).isoformat()
        try:
            with self._transaction("DEFERRED") as connection:
                row = connection.execute(
                    "SELECT created_at, record FROM requests WHERE id = ? AND created_at >= ?",
                    (request_id, oldest),
                ).fetchone()
        except (sqlite3.Error, OSError) as error:
            raise RequestsUnavailable(f"cannot read {self._path}: {error}") from error
        if row is None:
            raise RequestNotFound(f"no request {request_id!r} is kept", param="request_id")
        try:
            record = json.loads(zlib.decompress(row[1]))
        except (zlib.error, ValueError) as error:
            raise RequestsUnavailable(f"the record of {request_id!r} is damaged") from error
        created_at = datetime.fromisoformat(row[0])
        return KeptRequest(
            request_id, record["kind"], created_at, record["receipt"], record["replay"]
        )

    def count(self) -> int:
        """Return how many requests are kept."""
        with self._transaction("DEFERRED") as connection:
            (count,) = connection.execute("SELECT count(*) FROM requests").fetchone()
        return int(count)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            self._disconnect()

    def _prune(self, connection: sqlite3.Connection) -> None:
        """Remove what is too old, then the oldest until count and bytes are within their limits."""
        oldest = (self._now() - timedelta(days=self._days)).isoformat()
        connection.execute("DELETE FROM requests WHERE created_at < ?", (oldest,))
        count, size = connection.execute(
            "SELECT count(*), coalesce(sum(size), 0) FROM requests"
        ).fetchone()
        while count > self._limit or size > self._limit_bytes:
            place, gone = connection.execute(
                "SELECT place, size FROM requests ORDER BY place LIMIT 1"
            ).fetchone()
            connection.execute("DELETE FROM requests WHERE place = ?", (place,))
            count, size = count - 1, size - gone

    @contextlib.contextmanager
    def _transaction(self, kind: Literal["DEFERRED", "IMMEDIATE"]) -> Iterator[sqlite3.Connection]:
        """Give one thread the connection; its changes are committed whole or not at all."""
        with self._lock:
            try:
                connection = self._connected()
                with connection:
                    connection.execute(f"BEGIN {kind}")
                    yield connection
            except (sqlite3.Error, OSError) as error:
                self._disconnect()
                if getattr(error, "sqlite_errorcode", None) in _DAMAGED:
                    self._set_aside()
                raise

    def _connected(self) -> sqlite3.Connection:
        if self._open is None:
            try:
                self._open = _connect(self._path)
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", None) not in _DAMAGED:
                    raise
                self._set_aside()
                self._open = _connect(self._path)
        return self._open

    def _disconnect(self) -> None:
        if self._open is not None:
            with contextlib.suppress(sqlite3.Error):
                self._open.close()
            self._open = None

    def _set_aside(self) -> None:
        _LOG.warning("damaged file set aside", extra={"fields": {"file": str(self._path)}})
        with contextlib.suppress(FileNotFoundError):
            self._path.replace(self._path.with_name(f"{self._path.name}.damaged"))
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)


def open_requests(home: Path, settings: ServeSettings) -> RequestStore | None:
    """Return the store that the settings describe; None where requests are not kept."""
    if not settings.keep_requests:
        return None
    return RequestStore(
        home / "requests.sqlite3",
        limit=settings.requests_limit,
        limit_bytes=settings.requests_limit_bytes,
        days=settings.requests_days,
    )


def _connect(path: Path) -> sqlite3.Connection:
    """Open the file, made with its table where it is missing; only its owner may read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    connection = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        for pragma in (
            "journal_mode = WAL",
            "synchronous = NORMAL",
            "journal_size_limit = 1048576",
        ):
            connection.execute(f"PRAGMA {pragma}")
        if _version_of(connection) == 0:
            connection.executescript(f"{_SCHEMA}PRAGMA user_version = {_VERSION};")
    except BaseException:
        connection.close()
        raise
    return connection


def _version_of(connection: sqlite3.Connection) -> int:
    """Return 0 for a new file, or the one version that this code reads and writes."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version not in {0, _VERSION}:
        raise sqlite3.OperationalError(f"file of version {version}, this is {_VERSION}")
    return version
