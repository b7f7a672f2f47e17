from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chunking.errors import StoreError
from retrieval.lock import FolderLock


@contextmanager
def no_room() -> Iterator[None]:
    """Let this process write to no file, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_without_a_byte_of_room_is_a_typed_error_and_leaves_no_lock(tmp_path: Path) -> None:
    with no_room(), pytest.raises(StoreError, match="cannot open the store"):
        FolderLock(tmp_path)

    FolderLock(tmp_path).release()
