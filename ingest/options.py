"""The options that verbs of `windowfit ingest` share."""

from __future__ import annotations

from typing import Annotated

import typer

from chunking.sensitivity import Sensitivity, parse_sensitivity

Source = Annotated[
    str | None,
    typer.Argument(
        help="`factbook`, a file, a folder, a glob, or `-` for JSON lines; with --rebuild it may "
        "be left out, and the stored documents are used."
    ),
]
Collection = Annotated[str, typer.Option(help="Collection to work on.")]
AnyCollection = Annotated[
    str | None,
    typer.Option("--collection", help="Collection to work on; all of them if not given."),
]
Prune = Annotated[
    bool, typer.Option("--prune", help="Remove documents that the source does not hold any more.")
]
Rebuild = Annotated[
    bool,
    typer.Option(
        "--rebuild", help="Build all anew, by another embedder or splitter too, then switch."
    ),
]
Label = Annotated[
    Sensitivity | None,
    typer.Option(
        "--sensitivity",
        parser=parse_sensitivity,
        metavar="LABEL",
        help="Least label of all documents of the source: public, internal, confidential or "
        "restricted.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print no progress.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
