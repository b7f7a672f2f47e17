"""The TOML edge of model profiles: what a profile table may hold, and what is wrong with one."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from chunking.errors import ConfigurationError
from serve.review import ReviewedFactsEntry, ReviewEntry, WeightsEntry

BackendName = Literal["openai", "xllamacpp", "quote", "scripted"]
Place = Literal["local", "cloud"]

CLOUD_HOSTS = (
    *("openai.com", "openai.azure.com", "googleapis.com", "anthropic.com", "mistral.ai"),
    *("amazonaws.com", "cohere.com", "groq.com", "openrouter.ai", "together.xyz", "deepseek.com"),
    *("ai.azure.com", "cognitiveservices.azure.com", "cloud.ibm.com", "databricks.com"),
    *("together.ai", "fireworks.ai", "x.ai", "perplexity.ai", "cerebras.ai", "sambanova.ai"),
    *("huggingface.co", "huggingface.cloud", "nvidia.com", "replicate.com", "deepinfra.com"),
    *("models.github.ai", "cloudflare.com", "ai-gateway.vercel.sh", "nebius.com", "ai21.com"),
    *("aliyuncs.com", "moonshot.ai", "moonshot.cn", "bigmodel.cn", "z.ai", "minimax.io"),
    *("siliconflow.com", "siliconflow.cn", "volces.com", "baidubce.com", "novita.ai"),
)
"""Addresses of providers, below which nothing can be `local`; others are the operator's word."""

SOURCED_FACTS = ("window", "output_limit", "price", "tokenizer", "licence")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SourceEntry(_Entry):
    """Where one fact was read and when."""

    url: str = Field(min_length=1)
    read: date
    note: str = ""


class SnapshotPriceEntry(_Entry):
    """A model in the price list of genai-prices."""

    provider: str = Field(min_length=1)
    model: str = Field(min_length=1)


class PerMillionPriceEntry(_Entry):
    """USD per million tokens, as exact decimals."""

    input_usd: Decimal = Field(ge=0)
    output_usd: Decimal = Field(ge=0)
    cached_input_usd: Decimal | None = Field(default=None, ge=0)


def _price_kind(value: object) -> str:
    if not isinstance(value, Mapping):
        return "none"
    return "snapshot" if {"provider", "model"} & value.keys() else "per_million"


_Tokens = Annotated[int, Field(gt=0, strict=True)]
PriceValue = Annotated[
    Annotated[Literal["none"], Tag("none")]
    | Annotated[SnapshotPriceEntry, Tag("snapshot")]
    | Annotated[PerMillionPriceEntry, Tag("per_million")],
    Discriminator(_price_kind),
]


