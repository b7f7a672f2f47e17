"""Tries published clients against the service, and draws the table of what works.

    python -m scripts.conformance              try all; exits with 1 where anything fails
    python -m scripts.conformance --write      the same, and write docs/clients.md anew

Without `--write`, a page that says something else than what was seen is a failure too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from scripts.conformance.environments import (
    FOLDER,
    PINS,
    ROOT,
    InstallError,
    lay_out_node,
    make_environment,
)
from scripts.conformance.page import REGENERATE, draw_page, draw_table, summary
from scripts.conformance.trial import CLIENTS, Tried, try_clients

PAGE: Final = ROOT / "docs/clients.md"
UNAVAILABLE: Final = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the clients; return 1 where one fails, 4 where an environment cannot be made."""
    parser = argparse.ArgumentParser(description="Try published clients against the service.")
    parser.add_argument("--write", action="store_true", help="write docs/clients.md anew")
    parser.add_argument("--only", metavar="SCRIPT", help="try the clients of one script only")
    parser.add_argument(
        "--json", type=Path, default=FOLDER / "conformance.json", help="where the results go"
    )
    given = parser.parse_args(arguments)
    clients = [client for client in CLIENTS if given.only in {None, client.script}]
    try:
        for name in PINS:
            make_environment(name)
    except InstallError as error:
        print(error, file=sys.stderr)
        return UNAVAILABLE
    lay_out_node()
    results = try_clients(clients, logs=FOLDER / "logs")
    print(draw_table(results))
    given.json.write_text(json.dumps(summary(results), indent=1) + "\n", encoding="utf-8")
    failures = [line for tried in results for line in tried.failures()]
    if not given.only and not failures:
        failures += _page(results, write=given.write)
    for line in failures:
        print(line, file=sys.stderr)
    passed = sum(tried.passed for tried in results)
    print(f"{passed} passed, {len(results) - passed} failed")
    return 1 if failures else 0


def _page(results: Sequence[Tried], *, write: bool) -> list[str]:
    """Write the page, or compare it."""
    page = draw_page(results)
    if write:
        PAGE.write_text(page, encoding="utf-8")
        return []
    if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page:
        return [f"{PAGE.relative_to(ROOT)}:1: out of date: run `{REGENERATE}`"]
    return []


if __name__ == "__main__":
    sys.exit(main())
