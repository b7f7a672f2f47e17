"""Makes the environments of the clients below `.cache/clients`, from PyPI and npm, pinned.

Two for Python, since some clients want major version 2 of the OpenAI SDK; one for Node. Each is
made anew when the file that pins it changes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent.parent
FOLDER: Final = ROOT / ".cache/clients"
PINS: Final = {
    "openai-3": HERE / "openai-3.txt",
    "openai-2": HERE / "openai-2.txt",
    "node": HERE / "node/package-lock.json",
}
"""Every environment and the file that pins it."""

INSTALL_SECONDS: Final = 900

# Nothing leaves the machine while clients run: no price lists, no telemetry, no hub.
_QUIET: Final = {
    "AI_SDK_LOG_WARNINGS": "false",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "LANGSMITH_TRACING": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
}


class InstallError(Exception):
    """An environment cannot be made; the message names the command that failed."""


def make_environment(name: str) -> None:
    """Make an environment unless it is there, as its pins say.

    Raises:
        InstallError: npm is missing, or a registry does not give what is pinned.
    """
    pins = PINS[name].read_text(encoding="utf-8")
    folder = FOLDER / name
    made = folder / "made-from"
    if made.is_file() and made.read_text(encoding="utf-8") == pins:
        return
    print(f"making {folder.relative_to(ROOT)}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if name == "node":
        _make_node(folder)
    else:
        venv.create(folder, with_pip=True)
        pip = [str(folder / "bin/python"), "-m", "pip", "--disable-pip-version-check"]
        _run([*pip, "install", "--quiet", "--no-deps", "--requirement", str(PINS[name])], folder)
    made.write_text(pins, encoding="utf-8")


def client_command(environment: str, client: str) -> list[str]:
    """Return the command that tries a client, to which the service's address is added."""
    if environment == "node":
        return ["node", str(FOLDER / "node" / f"{client}.mjs")]
    return [str(FOLDER / environment / "bin/python"), "-m", f"scripts.conformance.clients.{client}"]


def client_variables() -> dict[str, str]:
    """Return the environment variables of a client: nobody's keys, settings or proxies."""
    kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    return {**kept, **_QUIET, "HOME": str(FOLDER), "PYTHONPATH": str(ROOT)}


def lay_out_node() -> None:
    """Put the scripts of the Node clients beside their packages, where Node looks for those."""
    for script in (HERE / "node").glob("*.mjs"):
        shutil.copyfile(script, FOLDER / "node" / script.name)


def _make_node(folder: Path) -> None:
    if shutil.which("npm") is None:
        raise InstallError("npm is missing: install Node 20 or later")
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(HERE / "node" / name, folder / name)
    _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder)


def _run(command: Sequence[str], folder: Path) -> None:
    try:
        subprocess.run(command, check=True, cwd=folder, stdout=sys.stderr, timeout=INSTALL_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise InstallError(f"this failed: {' '.join(command)}") from error
