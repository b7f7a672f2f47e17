"""The process in which llama.cpp runs a model; `serve.backends.llama_cpp` starts and ends it.

It is told what to load by a line of JSON on standard input, and answers with a line of JSON on
standard output: `address`, or `error`. Then it serves until its input ends, so it never outlives
the process that started it. This file is run by its path and imports nothing of ours: it starts
the same from an installed package and from a checkout, whatever folder the service was started in.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

_ERRORS_ONLY: Final = 1
"""Above this llama.cpp may log what it reads."""
_PROMPT_CACHE_MEBIBYTES: Final = 512
"""For prompts that begin as an earlier one; by default it may grow to 8 GiB."""
_HTTP_THREADS: Final = 64
"""Each call that waits holds one, and whoever asks whether this process hangs needs one more."""
_FIRST_TO_GO: Final = "500"
"""Of 1000: where memory runs out, the system ends this process rather than the service."""


def main() -> None:
    """Load what standard input names, tell where it answers, and serve until the input ends."""
    source, target = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    os.dup2(2, 1)  # a library that prints must not break into the answer
    request: dict[str, Any] = json.loads(source.readline())
    _end_with_input(source.fileno())
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO, encoding="ascii")
    sys.path.extend(path for path in request["paths"] if path not in sys.path)
    try:
        server = _started(request)
        answer = {"address": server.listening_address}
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    target.write(json.dumps(answer).encode() + b"\n")
    if "address" in answer:
        source.read()
    os._exit(0)  # the system frees the memory faster than llama.cpp would


def _end_with_input(descriptor: int) -> None:
    """Have the system end this process when its input does: that raises SIGIO, which kills.

    llama.cpp holds the interpreter's lock while it loads, so no thread could look at the input.
    """
    with suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)


def _started(request: dict[str, Any]) -> Any:
    llama: Any = importlib.import_module("xllamacpp")
    parameters: Any = llama.CommonParams()
    parameters.model.path = request["file"]
    parameters.model_alias = {request["model"]}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.api_keys = [request["key"]]
    parameters.n_ctx = request["window"]
    parameters.n_threads_http = _HTTP_THREADS
    parameters.n_parallel = 1  # the window is divided among the slots: one slot has all of it
    parameters.cache_ram_mib = _PROMPT_CACHE_MEBIBYTES
    parameters.verbosity = _ERRORS_ONLY
    parameters.ui = False
    parameters.endpoint_slots = False  # it would tell the prompts that are read
    return llama.Server(parameters)


if __name__ == "__main__":
    main()
