"""Writes files whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from chunking.errors import InputError


def write_text(text: str, path: Path) -> None:
    """Write a file; a process that dies leaves what was there before.

    Raises:
        InputError: it cannot be written.
    """
    path = path.absolute()
    beside = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with beside.open("x", encoding="utf-8", newline="") as stream:
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
