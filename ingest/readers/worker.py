"""The child process in which files are read: one request after the other, over its own pipes.

A request is a line of JSON with `reader`, `name` and `size`, then `size` bytes. An answer is eight
bytes of length and a JSON object: a reading, or `reason` and `hint` where there is none.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import resource
import signal
import sys
from typing import Any

from chunking.errors import UnreadableDocument
from ingest.readers.manuscript import Reading
from ingest.texts import check_length

LENGTH_BYTES = 8
_ORPHAN_SECONDS = 5
_NAMESPACES = (0x10000000 | 0x40000000, 0x40000000)
"""CLONE_NEWUSER with CLONE_NEWNET, and CLONE_NEWNET alone: a network without any interface."""
_DENIED = (
    "socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "subprocess.Popen",
    "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "os.remove",
    "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "shutil.",
)  # fmt: skip
"""Events of Python's audit that no reader has a use for."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def main() -> None:
    """Answer requests from standard input on standard output until the input ends."""
    source, target = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        # A library that prints must not break into an answer.
        os.dup2(null, descriptor)
    confined = False
    while line := source.readline():
        request: dict[str, Any] = json.loads(line)
        if not confined:
            confine(request["memory_bytes"])
            confined = True
        # The parent kills what takes too long; where it is gone itself, this alarm does.
        signal.alarm(int(request["seconds"]) + _ORPHAN_SECONDS)
        answer, sound = _answer(request, source.read(request["size"]))
        signal.alarm(0)
        data = json.dumps(answer).encode()
        target.write(len(data).to_bytes(LENGTH_BYTES, "big"))
        target.write(data)
        target.flush()
        if not sound:
            return


def confine(memory_bytes: int) -> None:
    """Give up what no reader needs: memory above a limit, files to write, programs, the network.

    Each measure is taken as far as the system allows; what holds everywhere is that a reader has
    no way to the network or to a file that this process did not take away in Python.
    """
    sys.dont_write_bytecode = True
    for kind, limit in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        try:
            resource.setrlimit(kind, (limit, limit))
        except (OSError, ValueError):
            continue
    library = ctypes.CDLL(None, use_errno=True)
    if hasattr(library, "unshare"):
        any(library.unshare(flags) == 0 for flags in _NAMESPACES)
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    writing = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING
    if writing or event.startswith(_DENIED):
        raise PermissionError(event)


def _answer(request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bool]:
    """Return the answer, and whether this process is fit for another request."""
    name: str = request["name"]
    try:
        module, _, function = request["reader"].partition(":")
        reading: Reading = getattr(importlib.import_module(module), function)(data, name=name)
        check_length(reading.text, name=name)
    except UnreadableDocument as error:
        return {"reason": error.message, "hint": error.hint}, True
    except ModuleNotFoundError as error:
        reason = f"{name}: the package {error.name} is not installed"
        return {"reason": reason, "hint": "`pip install 'windowfit[documents]'`"}, True
    except MemoryError:
        limit = request["memory_bytes"] // 1024**2
        return {"reason": f"{name}: needs more memory than {limit:,} MiB"}, False
    except RecursionError:
        return {"reason": f"{name}: nested too deeply"}, True
    except BaseException as error:  # noqa: BLE001 - libraries raise anything on broken files
        return {"reason": f"{name}: cannot be read ({type(error).__name__})"}, False
    sections = [[section.path, section.start, section.end] for section in reading.sections]
    return {
        "text": reading.text,
        "title": reading.title,
        "date": reading.date,
        "sections": sections,
    }, True
