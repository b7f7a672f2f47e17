"""The lock on a folder that one process at a time may use; it tells the second who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import re
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from chunking.errors import StoreError, StoreLocked

_VERB = re.compile(r"[a-z][a-z-]{0,31}")


class FolderLock:
    """An exclusive hold on a folder, from construction to `release` or the end of the process.

    The file `LOCK` in the folder names the holder as JSON: `pid`, `command`, `started`.

    Raises:
        StoreLocked: another holder has it; the message names its process and command.
        StoreError: the folder cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "LOCK"
        with ExitStack() as undo:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                # Unbuffered: on a full disk, closing would fail once more with what is unwritten.
                self._file: BinaryIO = undo.enter_context(path.open("ab", buffering=0))
                # The system drops a `flock` with its process, however that ends: no stale locks.
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._file.truncate(0)
                self._file.write(json.dumps(_this_process()).encode())
            except BlockingIOError as error:
                raise StoreLocked(f"the store at {folder} is held by {_holder(path)}") from error
            except OSError as error:
                raise StoreError(
                    f"cannot open the store at {folder}: {error.strerror}",
                    hint="check that the folder can be written and the disk has room, then retry",
                ) from error
            undo.pop_all()

    def release(self) -> None:
        """Let the next process in; the file stays, empty, since removing it would be a race."""
        self._file.truncate(0)
        self._file.close()


def _this_process() -> dict[str, int | str]:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    return {"pid": os.getpid(), "command": _command(sys.argv), "started": started}


def _command(arguments: list[str]) -> str:
    """Return the program and its verb only: later arguments could hold somebody's question."""
    program, verb = (*arguments, "", "")[:2]
    name = Path(program).name if program not in {"", "-c"} else "python"
    return f"{name} {verb}" if _VERB.fullmatch(verb) else name


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text("utf-8"))
        return f"process {holder['pid']} ({holder['command']}, since {holder['started']})"
    except (OSError, ValueError, KeyError):
        return "a process that has only just started"
