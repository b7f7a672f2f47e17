"""`windowfit eval report`: writes a finished comparison as one HTML file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from chunking.errors import InputError
from eval.comparison import read_comparison
from eval.report import write_report
from eval.written import check_writable


def report(
    comparison: Annotated[
        Path, typer.Argument(help="JSON file of a finished comparison, or it gzipped.")
    ],
    *,
    html: Annotated[Path, typer.Option(help="File to write; one that is there is replaced.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write a comparison as one HTML file of at most 2 MB that asks no network for anything.

    It opens from disk: what was found in plain words, charts with their tables, and every question
    with the answers and the receipts of all arms side by side. No model is called.
    """
    check_writable(html, param="html")
    found = read_comparison(comparison)
    if html.exists() and html.samefile(comparison):
        raise InputError(f"{html} is the comparison itself", hint="give another file", param="html")
    write_report(found, html)
    size = html.stat().st_size
    if as_json:
        told = {"html": str(html), "bytes": size, "questions": len(found.questions)}
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.write(f"wrote {html}: {len(found.questions):,} questions, {size:,} bytes\n")
