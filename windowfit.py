"""The command line: mounts one group of verbs per package and imports none before it is asked for.

Every expected error ends a command with its message, its hint and its exit code: 0 done, 1 a
defect, 2 usage or configuration, 3 some documents quarantined, 4 a dependency is unavailable,
5 a quality gate failed, 130 interrupted.
"""

from __future__ import annotations

import json
import signal
import sys
from pkgutil import resolve_name
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from chunking.errors import DependencyMissing, WindowfitError

_INTERRUPTED = 130
_VERBS = {
    "ingest": ("ingest.cli:app", "Bring documents into a collection."),
    "ask": ("serve.cli:ask", "Answer one question and show what the model saw."),
    "replay": ("serve.cli:replay", "Rebuild the prompt of a kept request and compare it."),
    "serve": ("serve.cli:serve", "Run the HTTP service."),
    "models": ("serve.models_cli:app", "Show the models and review them."),
    "cost": ("serve.cost_cli:app", "Sum up what answers cost, and what left for the cloud."),
    "advise": ("serve.advise_cli:advise", "Advise between a cloud model and your own machine."),
    "eval": ("eval.cli:app", "Measure retrieval and answers."),
    "config": ("serve.config_cli:app", "Show the settings in force."),
    "doctor": ("serve.config_cli:doctor", "Test store, embedder, tokenizers, models and disk."),
}
_AGAIN = "; run the same command again to go on"
_RESUMED = {"ingest": f"{_AGAIN}, or `windowfit ingest resume`", "eval": _AGAIN}
"""How a command that was interrupted goes on; others have kept nothing to go on with."""
_MOUNTS = ("ingest.routes:mount_jobs",)
"""What other packages add to the HTTP service, loaded when it starts."""


class _Verbs(TyperGroup):
    """Lists verbs from the table above and loads only the one that runs."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the verbs in the order people need them."""
        del ctx
        return list(_VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a stand-in that carries the help line; `resolve_command` loads the verb."""
        del ctx
        known = _VERBS.get(cmd_name)
        return TyperCommand(cmd_name, help=known[1]) if known else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Load the verb that was typed."""
        name, stand_in, rest = super().resolve_command(ctx, args)
        return name, load_verb(name) if name in _VERBS else stand_in, rest


def load_verb(name: str) -> Any:
    """Return the command or group behind a verb of the table."""
    try:
        target = resolve_name(_VERBS[name][0])
    except ModuleNotFoundError as error:
        raise DependencyMissing(
            f"`windowfit {name}` needs the package {error.name!r}",
            hint="pip install 'windowfit[embed,server]'",
        ) from error
    if isinstance(target, typer.Typer):
        return typer.main.get_command(target)
    single = typer.Typer(add_completion=False)
    single.command(name, help=target.__doc__)(target)
    return typer.main.get_command(single)


app = typer.Typer(
    name="windowfit",
    cls=_Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Fits what you know into the window you have, and tells you exactly what it left out.",
)


@app.callback()
def _root(ctx: typer.Context) -> None:
    """Hand on what only the command line knows."""
    ctx.obj = _MOUNTS


def main() -> None:
    """Run the command line and exit with the code of what happened."""
    if sys.argv[1:2] == ["ingest"]:
        # What orchestrators send ends a job as Ctrl-C does: interrupted, and to be resumed.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except WindowfitError as error:
        sys.stderr.write(error.for_shell)
        if "--json" in sys.argv:
            told = {name: getattr(error, name) for name in ("code", "message", "hint", "retryable")}
            sys.stdout.write(json.dumps({"error": told}, ensure_ascii=False) + "\n")
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, SystemExit) as ended:
        # Typer turns an interruption inside a command into an exit with this code.
        if isinstance(ended, SystemExit) and ended.code != _INTERRUPTED:
            raise
        verb = sys.argv[1] if len(sys.argv) > 1 else ""
        sys.stderr.write(f"interrupted{_RESUMED.get(verb, '')}\n")
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
