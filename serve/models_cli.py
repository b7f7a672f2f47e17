"""`windowfit models`: which models may be used, under which licence, and who said so."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import tomlkit
import typer
from rich.console import Console
from rich.table import Column, Table
from tomlkit.exceptions import TOMLKitError

from chunking.counters import well_formed
from chunking.errors import ConfigurationError, InputError
from serve.profiles import ModelProfile, facts_of, find_profile, load_profiles
from serve.review import ROLE_LIMIT, ReviewStatus
from serve.schema import as_json
from serve.settings import ServeSettings

app = typer.Typer(no_args_is_help=True, help="Show the models and review them.")
_AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@app.command("list")
def list_models(*, as_json_lines: _AsJson = False) -> None:
    """List every model with its licence, its terms and its review."""
    profiles = load_profiles(ServeSettings.load().profiles)
    if as_json_lines:
        _print_json([_facts(profile) for profile in profiles.values()])
        return
    model, licence = Column("model", overflow="fold"), Column("licence", overflow="fold")
    table = Table(model, "place", licence, "review", "restrictions and terms", "weights")
    for profile in profiles.values():
        review = profile.review
        decided = f"{review.status}\n{review.role} {review.date}" if review.date else review.status
        told = (review.restrictions, review.region, review.data_terms, review.note)
        weights = review.weights
        source = "" if weights is None else f"{weights.source} {weights.revision}"
        table.add_row(
            *(profile.name, profile.place, profile.licence, decided),
            "\n".join(filter(None, told)),
            source.strip(),
        )
    Console(highlight=False, markup=False).print(table)


@app.command("review")
def review_model(
    model: Annotated[str, typer.Argument(help="Model profile to review.")],
    *,
    status: Annotated[ReviewStatus, typer.Option(help="approved, pending or blocked.")],
    role: Annotated[str, typer.Option(help="The role that decides, such as legal; no name.")],
    note: Annotated[str | None, typer.Option(help="What to remember of it.")] = None,
    as_json_lines: _AsJson = False,
) -> None:
    """Write a review of a model into your profile file; everything else in it stays.

    The file is the one that the setting serve.profiles names. It is checked with the review in it
    before it is replaced. A service that runs reads it when it is started again.
    """
    path = ServeSettings.load().profiles
    if path is None:
        raise ConfigurationError(
            "there is no file of your own profiles to write the review into",
            hint='set profiles = "profiles.toml" in [serve], or WINDOWFIT_SERVE_PROFILES',
            param="profiles",
        )
    if not (role := _readable(role, "role").strip()):
        raise InputError("--role is blank", hint="name the role that decides", param="role")
    if len(role) > ROLE_LIMIT:
        told = f"--role has {len(role)} characters > {ROLE_LIMIT}"
        raise InputError(told, hint="give the role alone, and what else there is as --note")
    known = load_profiles(path if path.exists() else None)
    about = asdict(facts_of(find_profile(known, model)))
    given = {
        "status": status,
        "role": role,
        "date": datetime.now(UTC).date(),
        "about": {name: fact for name, fact in about.items() if fact is not None},
    }
    if note is not None:
        given["note"] = _readable(note, "note")
    write_review(path, model, given)
    reviewed = load_profiles(path)[model]
    if as_json_lines:
        _print_json(_facts(reviewed))
    else:
        Console(highlight=False, markup=False).print(
            f"{model} is {reviewed.review.status} in {path}; licence: {reviewed.licence}"
        )


def _readable(text: str, param: str) -> str:
    """Return an option's text; what a shell gave in bytes that are no UTF-8, no file holds."""
    if well_formed(text) != text:
        message = f"--{param} is no text: it has bytes that are no UTF-8"
        raise InputError(message, hint="give it as UTF-8", param=param)
    return text


def write_review(path: Path, model: str, review: Mapping[str, Any]) -> None:
    """Set keys of a model's review in a profile file, at once and whole, or not at all.

    Comments, order and other content stay byte for byte. A file that is not there is made. What is
    written can be loaded, and says nothing else than before but the review.

    Raises:
        ConfigurationError: the file is no TOML, cannot be read or written, would not load with
            this review, or is laid out as nothing here can edit it; then it is as it was.
    """
    try:
        text = path.read_bytes().decode("utf-8") if path.exists() else ""
        edited = _edit(text, model, review)
        if edited is None:
            raise ConfigurationError(
                f"{path} is laid out in a way that this command cannot edit; nothing is changed",
                hint=f"give the review of {model!r} by hand: {_inline(review).as_string()[1:-1]}",
            )
        load_profiles(path, text=edited)
        _replace(path, edited)
    except (OSError, ValueError, TypeError) as error:  # no UTF-8 and no TOML are ValueErrors
        raise ConfigurationError(f"the review cannot be written into {path}: {error}") from error


def _edit(text: str, model: str, review: Mapping[str, Any]) -> str | None:
    """Return the text with the review in it; None where no way of writing it says just that."""
    wanted = tomllib.loads(text)
    _review_of(wanted, model, lambda _: {}).update(review)
    for make, laid in ((_table, dict(review)), (_inline_table, _inline(review))):
        # Tables cannot stand in inline tables, nor between dotted keys; inline tables can.
        with suppress(TOMLKitError, ValueError):
            document = tomlkit.parse(text)
            _review_of(document, model, make).update(laid)
            edited = tomlkit.dumps(document)
            if tomllib.loads(edited) == wanted:
                return edited
    return None


def _review_of(document: Any, model: str, make: Callable[[str], Any]) -> Any:
    """Return the table of a model's review; it and those above it are made where they lack."""
    table = document
    for name in ("profiles", model, "review"):
        if name not in table:
            table[name] = make(name)
        table = table[name]
        if not isinstance(table, dict):
            raise TypeError(f"{name} is no table")
    return table


def _table(name: str) -> Any:
    return tomlkit.table(is_super_table=name == "profiles")


def _inline_table(_: str) -> Any:
    return tomlkit.inline_table()


def _inline(facts: Mapping[str, Any]) -> Any:
    """Return facts as an inline table, those that are tables themselves, too."""
    table = tomlkit.inline_table()
    for name, fact in facts.items():
        table[name] = _inline(fact) if isinstance(fact, Mapping) else fact
    return table


def _replace(path: Path, text: str) -> None:
    """Put the text in the place of the file; whoever reads it sees the old one or the new one."""
    path = path.resolve()  # a link stays a link
    beside = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with beside.open("x", encoding="utf-8", newline="") as stream:
            if path.exists():
                beside.chmod(path.stat().st_mode & 0o777)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _facts(profile: ModelProfile) -> dict[str, Any]:
    facts: dict[str, Any] = as_json(
        {"model": profile.name, "place": profile.place, "licence": profile.licence}
        | {"licence_source": profile.sources["licence"].url, "review": profile.review}
    )
    return facts


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
