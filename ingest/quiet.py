"""Keeps what a cluster library tells on its own account off the streams of a command.

Standard output holds what was asked for, as JSON where that was asked for, and standard error lines
of progress. What matters of the library's remarks comes as an error of ours.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from typing import Final, TextIO

_ENVIRONMENT: Final = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
"""Nothing is reported to anybody, and its C++ parts write to their own log alone."""
_LOGGERS: Final = ("ray", "ray.data")
_MODULES: Final = r"ray\."
"""Modules whose warnings are advice to those who call them otherwise."""
_THREADS: Final = "ray_"
"""How the names begin of threads that print what happens in a cluster."""
_DEPRECATED: Final = "`ray_remote_args` is deprecated"
"""`max_restarts` and its like have no successor yet; pyproject.toml pins a Ray that has them."""
_STANDARD_ERROR: Final = 2


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Ray's threads, logs, warnings and reports of usage to themselves inside the block."""
    with ExitStack() as kept:
        kept.enter_context(_environment())
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            kept.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL)
        kept.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", message=_DEPRECATED, category=DeprecationWarning)
        warnings.filterwarnings("ignore", module=_MODULES)
        kept.enter_context(redirect_stdout(_OwnThreads(sys.stdout)))
        yield


@contextmanager
def no_standard_error() -> Iterator[None]:
    """Drop what is written to standard error: Ray's own processes greet there, in no format."""
    sys.stderr.flush()
    kept = os.dup(_STANDARD_ERROR)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, _STANDARD_ERROR)
        yield
    finally:
        os.dup2(kept, _STANDARD_ERROR)
        os.close(nowhere)
        os.close(kept)


@contextmanager
def _environment() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


class _OwnThreads(io.TextIOBase):
    """Writes to a stream what any thread but Ray's own writes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text, or drop it, and return its length."""
        if threading.current_thread().name.startswith(_THREADS):
            return len(text)
        return self._stream.write(text)

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()
