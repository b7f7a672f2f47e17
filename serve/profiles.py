"""Model profiles: what is known about each model, where it was read, and when."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

from chunking.errors import ConfigurationError, ModelNotFound
from serve.profile_entry import (
    SOURCED_FACTS,
    BackendName,
    PerMillionPriceEntry,
    Place,
    PriceValue,
    ProfileEntry,
    SnapshotPriceEntry,
    parse_entry,
    unknown_name,
)
from serve.review import PENDING, ModelReview, ReviewedFacts, in_force, laid_over

_CREDENTIALS = re.compile(r"//[^/]*@")


@dataclass(frozen=True, slots=True)
class NoCharge:
    """Nothing is billed by the token; hardware is not counted."""


@dataclass(frozen=True, slots=True)
class SnapshotPrice:
    """The price that genai-prices lists for `provider` and `model`."""

    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class PerMillionPrice:
    """USD per million tokens; cached prompt tokens cost `input_usd` where nothing else is said."""

    input_usd: Decimal
    output_usd: Decimal
    cached_input_usd: Decimal | None = None


Price = NoCharge | SnapshotPrice | PerMillionPrice


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fact was read (an address or a file), on which day, and what to know about it."""

    url: str
    read: date
    note: str = ""


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """Facts about one model as one server serves it.

    Attributes:
        name: what callers ask for.
        description: one sentence for people.
        backend: which implementation of `ChatBackend` answers.
        model: name sent to the server.
        base_url: root of the server's OpenAI-compatible routes; None where no server is called.
        model_file: the GGUF file of a model that llama.cpp runs, absolute or in the folder of
            models; None for every other backend.
        api_key_env: environment variable that holds the key; None where no key is needed.
        window: most tokens of prompt and answer together.
        input_limit: most prompt tokens, where the provider caps the prompt below the window.
        output_limit: most answer tokens in one request.
        default_output: answer tokens reserved when the caller does not say.
        tokenizer: the `"provider:model"` string of the token counter.
        place: whether text leaves the machines under the operator's control ("cloud") or not.
        licence: licence or terms under which the model may be used.
        price: how a call is billed.
        timeout_seconds: deadline of a whole call, retries included.
        temperature: sampling temperature; None leaves it to the server.
        system_role: whether the chat template takes a system message.
        reranker: what orders the first hits for this model, see `retrieval.rerank`; "none" for
            nothing, None for what the settings name.
        hardware_usd_per_hour, power_usd_per_hour: what the machine of the model costs while it
            answers; None where that is not counted.
        reviewed: the day a person last confirmed the profile.
        sources: one source for every name in `SOURCED_FACTS`.
        concurrency: calls of its server at a time; others wait in a queue. 1 for a `model_file`.
        review: whether the model may be used; pending where nobody said so.
    """

    name: str
    description: str
    backend: BackendName
    model: str
    base_url: str | None
    api_key_env: str | None
    window: int
    input_limit: int | None
    output_limit: int
    default_output: int
    tokenizer: str
    place: Place
    licence: str
    price: Price
    timeout_seconds: float
    temperature: float | None
    system_role: bool
    reviewed: date
    sources: Mapping[str, Source] = field(hash=False)
    reranker: str | None = None
    concurrency: int = 16
    hardware_usd_per_hour: Decimal | None = None
    power_usd_per_hour: Decimal | None = None
    review: ModelReview = PENDING
    model_file: str | None = None

    @property
    def has_server(self) -> bool:
        """Whether a language model answers, which can be asked what it is before it is used."""
        return self.base_url is not None or self.model_file is not None

    def prompt_limit(self, reserved_output: int) -> int:
        """Return the most prompt tokens a request with that much room for the answer may have."""
        free = self.window - reserved_output
        return free if self.input_limit is None else min(free, self.input_limit)


