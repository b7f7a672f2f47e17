"""The process in which llama.cpp runs one model, as the service sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

from serve.errors import UpstreamError

LOAD_HINT: Final = (
    "check that it is a GGUF file of a model that llama.cpp knows, and that there is memory for "
    "it; its own words are in the log"
)
"""What to do about a file that cannot be loaded."""
_PROGRAM: Final = Path(__file__).resolve().with_name("llama_process.py")
_NEEDED: Final = frozenset({"HOME", "LANG", "PATH", "TMPDIR", "TZ"})
_NEEDED_BEGINNINGS: Final = (
    *("LC_", "LD_", "DYLD_", "MALLOC_"),  # the system and its loader
    *("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "GGML_"),  # threads, and llama.cpp's own
    *("CUDA_", "NVIDIA_", "HIP_", "HSA_", "ROCR_", "VK_"),  # accelerators
)
_SILENT_SECONDS: Final = 5.0
"""A server that computes answers within milliseconds; the rest is for a machine that is busy."""


class LlamaProcess:
    """The process that runs one model. Safe to share between threads: one starts it at a time."""

    def __init__(self, file: Path, *, model: str, window: int) -> None:
        self._file = file
        self._model = model
        self._window = window
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._address = ""
        self.closed = False

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    def start(self, key: str) -> str:
        """Start a process and return the address where it answers, once the model is loaded.

        Args:
            key: what callers of that address must send.

        Raises:
            UpstreamError: the model cannot be loaded, or `kill` was called.
        """
        child = self._spawned()
        answer = self._told(child, key)
        if "address" in answer:
            self._address = str(answer["address"])
            return self._address
        self._end(child)
        if self.closed:
            raise self._refusal_closed()
        raise UpstreamError(
            f"llama.cpp cannot load {self._file.name} with a window of {self._window} tokens",
            hint=LOAD_HINT,
        ) from ChildProcessError(answer.get("error", f"exit status {child.returncode}"))

    def responds(self) -> bool:
        """Return whether its server says anything, as it does while it computes, too.

        A connection of its own is asked, by the one route that waits for no computation and needs
        no key: https://github.com/ggml-org/llama.cpp/tree/master/tools/server#get-health
        """
        place = self._address.removeprefix("http://")
        connection = HTTPConnection(place, timeout=_SILENT_SECONDS)
        try:
            connection.request("GET", "/health")
            connection.getresponse()
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()
        return True

    def end(self) -> None:
        """End the process at once; another may be started."""
        with self._lock:
            if self._child is not None:
                self._child.kill()

    def kill(self) -> None:
        """End the process at once, and let none be started any more."""
        with self._lock:
            self.closed = True
        self.end()

    def wait(self) -> None:
        """Return when the process that was killed is gone."""
        if self._child is not None:
            self._end(self._child)

    def _spawned(self) -> subprocess.Popen[bytes]:
        if self._child is not None:
            self._end(self._child)  # without the lock: freeing its memory may take a while
        with self._lock:
            if self.closed:
                raise self._refusal_closed()
            self._child = subprocess.Popen(  # noqa: S603 - our own interpreter, our own program
                [sys.executable, "-I", str(_PROGRAM)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=os.sep,
                env=needed_of(os.environ),
                start_new_session=True,  # ^C is the service's to handle: it still has calls to end
            )
            return self._child

    def _told(self, child: subprocess.Popen[bytes], key: str) -> dict[str, Any]:
        """Tell the process what to load and return its answer; nothing where it ended before.

        The key goes over the pipe, as everybody on the machine may read a command line.
        """
        request = {
            "paths": [str(Path(path).resolve()) for path in sys.path],
            "file": str(self._file),
            "model": self._model,
            "window": self._window,
            "key": key,
        }
        if child.stdin is None or child.stdout is None:
            return {}
        try:
            child.stdin.write(json.dumps(request).encode() + b"\n")
            child.stdin.flush()
            answer: dict[str, Any] = json.loads(child.stdout.readline())
        except (OSError, ValueError):
            return {}
        return answer

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        """Kill a process and free what the system keeps of it."""
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was not read of the request has nobody to read it now
                    continue

    def _refusal_closed(self) -> UpstreamError:
        return UpstreamError(
            f"model {self._model!r} is closed", hint="ask again when the service has started anew"
        )


def needed_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that llama.cpp may need: none of those that hold keys of the service.

    Python's own are not among them, as the process is started without regard to them.
    """
    return {
        name: value
        for name, value in environment.items()
        if name in _NEEDED or name.startswith(_NEEDED_BEGINNINGS)
    }
