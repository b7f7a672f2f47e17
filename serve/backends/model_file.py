"""The file of a model that llama.cpp runs: whether it can be loaded, and is the reviewed one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from chunking.errors import ConfigurationError, DependencyMissing, ProfileMismatch

_BLOCK_BYTES: Final = 4 * 1024 * 1024


def require_loadable(model: str, file: Path) -> None:
    """Raise unless the file and the package that runs it are there; neither is loaded.

    Raises:
        ConfigurationError: there is no such file.
        DependencyMissing: xllamacpp is not installed.
    """
    if not file.is_file():
        raise ConfigurationError(
            f"model {model!r}: there is no file {file}",
            hint="set the profile's `model_file` to a GGUF file, absolute or in the folder of "
            "models",
            param="model_file",
        )
    if find_spec("xllamacpp") is None:
        raise DependencyMissing(
            f"model {model!r} needs the package 'xllamacpp'",
            hint="pip install 'windowfit[local]'",
        )


def check_hash(file: Path, sha256: str, *, stopped: Callable[[], bool]) -> None:
    """Refuse weights that nobody reviewed.

    Args:
        sha256: what the file must hash to; empty for any.
        stopped: tells that nobody needs the file any more; the rest of it is then not read.

    Raises:
        ProfileMismatch: the file is another one.
    """
    if not sha256:
        return
    whole = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(_BLOCK_BYTES):
            if stopped():
                return
            whole.update(block)
    if whole.hexdigest() != sha256:
        raise ProfileMismatch(
            f"{file.name} has the sha256 {whole.hexdigest()}, its review names {sha256}",
            hint="fetch the file that was reviewed, or review this one",
            param="model_file",
        )
