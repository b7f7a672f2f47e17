"""Reads bytes into text safely: one file at a time, each failure named and typed."""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from chunking.document import Document, content_id
from chunking.errors import DocumentChanged, UnreadableDocument
from chunking.sensitivity import UNLABELLED, Sensitivity, highest

SIZE_LIMIT_BYTES = 64 * 1024 * 1024
"""Files above this size are quarantined: they are read whole, and memory must stay bounded."""

TEXT_LIMIT_CHARACTERS = 8 * 1024 * 1024
"""Text of one document: one and a half times the complete World Factbook. What is longer is a whole
corpus in one file, and would be split and embedded for minutes without a sign of life."""

DEPTH_LIMIT = 100
"""Levels of JSON below which a record is quarantined; readers of its fields recurse."""

_MARKS = (
    # UTF-32 first: its little-endian mark begins with that of UTF-16.
    ("utf-32", (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)),
    ("utf-16", (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)),
)


def states_nothing(data: bytes) -> Sensitivity | None:
    """Return no label, whatever the bytes."""
    del data
    return None


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A document that can be read when its turn comes, in this process or, pickled, in another.

    Attributes:
        name: what the document goes by in its source; the id of the document it becomes.
        load: reads the bytes once; raises `UnreadableDocument`.
        parse: turns exactly these bytes into the document; raises `UnreadableDocument`.
        parser: name and version of what parses, as in "pdf/1+pypdfium2-5.15.2".
        hides_others: whether it stands for documents whose names could not be listed.
        inside: of a line of JSONL, the name of its file.
        stated: the label that is stated of it before it is read; None where none is.
        default: the label where nothing states any.
        states: returns the label that the bytes themselves state, if any, and reads no more of them
            than that; raises `UnreadableLabel`.
    """

    name: str
    load: Callable[[], bytes]
    parse: Callable[[bytes], Document]
    parser: str
    hides_others: bool = False
    inside: str = ""
    stated: Sensitivity | None = None
    default: Sensitivity = UNLABELLED
    states: Callable[[bytes], Sensitivity | None] = states_nothing

    def sensitivity(
        self, stored: Sensitivity | None, *, own: Sensitivity | None = None
    ) -> Sensitivity:
        """Return the label of the document.

        Args:
            own: what its bytes state, if they were read.
            stored: that of the version that a collection holds, which falls only where something
                states so; None where it holds none.
        """
        stated = [one for one in (self.stated, own) if one is not None]
        if stated:
            return highest(stated)
        return self.default if stored is None else highest((stored, self.default))

    def digest(self, data: bytes) -> str:
        """Return what stands for these bytes parsed by this parser; equal ones parse equally."""
        return content_id(self.parser, hashlib.sha256(data).hexdigest())

    def read(self) -> Document:
        """Return the document with its digest and its label.

        Raises:
            UnreadableDocument: the bytes cannot be read or parsed.
        """
        data = self.load()
        label = self.sensitivity(None, own=self.states(data))
        return replace(self.parse(data), digest=self.digest(data), sensitivity=label)


def document_file(document: Document) -> SourceFile:
    """Return the source file of a document that is in memory already, to ingest it as it is.

    A document that is `UNLABELLED` states no label, so that one made without a thought of labels
    lowers none.
    """
    # Its label is no part of what is parsed: a change of it alone leaves the digest as it is.
    facts = {name: value for name, value in asdict(document).items() if name != "sensitivity"}
    data = json.dumps(facts, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return SourceFile(
        document.id,
        partial(bytes, data),
        partial(_given, document),
        "document/1",
        stated=None if document.sensitivity is UNLABELLED else document.sensitivity,
    )


def _given(document: Document, data: bytes) -> Document:
    del data
    return document


def read_bytes(path: Path, *, name: str) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        UnreadableDocument: it is no regular file, too large, or cannot be read.
        DocumentChanged: it changed while it was read.
    """
    descriptor = open_regular(path, name=name)
    try:
        with os.fdopen(descriptor, "rb") as stream:
            before = os.fstat(descriptor)
            if before.st_size > SIZE_LIMIT_BYTES:
                raise UnreadableDocument(
                    f"{name}: {before.st_size:,} bytes, limit {SIZE_LIMIT_BYTES:,}",
                    hint="split the file into smaller ones",
                    param=name,
                )
            data = stream.read(SIZE_LIMIT_BYTES + 1)
    except OSError as error:
        raise _unreadable(name, error) from error
    if len(data) != before.st_size or not same_state(before, path):
        raise DocumentChanged(f"{name}: changed while it was read", param=name)
    return data


