"""Makes the peers' own environment and runs programs in it.

    python -m scripts.prove.peers_environment

Everything is pinned by `peers-constraints.txt`; repeating it changes nothing. Takes about 500 MB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
HOME: Final = ROOT / ".cache" / "peers" / "venv"
CONSTRAINTS: Final = Path(__file__).with_name("peers-constraints.txt")
REQUIREMENTS: Final = (
    "haystack-ai",
    "langchain-core",
    "litellm",
    "llama-index-core",
    "mistral-common[sentencepiece]",
    "tiktoken",
)
# No peer may fetch anything while it is measured: no model hub, no price list, no telemetry.
_SETTINGS: Final = {
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "LANGSMITH_TRACING": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "PYTHONPATH": str(ROOT),
    "PYTHONUTF8": "1",
}
_KEPT: Final = ("HOME", "LANG", "PATH", "TMPDIR")
_LIST_PACKAGES: Final = """
import importlib.metadata, json
print(json.dumps({d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}))
"""


@dataclass(frozen=True, slots=True)
class Peers:
    """An environment of peers: where it lies, every version in it, and what is wanted of it."""

    home: Path
    constraints: Path
    requirements: tuple[str, ...]


FIT_PEERS: Final = Peers(HOME, CONSTRAINTS, REQUIREMENTS)


class PeersUnavailable(RuntimeError):
    """The peers' environment cannot be made, or a program in it failed; the message says why."""


def ensure_environment(peers: Peers = FIT_PEERS) -> Path:
    """Return the environment's Python, installing what is missing or of another version.

    Raises:
        PeersUnavailable: a package cannot be installed.
    """
    home, python = peers.home, peers.home / "bin" / "python"
    problem = environment_problem(python, peers)
    if problem is None:
        return python
    print(f"installing the peers into {home} ({problem}); this takes minutes", file=sys.stderr)
    if "pip" not in installed_versions(python):
        venv.create(home, with_pip=True, clear=True)
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--quiet")
    status = subprocess.run(
        [*pip, "--constraint", peers.constraints, *peers.requirements],
        stdout=sys.stderr,
        check=False,
    ).returncode
    left = environment_problem(python, peers)
    if left is not None:
        raise PeersUnavailable(f"{home}: pip ended with {status}, and there is still {left}")
    return python


def environment_problem(python: Path, peers: Peers = FIT_PEERS) -> str | None:
    """Say what the environment lacks, asking its packages; a marker file could lie."""
    found = installed_versions(python)
    if not found:
        return "no environment"
    wanted = {requirement.partition("[")[0] for requirement in peers.requirements}
    for name, version in pinned_versions(peers.constraints.read_text(encoding="utf-8")).items():
        # What another platform does not need is not there; what is wanted always is.
        if found.get(name, None if name in wanted else version) != version:
            return f"{name} {found.get(name, 'missing')}, wanted {version}"
    return None


def pinned_versions(constraints: str) -> dict[str, str]:
    """Return the versions of a constraints file by normalised package name."""
    pins = (line.split("==") for line in constraints.splitlines() if "==" in line)
    return {_normalised(name): version.strip() for name, version in pins}


def installed_versions(python: Path) -> Mapping[str, str]:
    """Return the packages of an environment by normalised name; empty where there is none."""
    if not python.exists():
        return {}
    listing = subprocess.run([python, "-c", _LIST_PACKAGES], capture_output=True, check=False)
    found: dict[str, str] = json.loads(listing.stdout or "{}")
    # "+cpu" tells a build, not a version.
    return {_normalised(name): version.partition("+")[0] for name, version in found.items()}


def run_module(module: str, *arguments: str | Path, peers: Peers = FIT_PEERS) -> str:
    """Run a module of this repository among the peers and return what it printed.

    Raises:
        PeersUnavailable: the environment cannot be made, or the module failed.
    """
    python = ensure_environment(peers)
    inherited = {name: os.environ[name] for name in _KEPT if name in os.environ}
    command: Sequence[str | Path] = (python, "-m", module, *arguments)
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**inherited, **_SETTINGS},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise PeersUnavailable(f"{module} ended with {done.returncode} among the peers")
    return done.stdout


def _normalised(name: str) -> str:
    return name.lower().replace("_", "-")


if __name__ == "__main__":
    print(ensure_environment())
