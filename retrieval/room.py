"""Room on a disk, looked at before it is needed: an embedded engine dies where there is none."""

from __future__ import annotations

import shutil
from pathlib import Path

from chunking.errors import StoreError

_FREE_BYTES_MINIMUM = 256 * 1024 * 1024
"""Room for the files that the engine maps ahead of its writes, 32 MiB each."""


def check_room(folder: Path) -> None:
    """Raise `StoreError` unless the disk of a folder has room for some writes."""
    free = shutil.disk_usage(folder).free
    if free < _FREE_BYTES_MINIMUM:
        raise StoreError(
            f"disk nearly full: {free >> 20} MiB free, {_FREE_BYTES_MINIMUM >> 20} MiB needed",
            hint="free disk space or move the store to a larger disk, then retry",
        )


def has_room_for_a_copy(folder: Path) -> bool:
    """Return whether the disk has room for all that a folder holds once more, and some writes."""
    used = sum(path.stat().st_blocks * 512 for path in folder.rglob("*"))
    return shutil.disk_usage(folder).free > used + _FREE_BYTES_MINIMUM
