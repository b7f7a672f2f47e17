"""Opens one SQLite file so that a kill, damage, another version or a busy writer harms nothing.

Why a killed process loses nothing that it had acknowledged: a change is one transaction, and the
write-ahead log gives it to the operating system with the commit. `kill -9` takes nothing back from
there; the next opening replays the log, and half a record fails its checksum and is as if it had
never been. A power failure may take the last transactions, never the file
(https://sqlite.org/wal.html, https://sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Final, Literal

_LOG = logging.getLogger("windowfit.serve")
_BUSY_SECONDS: Final = 2.0
"""How long a writer waits for another process before its change is given up."""
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Database:
    """One file with its tables; safe to share between threads, and processes.

    A file that is no database is set aside under `.damaged`, and a new one begun.
    """

    def __init__(
        self, path: Path, *, schema: str, version: int, keep_damaged: bool = False
    ) -> None:
        """Prepare the file; it is opened by the first use.

        Args:
            path: the file; its folder is made where it is missing.
            schema: the statements that make its tables.
            version: of the tables; a file of another version is left alone and refused.
            keep_damaged: whether a damaged file is kept beside those set aside before it, under a
                number of its own, and does not take their place.
        """
        self.path = path
        self._schema = schema
        self._version = version
        self._keep_damaged = keep_damaged
        self._open: sqlite3.Connection | None = None
        self._lock = Lock()

    @contextlib.contextmanager
    def transaction(self, kind: Literal["DEFERRED", "IMMEDIATE"]) -> Iterator[sqlite3.Connection]:
        """Give one thread the connection; its changes are committed whole or not at all.

        Raises:
            sqlite3.Error, OSError: the file cannot be used; the next use opens it again.
        """
        with self._lock:
            try:
                connection = self._connected()
                with connection:
                    connection.execute(f"BEGIN {kind}")
                    yield connection
            except (sqlite3.Error, OSError) as error:
                self._disconnect()
                if _is_damage(error):
                    self._set_aside()
                raise

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            self._disconnect()

    def _connected(self) -> sqlite3.Connection:
        if self._open is None:
            try:
                self._open = self._connect()
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._set_aside()
                self._open = self._connect()
        return self._open

    def _connect(self) -> sqlite3.Connection:
        """Open the file, made with its tables where it is missing; only its owner may read it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch(mode=0o600)
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            for pragma in (
                "journal_mode = WAL",
                "synchronous = NORMAL",
                "journal_size_limit = 1048576",
            ):
                connection.execute(f"PRAGMA {pragma}")
            if check_version(connection, self._version) == 0:
                connection.executescript(f"{self._schema}PRAGMA user_version = {self._version};")
        except BaseException:
            connection.close()
            raise
        return connection

    def _disconnect(self) -> None:
        if self._open is not None:
            with contextlib.suppress(sqlite3.Error):
                self._open.close()
            self._open = None

    def _set_aside(self) -> None:
        _LOG.warning("damaged file set aside", extra={"fields": {"file": str(self.path)}})
        with contextlib.suppress(FileNotFoundError):
            self.path.replace(self._place_aside())
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def _place_aside(self) -> Path:
        name = f"{self.path.name}.damaged"
        places = (self.path.with_name(f"{name}-{number}") for number in itertools.count(2))
        place = self.path.with_name(name)
        while self._keep_damaged and place.exists():
            place = next(places)
        return place


def damaged_files(path: Path) -> tuple[Path, ...]:
    """Return the files that were set aside from that path, in order of their names."""
    return tuple(sorted(path.parent.glob(f"{path.name}.damaged*")))


def check_version(connection: sqlite3.Connection, version: int) -> int:
    """Return 0 for a file without tables, or the version that this code reads and writes.

    Raises:
        sqlite3.OperationalError: the file is of another version.
    """
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found not in {0, version}:
        raise sqlite3.OperationalError(f"file of version {found}, this is {version}")
    return found


def _is_damage(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", None) in _DAMAGED
