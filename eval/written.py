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


def check_writable(path: Path, *, param: str = "out", give: str = "another file") -> None:
    """Refuse a file that cannot be written, before what it is to hold is measured or paid for.

    Args:
        param: the option that names it; `give` says what else to name by it.

    Raises:
        InputError: its folder takes no file of that name, or something else than a file has it.
    """
    path = path.absolute()
    beside, reason = _beside(path), None
    try:
        os.close(owned(str(beside), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        beside.unlink()
        if path.exists() and not path.is_file():
            reason = "it is there and no file"
    except OSError as error:
        reason = error.strerror
    if reason is not None:
        hint = f"give {give} with --{param}"
        raise InputError(f"cannot write {path}: {reason}", hint=hint, param=param)


def write_text(text: str, path: Path) -> None:
    """Write a file for its owner alone; a process that dies leaves what was there before.

    Raises:
        InputError: it cannot be written.
    """
    path = path.absolute()
    beside = _beside(path)
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


def _beside(path: Path) -> Path:
    """Return where a file is written before it takes the place of another."""
    return path.with_name(f".{path.name}.{uuid4().hex}")
