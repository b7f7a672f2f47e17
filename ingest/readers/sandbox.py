"""Has files read by a child process that may fail: with a memory limit, a time limit, no network.

A library in C can crash, hang or swell on one file of a million. Here it takes the child with it,
the file is refused with a reason, and the next one finds a fresh child.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from chunking.document import Section
from chunking.errors import UnreadableDocument
from ingest.readers.manuscript import Reading
from ingest.readers.worker import LENGTH_BYTES
from ingest.texts import TEXT_LIMIT_CHARACTERS, check_length

SECONDS = 25.0
"""Time for one file, the start of the child included: within the half minute after which people
take a job for hung. Most files take milliseconds, a thousand pages of PDF some seconds."""
MEMORY_BYTES = 1024 * 1024 * 1024
"""Address space of the child: sixteen times the largest file, and small beside an embedder."""
ANSWER_LIMIT_BYTES = 12 * TEXT_LIMIT_CHARACTERS
"""JSON writes a character in twelve bytes at most."""

_ROOT = Path(__file__).resolve().parents[2]
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); {run}"
_RUN = "from ingest.readers.worker import main; main()"
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
"""Characters that no text needs, and half characters that no store can hold."""


class _Answer(BaseModel):
    """What a child may answer, and nothing else."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: str = ""
    hint: str | None = None
    text: str = ""
    title: str = ""
    date: str | None = None
    sections: list[tuple[list[str], int, int]] = []


class Sandbox:
    """One child process that reads files; it starts with the first and ends with this object.

    Safe to share between threads: one file is read at a time. Pickled, it arrives in another
    process as the one sandbox of these limits there.

    Args:
        seconds: time for one file.
        memory_bytes: most address space of the child.
    """

    def __init__(self, *, seconds: float = SECONDS, memory_bytes: int = MEMORY_BYTES) -> None:
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._lock = threading.Lock()
        self._children: list[subprocess.Popen[bytes]] = []
        self._finalizer = weakref.finalize(self, _stop, self._children)

    def __reduce__(self) -> tuple[Callable[[float, int], Sandbox], tuple[float, int]]:
        return _sandbox_here, (self._seconds, self._memory_bytes)

    def read(self, reader: str, data: bytes, *, name: str) -> Reading:
        """Return what a reader makes of these bytes.

        Args:
            reader: "module:function" of a function of bytes and `name` that returns a `Reading`.
            data: the bytes of a file.
            name: what the file goes by in messages.

        Raises:
            UnreadableDocument: the reader refused, failed, or exceeded a limit.
        """
        with self._lock:
            answer = self._ask(reader, data, name)
        if answer is None:
            raise UnreadableDocument(f"{name}: took longer than {self._seconds:g} s", param=name)
        if answer.reason:
            raise UnreadableDocument(answer.reason, hint=answer.hint, param=name)
        return _reading(answer, name)

    def close(self) -> None:
        """End the child; a later `read` starts another."""
        with self._lock:
            _stop(self._children)

    def _ask(self, reader: str, data: bytes, name: str) -> _Answer | None:
        """Return the child's answer, None when it took too long.

        A child that served others before may have died of what these left behind, so the file is
        tried again in a fresh one: what becomes of it depends on its bytes alone.
        """
        deadline = time.monotonic() + self._seconds
        while True:
            fresh = not self._children
            try:
                return self._exchange(reader, data, name, deadline)
            except _Late:
                return None
            except _Gone as gone:
                if fresh:
                    return _Answer(reason=f"{name}: the reader {gone}")

    def _exchange(self, reader: str, data: bytes, name: str, deadline: float) -> _Answer:
        child = self._children[0] if self._children else self._start()
        late = threading.Event()

        def kill() -> None:
            late.set()
            child.kill()

        timer = threading.Timer(deadline - time.monotonic(), kill)
        timer.daemon = True
        timer.start()
        try:
            request = {
                "reader": reader,
                "name": name,
                "size": len(data),
                "seconds": self._seconds,
                "memory_bytes": self._memory_bytes,
            }
            return _converse(child, json.dumps(request).encode(), data)
        except (OSError, EOFError, ValueError, ValidationError) as error:
            _stop(self._children)
            if late.is_set():
                raise _Late from error
            raise _Gone(_ending(child.returncode)) from error
        finally:
            timer.cancel()

    def _start(self) -> subprocess.Popen[bytes]:
        paths = [str(_ROOT), *(str(Path(path).resolve()) for path in sys.path if path)]
        child = subprocess.Popen(  # noqa: S603 - our own interpreter, our own module
            [sys.executable, "-I", "-S", "-c", _START.format(run=_RUN), json.dumps(paths)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=os.sep,
            env={"LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"},
            close_fds=True,
            start_new_session=True,
        )
        self._children.append(child)
        return child


@cache
def _sandbox_here(seconds: float, memory_bytes: int) -> Sandbox:
    return Sandbox(seconds=seconds, memory_bytes=memory_bytes)


class _Late(Exception):
    """The child was killed because it took too long."""


class _Gone(Exception):
    """The child ended without an answer, or with one that cannot be right."""


def _converse(child: subprocess.Popen[bytes], request: bytes, data: bytes) -> _Answer:
    if child.stdin is None or child.stdout is None:
        raise EOFError
    child.stdin.write(request + b"\n")
    child.stdin.write(data)
    child.stdin.flush()
    size = int.from_bytes(_exactly(child.stdout, LENGTH_BYTES), "big")
    if size > ANSWER_LIMIT_BYTES:
        raise ValueError(size)
    value: dict[str, Any] = json.loads(_exactly(child.stdout, size))
    return _Answer.model_validate(value, strict=False)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _reading(answer: _Answer, name: str) -> Reading:
    """Return the reading of an answer whose sections lie within its text, in order."""
    check_length(answer.text, name=name)
    if not answer.text.strip():
        raise UnreadableDocument(f"{name}: no text inside", param=name)
    last = 0
    for _, start, end in answer.sections:
        if not last <= start <= end <= len(answer.text):
            raise UnreadableDocument(f"{name}: the reader's sections overlap", param=name)
        last = end
    sections = (
        Section(tuple(map(printable, path)), start, end) for path, start, end in answer.sections
    )
    return Reading(
        text=printable(answer.text),
        sections=tuple(sections),
        title=printable(answer.title),
        date=answer.date,
    )


def printable(text: str) -> str:
    """Return a text of the same length with control characters and half characters replaced."""
    return _UNPRINTABLE.sub("\ufffd", text)


def _ending(status: int | None) -> str:
    """Return how a child ended, in words."""
    known = {-sign: sign.name for sign in signal.Signals}
    if status == -signal.SIGABRT:
        # Where memory runs out, a library in C or Rust has no other way to say so.
        return "crashed (SIGABRT, out of memory perhaps)"
    if status is not None and status < 0:
        return f"crashed ({known.get(status, f'signal {-status}')})"
    return "ended without an answer"


def _stop(children: list[subprocess.Popen[bytes]]) -> None:
    while children:
        child = children.pop()
        child.kill()
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    # What was buffered for a child that is gone.
                    continue
        child.wait()