class ProfileEntry(_Entry):
    """One profile table; `serve.profiles.ModelProfile` explains the keys."""

    description: str = ""
    backend: BackendName
    model: str = Field(min_length=1)
    base_url: str | None = Field(default=None, pattern=r"^https?://[^\s]+$")
    model_file: str | None = Field(default=None, min_length=1)
    api_key_env: str | None = Field(default=None, pattern=r"^[A-Z][A-Z0-9_]*$")
    window: _Tokens
    input_limit: _Tokens | None = None
    output_limit: _Tokens
    default_output: _Tokens | None = None
    tokenizer: str = Field(pattern=r"^(mistral|huggingface|tiktoken|estimated|server):\S+$")
    place: Place
    licence: str = Field(min_length=1)
    price: PriceValue
    timeout_seconds: float = Field(default=120, gt=0, le=3600)
    temperature: float | None = Field(default=None, ge=0, le=2)
    system_role: bool = True
    reranker: str | None = Field(default=None, min_length=1)
    concurrency: int | None = Field(default=None, ge=1, le=10_000)
    hardware_usd_per_hour: Decimal | None = Field(default=None, ge=0)
    power_usd_per_hour: Decimal | None = Field(default=None, ge=0)
    reviewed: date
    sources: dict[str, SourceEntry]
    review: ReviewEntry | None = None

    @model_validator(mode="after")
    def _check_numbers(self) -> Self:
        if self.output_limit >= self.window:
            raise ValueError(
                f"output_limit {self.output_limit} >= window {self.window}: the window holds prompt"
                " and answer, the two are different facts"
            )
        if self.default_output is not None and self.default_output > self.output_limit:
            raise ValueError(
                f"default_output {self.default_output} > output_limit {self.output_limit}"
            )
        if self.input_limit is not None and self.input_limit > self.window:
            raise ValueError(f"input_limit {self.input_limit} > window {self.window}")
        return self

    @model_validator(mode="after")
    def _check_server(self) -> Self:
        if (self.backend == "openai") != (self.base_url is not None):
            raise ValueError("base_url is needed by the backend 'openai' and by no other")
        if (self.backend == "xllamacpp") != (self.model_file is not None):
            raise ValueError("model_file is needed by the backend 'xllamacpp' and by no other")
        if self.backend == "xllamacpp" and self.place == "cloud":
            raise ValueError("place is cloud, and the backend 'xllamacpp' runs here: write local")
        if self.backend == "xllamacpp" and (self.concurrency or 1) > 1:
            raise ValueError(
                f"concurrency {self.concurrency} > 1: the backend 'xllamacpp' gives one request"
                " the whole window, so the others wait"
            )
        if self.tokenizer.startswith("server:") and self.base_url is None:
            raise ValueError(f"tokenizer {self.tokenizer!r} asks a server: base_url is missing")
        host = _host(self.base_url or "")
        if self.place == "local" and f".{host}".endswith(tuple(f".{one}" for one in CLOUD_HOSTS)):
            raise ValueError(f"place is local, and {host} is a provider's: write cloud")
        if self.tokenizer.startswith("server:") and self.place == "cloud":
            # Every candidate is counted before it is decided whether its text may leave.
            raise ValueError(
                f"tokenizer {self.tokenizer!r} would send text to a cloud before its route is"
                " decided: name a tokenizer that counts here, such as estimated:tiktoken:o200k_base"
            )
        return self

    @model_validator(mode="after")
    def _check_sources(self) -> Self:
        if missing := [fact for fact in SOURCED_FACTS if fact not in self.sources]:
            raise ValueError(f"no source for {', '.join(missing)}")
        if unknown := [name for name in self.sources if name not in SOURCED_FACTS]:
            raise ValueError(
                "; ".join(unknown_name("source", name, SOURCED_FACTS) for name in unknown)
            )
        return self


def _host(base_url: str) -> str:
    """Return the host of an address in its plain form: names are resolved in many others."""
    host = unicodedata.normalize("NFKC", urlsplit(base_url).hostname or "")
    return host.replace("\u3002", ".").rstrip(".")


def parse_entry(table: Mapping[str, Any], *, where: str) -> ProfileEntry:
    """Return the checked table.

    Raises:
        ConfigurationError: states every key and number at fault, after `where`.
    """
    try:
        return ProfileEntry.model_validate(dict(table))
    except ValidationError as error:
        problems = "; ".join(_describe(problem) for problem in error.errors())
        raise ConfigurationError(f"{where}: {problems}") from error


def _describe(problem: Any) -> str:
    """Say in one clause what pydantic found wrong; never repeat what may be a key."""
    place = [str(part) for part in problem["loc"]]
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    if problem["type"] == "missing":
        return f"key {place[-1]!r} is missing"
    if problem["type"] == "extra_forbidden":
        return unknown_name("key", place[-1], _known_keys(place))
    if place[0] == "api_key_env":
        return "api_key_env is the name of an environment variable, such as OPENAI_API_KEY"
    return f"{'.'.join(place)} = {problem['input']!r}: {problem['msg']}"


def _known_keys(place: list[str]) -> Iterable[str]:
    if place[0] == "sources":
        return SourceEntry.model_fields
    if place[0] == "review":
        tables: dict[str, type[BaseModel]] = {
            "weights": WeightsEntry,
            "about": ReviewedFactsEntry,
        }
        return tables.get(place[1] if place[2:] else "", ReviewEntry).model_fields
    if "snapshot" in place[1:]:
        return SnapshotPriceEntry.model_fields
    if "per_million" in place[1:]:
        return PerMillionPriceEntry.model_fields
    return ProfileEntry.model_fields


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that a name is not known and which known one is nearest."""
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    suggestion = f", did you mean {nearest[0]!r}?" if nearest else ""
    return f"unknown {kind} {name!r}{suggestion}"
