"""Keeps every answered request with its receipt in one SQLite file, bounded by age, count and size.

A killed process loses no receipt that a client has seen: a record is one transaction, committed
before the response is sent; see `serve.database`. Nothing here fails an answer: a record that
cannot be written is logged and shows in `problem`.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from chunking.errors import RequestNotFound, RequestsUnavailable
from serve.database import Database
from serve.settings import ServeSettings

_LOG = logging.getLogger("windowfit.serve")
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
        self._database = Database(path, schema=_SCHEMA, version=_VERSION)
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._days = days
        self._now = now
        self.problem: str | None = None

    def put(self, request: KeptRequest) -> bool:
        """Keep a request, and return whether it is kept; never raises."""
        record = {"kind": request.kind, "receipt": request.receipt, "replay": request.replay}
        packed = zlib.compress(json.dumps(record, separators=(",", ":")).encode("ascii"), 1)
        if len(packed) > self._limit_bytes:
            return self._given_up(request.id, f"{len(packed)} bytes > {self._limit_bytes}")
        row = (request.id, request.created_at.isoformat(), len(packed), packed)
        try:
            with self._database.transaction("IMMEDIATE") as connection:
                # A replaced row gets a new place: the newest.
                connection.execute(
                    "INSERT OR REPLACE INTO requests (id, created_at, size, record)"
                    " VALUES (?, ?, ?, ?)",
                    row,
                )
                self._prune(connection)
        except (sqlite3.Error, OSError) as error:
            return self._given_up(request.id, f"{self._database.path}: {error}")
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
            with self._database.transaction("DEFERRED") as connection:
                row = connection.execute(
                    "SELECT created_at, record FROM requests WHERE id = ? AND created_at >= ?",
                    (request_id, oldest),
                ).fetchone()
        except (sqlite3.Error, OSError) as error:
            raise RequestsUnavailable(f"cannot read {self._database.path}: {error}") from error
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
        with self._database.transaction("DEFERRED") as connection:
            (count,) = connection.execute("SELECT count(*) FROM requests").fetchone()
        return int(count)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._database.close()

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
