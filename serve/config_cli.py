"""`windowfit config show` and `windowfit doctor`."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, SecretStr
from rich.console import Console
from rich.table import Column, Table

from chunking.errors import WindowfitError
from retrieval.embed import HashEmbedder
from retrieval.fingerprint import IndexFingerprint
from retrieval.memory import MemoryEngine
from retrieval.places import collection_names
from retrieval.providers import open_embedder, open_engine, open_splitter
from retrieval.settings import IndexSettings, TableSettings, config_file
from serve.hindrances import find_hindrances
from serve.profiles import ModelProfile, find_profile, load_profiles
from serve.review import require_approved
from serve.routing import expand
from serve.runtime import Runtime
from serve.settings import ServeSettings
from serve.warming import reachable

_UNAVAILABLE = 4
_FREE_BYTES_WANTED = 2 * 1024**3
_MASK = "********"
_CREDENTIALS = re.compile(r"//[^/@\s]*@")

app = typer.Typer(no_args_is_help=True, help="Show the settings in force.")


@app.callback()
def _config() -> None:
    """Keep `config` a group, whatever the number of its verbs."""


@app.command()
def show(
    as_json: Annotated[bool, typer.Option("--json", help="Print the settings as JSON.")] = False,
) -> None:
    """Print every setting, its value and where the value comes from; secrets are masked."""
    rows = [*_rows(IndexSettings.load()), *_rows(ServeSettings.load())]
    if as_json:
        sys.stdout.write(json.dumps(rows, ensure_ascii=False) + "\n")
        return
    # Names and values are whole on a narrow terminal, too, so that they can be copied.
    setting, value = Column("setting", overflow="fold"), Column("value", overflow="fold")
    table = Table(setting, value, "origin", "what it is")
    for row in rows:
        table.add_row(row["setting"], str(row["value"]), row["origin"], row["description"])
    console = Console(highlight=False)
    console.print(table)
    state = "read" if config_file().exists() else "not there; defaults and environment only"
    console.print(f"file {config_file()}: {state}")


def _rows(settings: TableSettings) -> Iterator[dict[str, Any]]:
    origins = settings.origins()
    for name, field in type(settings).model_fields.items():
        yield {
            "setting": f"{settings.table}.{name}",
            "value": _shown(getattr(settings, name)),
            "origin": origins[name],
            "description": field.description,
        }


def _shown(value: object) -> object:
    """Return a value as JSON can hold it, without keys and without passwords in addresses."""
    if isinstance(value, SecretStr):
        return _MASK
    if isinstance(value, str):
        return _CREDENTIALS.sub(f"//{_MASK}@", value)
    if isinstance(value, tuple):
        return [_shown(item) for item in value]
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    return str(value) if isinstance(value, Path) else value


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing the doctor looked at: `ok`, `note` (works without it) or `problem`."""

    subject: str
    state: str
    detail: str


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Test store, embedder, tokenizers, disk and models; exit code 4 on a problem.

    Models are the default and those that rules, route and lists lead to.
    """
    index_settings, serve_settings = IndexSettings.load(), ServeSettings.load()
    findings = [
        _look("disk", lambda: _disk(index_settings)),
        _look("embedder", lambda: _embedder(index_settings)),
    ]
    runtime = None
    try:
        runtime = Runtime.open(index_settings, serve_settings, secrets=os.environ)
    except WindowfitError as error:
        findings.append(_look("store", lambda: _store(index_settings)))
        if all(item.state == "ok" for item in findings):
            findings.append(_problem("service", error))
    if runtime is not None:
        findings += _store_findings(runtime)
    else:
        # What models say needs no store: a service that runs holds it, and is no reason to stop.
        runtime = _without_store(index_settings, serve_settings)
    if runtime is not None:
        findings += asyncio.run(_service_findings(runtime, serve_settings))
    if as_json:
        sys.stdout.write(json.dumps([asdict(item) for item in findings]) + "\n")
    else:
        table = Table("what", "state", "detail")
        for item in findings:
            table.add_row(item.subject, item.state, item.detail)
        Console(highlight=False).print(table)
    if any(item.state == "problem" for item in findings):
        raise typer.Exit(_UNAVAILABLE)


def _look(subject: str, test: Callable[[], str], *, failure: str = "problem") -> Finding:
    try:
        return Finding(subject, "ok", test())
    except WindowfitError as error:
        return _problem(subject, error, state=failure)


def _problem(subject: str, error: WindowfitError, *, state: str = "problem") -> Finding:
    return Finding(subject, state, f"{error.message} — {error.hint}")


async def _service_findings(runtime: Runtime, settings: ServeSettings) -> list[Finding]:
    """Look at what a running service uses, then close it: connections belong to one event loop."""
    default = find_profile(runtime.profiles, settings.model)
    try:
        tokenizers = [
            _look(
                f"tokenizer of {profile.name}",
                partial(_tokenizer, runtime, profile),
                failure="problem" if profile is default else "note",
            )
            for profile in runtime.profiles.values()
        ]
        rerankers = [Finding("reranker", "note", told) for told in runtime.rerankers.problems]
        rerankers += [Finding("reranker", "ok", name) for name in runtime.rerankers.present]
        models = [await _model(runtime, profile) for profile in _routed(runtime, settings)]
        hindrances = find_hindrances(
            runtime.policy, runtime.profiles, runtime.secrets, models_folder=runtime.models_folder
        )
        routing = [Finding("routing", "note", f"{one.told} — {one.hint}") for one in hindrances]
        told = {finding.detail for finding in models}
        routing = [finding for finding in routing if finding.detail not in told]
        return [*rerankers, *tokenizers, *routing, *models]
    finally:
        await runtime.close()


def _without_store(index: IndexSettings, settings: ServeSettings) -> Runtime | None:
    """Return a runtime over an empty store; None where the settings themselves are wrong."""
    try:
        profiles = load_profiles(settings.profiles)
        find_profile(profiles, settings.model)
        policy = settings.policy(profiles)
    except WindowfitError:
        return None
    nothing = HashEmbedder()
    return Runtime(
        MemoryEngine(),
        nothing,
        IndexFingerprint(nothing.name, nothing.dimension, ""),
        profiles,
        index.models_folder,
        os.environ,
        policy=policy,
    )


def _routed(runtime: Runtime, settings: ServeSettings) -> Sequence[ModelProfile]:
    """Return the default model, then the others that the settings lead requests to."""
    lists = (*settings.local_models, *settings.cloud_models)
    route = (settings.route,) if settings.route and settings.route != "auto" else ()
    named = (*reachable(runtime.policy), *expand(route, runtime.policy), *lists)
    return [runtime.profiles[name] for name in dict.fromkeys((settings.model, *named))]


def _store_findings(runtime: Runtime) -> list[Finding]:
    try:
        names = collection_names(runtime.engine)
    except WindowfitError as error:
        return [_problem("store", error)]
    if not names:
        return [Finding("store", "note", "no collection; `windowfit ingest run` makes one")]
    return [_look(f"collection {name}", partial(_collection, runtime, name)) for name in names]


def _disk(settings: IndexSettings) -> str:
    existing = settings.home if settings.home.exists() else Path()
    free = shutil.disk_usage(existing).free
    if free < _FREE_BYTES_WANTED:
        raise WindowfitError(
            f"{free / 1024**3:.1f} GiB free at {settings.home}", hint="2 GiB are wanted"
        )
    return f"{free / 1024**3:.0f} GiB free at {settings.home}"


def _embedder(settings: IndexSettings) -> str:
    embedder = open_embedder(settings)
    splitter = open_splitter(settings, embedder)
    return f"{embedder.name}, dimension {embedder.dimension}, splitter {splitter.name}"


def _store(settings: IndexSettings) -> str:
    open_engine(settings).close()
    return str(_shown(settings.qdrant_url or f"embedded engine at {settings.home / 'index'}"))


def _collection(runtime: Runtime, name: str) -> str:
    searcher = runtime.searcher(name)
    documents = len(searcher.catalog().records)
    return f"{documents:,} documents, {searcher.index.chunk_count():,} chunks"


def _tokenizer(runtime: Runtime, profile: ModelProfile) -> str:
    counter = runtime.counter(profile)
    return f"{counter.name}, {'exact' if counter.exact else 'estimated'}"


async def _model(runtime: Runtime, profile: ModelProfile) -> Finding:
    subject = f"model {profile.name}"
    failure = "problem" if profile.name == runtime.policy.default else "note"
    try:
        require_approved(profile.name, profile.review)
        verification = await runtime.verify(profile)
    except WindowfitError as error:
        return _problem(subject, error, state=failure)
    if not profile.has_server:
        return Finding(subject, "ok", f"ready, window {profile.window:,}, no server")
    said = ", ".join(verification.confirmed) or "nothing"
    return Finding(subject, "ok", f"ready, window {profile.window:,}; the server confirms {said}")
