"""Writes files whole or not at all, for their owner alone: they hold questions and answers."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from chunking.errors import InputError


def owned(path: str, flags: int) -> int:
    """Return the descriptor of a file that nobody but its owner may read, where it is made."""
    return os.open(path, flags, 0o600)


def write_text(text: str, path: Path) -> None:
    """Write a file for its owner alone; a process that dies leaves what was there before.

    Raises:
        InputError: it cannot be written.
    """
    path = path.absolute()
    beside = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with open(beside, "x", encoding="utf-8", newline="", opener=owned) as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise InputError(message, hint="give another file", param="out") from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
