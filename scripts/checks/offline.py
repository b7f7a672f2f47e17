"""Runs the Python of a document or an example with no network beyond this machine.

    python -m scripts.checks.offline FILE

A Markdown file's Python blocks share one namespace and keep their line numbers, so that a traceback
points into the document.
"""

from __future__ import annotations

import ipaddress
import runpy
import socket
import sys
from pathlib import Path
from types import ModuleType

from scripts.checks.markdown import blocks


def main(path: Path) -> None:
    """Run one file; whatever it raises ends the process."""
    sys.addaudithook(_refuse_network)
    if path.suffix == ".py":
        runpy.run_path(str(path), run_name="__main__")
        return
    # Dataclasses and pydantic look names up in the module, so the namespace is a real one.
    module = ModuleType("__main__")
    sys.modules["__main__"] = module
    for block in blocks(path.read_text(encoding="utf-8")):
        if block.language == "python":
            padded = "\n" * (block.line - 1) + block.code
            exec(compile(padded, str(path), "exec"), module.__dict__)


def _refuse_network(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        connection, address = arguments
        if getattr(connection, "family", None) == socket.AF_UNIX:
            return
        host = address[0] if isinstance(address, tuple) else address
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if not _on_this_machine(host):
        raise RuntimeError(f"documentation runs without network, this asked for {host!r}")


def _on_this_machine(host: object) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name is None or name == "localhost":
        return True
    try:
        return ipaddress.ip_address(str(name)).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    main(Path(sys.argv[1]))
