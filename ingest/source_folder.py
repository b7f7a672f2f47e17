"""Keeps what jobs over HTTP may read below one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from chunking.errors import InputError
from ingest.sources import FACTBOOK

_MAGIC = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class SourceFolder:
    """The folder below which a job over HTTP may read; None where it may read nothing.

    No answer depends on what exists outside the folder.
    """

    root: Path | None

    def resolve(self, source: str) -> str:
        """Return the path of a source that is given by its place in the folder.

        Raises:
            InputError: it leads out of the folder, is not in it, or there is no folder.
        """
        root = self._root()
        if PurePosixPath(source).is_absolute() or not self._holds(root, root / source):
            raise InputError(
                f"source {source!r} is not below the folder of sources",
                hint="name it by its place in the folder, such as 'reports' or 'reports/*.pdf'",
                param="source",
            )
        spelled = root / _spelled_out(source)
        if not spelled.exists():
            raise InputError(
                f"no source {source!r} below the folder of sources",
                hint="name a file, a folder or a glob by its place in the folder",
                param="source",
            )
        return str(root / source)

    def check(self, source: str) -> Path | None:
        """Return the folder that a recorded source must not leave; None for the Factbook.

        Raises:
            InputError: the source is elsewhere.
        """
        if source == FACTBOOK:
            return None
        root = self._root()
        if not self._holds(root, Path(source)):
            raise InputError(
                "the source of this job is not below the folder of sources",
                hint="go on with it by `windowfit ingest resume` or `retry`",
                param="source",
            )
        return root

    def shown(self, source: str) -> str:
        """Return a recorded source as callers may see it: no path of this machine."""
        path = Path(source)
        if self.root is not None and path.is_relative_to(root := self.root.resolve()):
            return path.relative_to(root).as_posix()
        return path.name

    def _root(self) -> Path:
        if self.root is None:
            raise InputError(
                "this service reads no files: `job_sources` is not set",
                hint="send `documents` instead, or name a folder by WINDOWFIT_JOB_SOURCES",
                param="source",
            )
        return self.root.resolve()

    def _holds(self, root: Path, path: Path) -> bool:
        """Return whether a path stays below the root, links followed, for all that it may match."""
        try:
            spelled = Path(_spelled_out(str(path))).resolve()
        except (OSError, ValueError, RuntimeError):
            return False
        inside = spelled.is_relative_to(root)
        return inside and ".." not in path.parts and "\x00" not in str(path)


def _spelled_out(source: str) -> str:
    """Return a path up to the first part that is a pattern."""
    parts = []
    for part in Path(source).parts:
        if _MAGIC.intersection(part):
            break
        parts.append(part)
    return str(Path(*parts))
