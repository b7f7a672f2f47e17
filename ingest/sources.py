"""Lists what a SOURCE holds: the Factbook, a file, a folder, a glob, or standard input."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from chunking.errors import InputError, UnreadableDocument
from ingest.factbook import factbook_files
from ingest.files import printable_name, refused_file, source_file
from ingest.formats import JSON_LINES
from ingest.lines import STANDARD_INPUT, file_lines, stream_lines
from ingest.readers.sandbox import Sandbox
from ingest.texts import SourceFile

FACTBOOK = "factbook"

_MAGIC = re.compile(r"[*?\[]")
_WILDCARD = re.compile(r"(\*+|\?|\[[!^]?\]?[^\]/]*\])")
"""The parts of a glob's name that stand for several characters."""
_HINT = "give `factbook`, a file, a folder, a glob such as 'docs/**/*.pdf', or `-` for JSONL"


def list_source(
    source: str,
    *,
    factbook: Path,
    standard_input: BinaryIO | None = None,
    within: Path | None = None,
) -> Iterable[SourceFile]:
    """Return the files of a source in a stable order; none is read yet.

    A tuple where all files are known beforehand. Lines of JSONL are read as they are asked for, so
    a source that holds any is an iterator, to be gone through once. Files in formats that only a
    library reads are parsed in one child process, which starts with the first of them.

    Args:
        source: `factbook`, a file, a folder, a glob (`**` for folders at any depth), or `-`.
        factbook: the folder of the Factbook's files.
        standard_input: what `-` reads; the process' own where None.
        within: a resolved folder out of which no link may lead; a file that is elsewhere is
            quarantined.

    Raises:
        InputError: there is no such file or folder, or it holds no file.
        ConfigurationError: the Factbook's files are not there.
    """
    if source == FACTBOOK:
        return factbook_files(factbook)
    sandbox = Sandbox()
    if source == STANDARD_INPUT:
        stream = standard_input or sys.stdin.buffer
        return stream_lines(stream, name="stdin", source="stdin", sandbox=sandbox)
    try:
        paths = _paths(source)
    except (OSError, ValueError, re.error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"source {source!r}: {reason}", param="source") from error
    listed = [_files(path, name, sandbox, within) for path, name in paths]
    if all(isinstance(files, tuple) for files in listed):
        return tuple(chain.from_iterable(listed))
    return chain.from_iterable(listed)


def _paths(source: str) -> Sequence[tuple[Path | OSError, str]]:
    """Return the files of a source with their names; a folder that cannot be listed as an error."""
    path = Path(source)
    if path.is_dir():
        root = path.resolve()
        found = [(file, _name_below(root, place)) for file, place in _walk(root)]
        if not found:
            raise InputError(f"folder {source} holds no files", param="source")
        return found
    if path.exists() or path.is_symlink():
        return [(path.absolute(), printable_name(path.name))]
    if _MAGIC.search(source):
        found = list(_matching(source))
        if not found:
            raise InputError(f"no file matches {source!r}", hint=_HINT, param="source")
        return found
    raise InputError(f"no source {source!r}", hint=_HINT, param="source")


def _files(
    path: Path | OSError, name: str, sandbox: Sandbox, within: Path | None
) -> Iterable[SourceFile]:
    if isinstance(path, OSError):
        error = UnreadableDocument(f"{name}: {path.strerror}", param=name)
        return (refused_file(name, error, hides_others=True),)
    if within is not None and not path.resolve().is_relative_to(within):
        error = UnreadableDocument(f"{name}: a link out of the folder of sources", param=name)
        return (refused_file(name, error),)
    if path.suffix.lower() in JSON_LINES.suffixes:
        return file_lines(path, name=name, sandbox=sandbox)
    return (source_file(path, name=name, sandbox=sandbox),)


def _walk(root: Path) -> Iterator[tuple[Path | OSError, Path]]:
    """Yield the files below a folder in path order; hidden ones and linked folders are left out.

    A folder that cannot be listed stands as an error in the place of its files.
    """
    failures: list[OSError] = []
    for folder, folders, files in os.walk(root, onerror=failures.append, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in sorted(name for name in files if not name.startswith(".")):
            path = Path(folder, file)
            yield path, path
    for error in failures:
        yield error, Path(error.filename)


def _matching(pattern: str) -> Iterator[tuple[Path | OSError, str]]:
    """Yield the files that a glob matches, named below the last folder that it spells out."""
    parts = Path(pattern).parts
    at = next(position for position, part in enumerate(parts) if _MAGIC.search(part))
    root = Path(*parts[:at]).resolve()
    matches = _matcher(parts[at:])
    for file, place in _walk(root) if root.is_dir() else ():
        if matches.fullmatch(place.relative_to(root).as_posix()):
            yield file, _name_below(root, place)


def glob_pattern(glob: str) -> re.Pattern[str]:
    """Return the regular expression of a glob: `*` stays within a name, `**` spans folders.

    Raises:
        re.error: a range of characters is none.
    """
    return _matcher(PurePosixPath(glob).parts)


def _matcher(parts: Sequence[str]) -> re.Pattern[str]:
    *folders, last = parts
    pieces = ["(?:[^/]+/)*" if part == "**" else f"{_name_pattern(part)}/" for part in folders]
    return re.compile("".join([*pieces, ".*" if last == "**" else _name_pattern(last)]))


def _name_pattern(part: str) -> str:
    signs = _WILDCARD.split(part)
    return "".join(_wildcard(s) if _WILDCARD.fullmatch(s) else re.escape(s) for s in signs)


def _wildcard(sign: str) -> str:
    if sign.startswith("*"):
        return "[^/]*"
    if sign == "?":
        return "[^/]"
    negation = "^" if sign[1] in "!^" else ""
    inner = sign[1 + len(negation) : -1].replace("\\", "\\\\").replace("[", "\\[")
    return f"(?!/)[{negation}{inner}]"


def _name_below(root: Path, path: Path) -> str:
    return printable_name(f"{root.name}/{path.relative_to(root).as_posix()}")