def load_profiles(
    user_file: Path | None = None, *, text: str | None = None
) -> Mapping[str, ModelProfile]:
    """Return every profile by name: those of the package, with the user's file laid over them.

    Args:
        text: what the user's file is going to hold, to check it first; by default what it holds.

    Raises:
        ConfigurationError: names the file, the profile, the key and the numbers at fault.
    """
    shipped = files("serve").joinpath("profiles.toml").read_text(encoding="utf-8")
    tables = _parse(shipped, origin="serve/profiles.toml")
    origins = dict.fromkeys(tables, "serve/profiles.toml")
    if user_file is not None:
        own = _read_user_file(user_file) if text is None else text
        for name, table in _parse(own, origin=str(user_file)).items():
            tables[name] = _lay_over(tables.get(name, {}), table, user_file=user_file)
            origins[name] = str(user_file)
    return MappingProxyType(
        {name: _build(name, table, origin=origins[name]) for name, table in tables.items()}
    )


def find_profile(profiles: Mapping[str, ModelProfile], name: str) -> ModelProfile:
    """Return the profile of that name.

    Raises:
        ModelNotFound: lists the names there are and the nearest one.
    """
    if name in profiles:
        return profiles[name]
    message = f"{unknown_name('model profile', name, profiles)}; there are {', '.join(profiles)}"
    raise ModelNotFound(message, param="model")


def _read_user_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"profile file {path} cannot be read") from error


def _parse(text: str, *, origin: str) -> dict[str, dict[str, Any]]:
    """Return the raw table of each profile; prices keep the digits they were written with."""
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{origin} is not valid TOML: {error}") from error
    if unknown := [key for key in document if key != "profiles"]:
        raise ConfigurationError(f"{origin}: {unknown_name('key', unknown[0], ['profiles'])}")
    tables = document.get("profiles", {})
    if not isinstance(tables, dict) or not all(isinstance(t, dict) for t in tables.values()):
        raise ConfigurationError(f"{origin}: write each profile as a table [profiles.NAME]")
    return tables


def _lay_over(
    table: dict[str, Any], override: dict[str, Any], *, user_file: Path
) -> dict[str, Any]:
    """Return `table` with the user's keys; a fact the user states is sourced to the user's file."""
    now = datetime.now(UTC).timestamp()  # of a file that is not written yet
    changed = user_file.stat().st_mtime if user_file.exists() else now
    read = datetime.fromtimestamp(changed, tz=UTC).date()
    own = {"url": user_file.resolve().as_uri(), "read": read}
    given = override.get("sources", {})
    merged = {**table, **override, "review": laid_over(table.get("review"), override)}
    if not isinstance(given, dict):
        return merged
    stated = {fact: own for fact in SOURCED_FACTS if fact in override}
    return {**merged, "sources": {**table.get("sources", {}), **stated, **given}}


def _build(name: str, table: dict[str, Any], *, origin: str) -> ModelProfile:
    entry = parse_entry(table, where=f"{origin}: profile {name!r}")
    values = {key: getattr(entry, key) for key in ProfileEntry.model_fields}
    values["default_output"] = entry.default_output or min(512, entry.output_limit)
    values["concurrency"] = entry.concurrency or (16 if entry.model_file is None else 1)
    values["price"] = _price(entry.price)
    review = PENDING if entry.review is None else entry.review.review()
    values["review"] = in_force(review, facts_of(entry))
    values["sources"] = {fact: Source(**entry.sources[fact].model_dump()) for fact in SOURCED_FACTS}
    return ModelProfile(name=name, **values)


def facts_of(profile: ProfileEntry | ModelProfile) -> ReviewedFacts:
    """Return what a review of the profile is about."""
    # Credentials in an address are nobody's to review, and a review is shown.
    address = profile.base_url and _CREDENTIALS.sub("//", profile.base_url)
    return ReviewedFacts(
        *(profile.backend, profile.model, profile.place, profile.licence),
        base_url=address,
        model_file=profile.model_file,
    )


def _price(entry: PriceValue) -> Price:
    if isinstance(entry, SnapshotPriceEntry):
        return SnapshotPrice(**entry.model_dump())
    if isinstance(entry, PerMillionPriceEntry):
        return PerMillionPrice(**entry.model_dump())
    return NoCharge()
