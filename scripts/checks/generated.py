"""Generates the reference pages: the error table and the help of every command.

python -m scripts.checks.generated     prints the page of commands
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
from collections.abc import Iterator

import typer
from typer.core import TyperCommand, TyperGroup

from chunking import errors
from ingest import errors as ingest_errors
from serve import errors as serve_errors

REGENERATE = "`python -m scripts.check_docs --write`"
COMMAND = "windowfit"

_ERROR_MODULES = (errors, ingest_errors, serve_errors)

AnyCommand = TyperCommand | TyperGroup


def errors_page() -> str:
    """Return `docs/errors.md`: one row for each error, in the order of the sources."""
    rows = [
        f"| `{kind.code}` | {kind.status} | {kind.exit_code} | {_retry(kind)} "
        f"| {_cell(_promise(kind))} | {_cell(kind.default_hint)} |"
        for module in _ERROR_MODULES
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, errors.WindowfitError)
        and kind.__module__ == module.__name__
    ]
    head = [
        "# Errors",
        "",
        f"<!-- Generated from the packages' errors.py by {REGENERATE.strip('`')}: do not edit. -->",
        "",
        "Every expected failure has a stable `code`. Over HTTP it comes with the status below, as",
        "`application/problem+json`; a command ends with the exit code below.",
        "",
        "| code | status | exit | retry | what happened | way out |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows]) + "\n"


def _retry(kind: type[errors.WindowfitError]) -> str:
    if not kind.retryable:
        return "no"
    seconds = kind.default_retry_after_seconds
    return "yes" if seconds is None else f"after {seconds} s"


def _promise(kind: type[errors.WindowfitError]) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def commands_page() -> str:
    """Return `docs/commands.md`: the help of every command below `windowfit:app`.

    Raises:
        ImportError: the command line, or a package that it needs, cannot be imported.
        AttributeError: the command line has no `app`.
        TypeError: its `app` is not a typer application.
    """
    app = importlib.import_module(COMMAND).app
    root = typer.main.get_command(app) if isinstance(app, typer.Typer) else app
    if not isinstance(root, AnyCommand):
        raise TypeError(f"{COMMAND}:app is a {type(app).__name__}, not a typer application")
    lines = [
        "# Commands",
        "",
        f"<!-- Generated from --help by {REGENERATE.strip('`')}: do not edit. -->",
    ]
    for path in _walk(root, typer.Context(root, info_name=COMMAND), ()):
        lines += ["", f"## {' '.join((COMMAND, *path))}", "", "```text", _help(root, path), "```"]
    return "\n".join(lines) + "\n"


def _walk(
    command: AnyCommand, context: typer.Context, path: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    yield path
    if not isinstance(command, TyperGroup):
        return
    for name in command.list_commands(context):
        # Resolving, not getting: a lazy group may list stand-ins and load what is resolved.
        _, inner, _ = command.resolve_command(context, [name])
        if isinstance(inner, AnyCommand) and not inner.hidden:
            yield from _walk(
                inner, typer.Context(inner, info_name=name, parent=context), (*path, name)
            )


def _help(root: AnyCommand, path: tuple[str, ...]) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        root.main(args=[*path, "--help"], prog_name=COMMAND, standalone_mode=False)
    return "\n".join(line.rstrip() for line in printed.getvalue().splitlines()).strip("\n")


if __name__ == "__main__":
    sys.stdout.write(commands_page())
