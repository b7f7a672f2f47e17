"""A file system of a few megabytes in memory, which others fill and which can be enlarged."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_FILLER: Final = ".filler"
_INSIDE: Final = "WINDOWFIT_TEST_MOUNTS"
"""Set where this process has a mount namespace of its own already."""


class SmallDisk:
    """A mounted tmpfs; made by `mounted`.

    Attributes:
        folder: its root.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def free(self) -> int:
        """Bytes that can still be written."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    @property
    def used(self) -> int:
        """Bytes that are taken."""
        found = os.statvfs(self.folder)
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    def fill(self, leave: int) -> None:
        """Have another writer take all room but so many bytes; nothing where less is free."""
        size = self.free - leave
        if size > 0:
            with (self.folder / _FILLER).open("ab") as filler:
                os.posix_fallocate(filler.fileno(), filler.tell(), size)

    def clear(self) -> None:
        """Give back what `fill` took."""
        (self.folder / _FILLER).unlink(missing_ok=True)

    def resize(self, size: int) -> None:
        """Make the file system larger, or smaller."""
        _run("mount", "-o", f"remount,size={size}", str(self.folder))


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[SmallDisk]:
    """Mount a tmpfs of so many bytes on a folder, made if need be, and yield it."""
    folder.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield SmallDisk(folder)
    finally:
        # A server that is about to end may hold a file for a moment.
        _run("umount", "--lazy", str(folder))


def enter_mounts(module: str, arguments: Sequence[str]) -> str:
    """Return "" where this process may mount; else start a module anew where it may.

    Without root, a user and mount namespace of its own lets a process mount a tmpfs. Does not
    return where that works; where it does not, returns why.
    """
    probe = 'mkdir -p "$1" && mount -t tmpfs -o size=1m tmpfs "$1" && umount "$1"'
    place = f"/tmp/windowfit-mount-{os.getpid()}"
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", probe, "sh", place], capture_output=True, check=False
        )
    finally:
        with suppress(OSError):
            Path(place).rmdir()
    if done.returncode == 0:
        return ""
    if _INSIDE not in os.environ and _can("unshare", "-Urm", "true"):
        os.environ[_INSIDE] = "1"
        command = ("unshare", "-Urm", sys.executable, "-m", module, *arguments)
        os.execvp(command[0], command)
    return "this machine lets nobody mount a tmpfs: run it as root"


def _can(*command: str) -> bool:
    with suppress(OSError):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