def open_regular(path: Path, *, name: str) -> int:
    """Return a descriptor of a regular file; pipes and devices, which may wait, are never opened.

    Raises:
        UnreadableDocument: it is no regular file, or cannot be opened.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableDocument(f"{name}: not a regular file", param=name)
        # What was put in its place since is not waited for either.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
    except OSError as error:
        raise _unreadable(name, error) from error
    raise UnreadableDocument(f"{name}: not a regular file", param=name)


def same_state(before: os.stat_result, path: Path) -> bool:
    """Return whether a path still leads to the file that was opened, in the same state."""
    try:
        after = path.stat()
    except OSError:
        return False
    facts = ("st_dev", "st_ino", "st_size", "st_mtime_ns")
    return all(getattr(before, fact) == getattr(after, fact) for fact in facts)


def _unreadable(name: str, error: OSError) -> UnreadableDocument:
    return UnreadableDocument(f"{name}: {error.strerror or error}", param=name)


def check_length(text: str, *, name: str) -> None:
    """Refuse a text that is too long for one document.

    Raises:
        UnreadableDocument: it is longer than `TEXT_LIMIT_CHARACTERS`.
    """
    if len(text) > TEXT_LIMIT_CHARACTERS:
        raise UnreadableDocument(
            f"{name}: {len(text):,} characters of text, limit {TEXT_LIMIT_CHARACTERS:,}",
            hint="split the file, or make it JSONL with a document on each line",
            param=name,
        )


def decode(data: bytes, *, name: str) -> str:
    r"""Return a file's text: UTF-8, or what its byte order mark says; line ends become "\n".

    Raises:
        UnreadableDocument: the bytes are binary, in another encoding, or hold no text.
    """
    encoding = _encoding_of(data)
    if encoding == "utf-8-sig" and b"\x00" in data:
        raise UnreadableDocument(
            f"{name}: binary (NUL byte at offset {data.index(0)})",
            hint="give the file the suffix of its content",
            param=name,
        )
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableDocument(
            f"{name}: invalid {error.encoding} at byte {error.start}",
            hint="convert the file to UTF-8, as with `iconv -f WINDOWS-1252 -t UTF-8`",
            param=name,
        ) from error
    if not text.strip():
        raise UnreadableDocument(f"{name}: empty", hint="remove the file", param=name)
    return _with_plain_ends(text).replace("\x00", "\ufffd")


def decode_leniently(data: bytes) -> str:
    r"""Return what can be read of a file, U+FFFD for the rest; line ends become "\n"."""
    return _with_plain_ends(data.decode(_encoding_of(data), "replace"))


def _encoding_of(data: bytes) -> str:
    return next((name for name, marks in _MARKS if data.startswith(marks)), "utf-8-sig")


def _with_plain_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(data: bytes, *, name: str) -> Any:
    """Return the JSON value of a file, unpaired surrogates in its strings replaced by U+FFFD.

    Raises:
        UnreadableDocument: the text is no JSON, or is nested too deeply.
    """
    text = decode(data, name=name)
    try:
        value = json.loads(text)
        if "\\u" in text:
            # An escape can spell an unpaired surrogate, which no store or tokenizer can encode.
            value = json.loads(_replaced(value))
        too_deep = _deeper_than(value, DEPTH_LIMIT)
    except ValueError as error:
        raise UnreadableDocument(f"{name}: invalid JSON: {error}", param=name) from error
    except RecursionError:
        too_deep = True
    if too_deep:
        raise UnreadableDocument(
            f"{name}: JSON nested deeper than {DEPTH_LIMIT} levels",
            hint="split the file into flatter ones",
            param=name,
        )
    return value


def _deeper_than(value: Any, limit: int) -> bool:
    """Return whether containers stand inside each other on more than `limit` levels."""
    level = [value]
    for _ in range(limit + 1):
        containers = [item for item in level if isinstance(item, dict | list)]
        level = [inner for item in containers for inner in _members(item)]
    return bool(containers)


def _members(container: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container


def _replaced(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
