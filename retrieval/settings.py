"""Settings of the index: where it lives and what embeds; and how every settings table is read."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from dotenv import dotenv_values
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)
from pydantic_settings.sources import DotEnvSettingsSource, EnvSettingsSource

from chunking.errors import ConfigurationError, UnknownSensitivity
from chunking.sensitivity import UNLABELLED, Sensitivity, parse_sensitivity

CONFIG_VARIABLE = "WINDOWFIT_CONFIG"
DEFAULT_CONFIG = Path("windowfit.toml")
DOTENV = Path(".env")
TABLES = ("index", "serve")
"""The tables of `windowfit.toml`; each is owned by the settings class of one package."""
_FREE_PREFIXES = (CONFIG_VARIABLE, "WINDOWFIT_TEST_")
"""Variables that no table owns."""


class TableSettings(BaseSettings):
    """Settings of one table: defaults, then the TOML table, then `.env`, then the environment.

    Unknown keys, tables and `WINDOWFIT_…` variables are errors that name the nearest known one.
    """

    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, env_file=DOTENV, validate_default=True
    )
    table: ClassVar[str]
    reserved_prefixes: ClassVar[tuple[str, ...]] = ()
    """Prefixes of variables that another table owns."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the TOML table below the environment and above the defaults."""
        del file_secret_settings
        table = _TomlTable(settings_cls, cls.table)
        return init_settings, env_settings, dotenv_settings, table

    @classmethod
    def load(cls, **overrides: object) -> Self:
        """Return the settings in force; `overrides` (flags of a command) win over everything.

        Raises:
            ConfigurationError: a value is wrong or a key is unknown.
        """
        given = {name: value for name, value in overrides.items() if value is not None}
        cls._check_variables()
        try:
            return cls(**given)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            name = ".".join(str(part) for part in problem["loc"])
            raise ConfigurationError(f"setting {name!r}: {problem['msg']}", param=name) from None
        except SettingsError as error:
            raise ConfigurationError(f"{error}: write it as JSON") from error

    @classmethod
    def _check_variables(cls) -> None:
        """Refuse a variable of this table's prefix that no setting reads."""
        prefix = cls.model_config.get("env_prefix", "")
        known = {f"{prefix}{name.upper()}" for name in cls.model_fields}
        foreign = (*cls.reserved_prefixes, *_FREE_PREFIXES)
        for name in (*os.environ, *dotenv_values(DOTENV)):
            if name.startswith(prefix) and name not in known and not name.startswith(foreign):
                raise unknown_key(f"variable {name}", name, known)

    def origins(self) -> dict[str, str]:
        """Return for every setting which of default, file or environment gave its value."""
        kind = type(self)
        sources: tuple[tuple[str, PydanticBaseSettingsSource], ...] = (
            (str(config_file()), _TomlTable(kind, kind.table)),
            (".env", DotEnvSettingsSource(kind)),
            ("environment", EnvSettingsSource(kind)),
        )
        found = dict.fromkeys(kind.model_fields, "default")
        for origin, source in sources:
            found.update((key, origin) for key in source() if key in found)
        return found


def _label(value: object) -> Sensitivity:
    try:
        return parse_sensitivity(value)
    except UnknownSensitivity as error:
        raise ValueError(f"{error.message}; {error.hint}") from error


Label = Annotated[Sensitivity, BeforeValidator(_label)]
"""A label of sensitivity as people write it."""


class LabelRule(BaseModel):
    """A rule `[[index.labels]]`: what a glob matches has at least a label."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    glob: str = Field(min_length=1)
    label: Label


class IndexSettings(TableSettings):
    """Where the index lives, and what embeds and cuts documents."""

    model_config = SettingsConfigDict(env_prefix="WINDOWFIT_")
    table: ClassVar[str] = "index"
    reserved_prefixes: ClassVar[tuple[str, ...]] = ("WINDOWFIT_SERVE_",)

    home: Path = Field(
        default=Path(".windowfit"), description="folder of all state: index, models, requests"
    )
    qdrant_url: str | None = Field(
        default=None, description="URL of a Qdrant server; unset means the embedded engine"
    )
    qdrant_api_key: SecretStr | None = Field(default=None, description="key of the Qdrant server")
    qdrant_grpc_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="port for points over gRPC; unset means REST alone",
    )
    qdrant_ca_file: Path | None = Field(
        default=None, description="PEM file of the only authorities trusted with the server's TLS"
    )
    qdrant_shards: int | None = Field(
        default=None, ge=1, description="parts a new collection is spread over"
    )
    qdrant_replication_factor: int | None = Field(
        default=None, ge=1, description="copies of every part of a new collection"
    )
    qdrant_write_consistency_factor: int | None = Field(
        default=None, ge=1, description="copies that take a write before it counts as done"
    )
    qdrant_quantization: Literal["none", "int8"] | None = Field(
        default=None, description="how a new collection packs vectors in memory: none or int8"
    )
    qdrant_vectors_on_disk: bool | None = Field(
        default=None, description="keep the vectors of a new collection out of memory"
    )
    qdrant_payload_on_disk: bool | None = Field(
        default=None, description="keep the texts of a new collection out of memory"
    )
    qdrant_rescore: bool | None = Field(
        default=None, description="settle searches in packed vectors by the vectors as given"
    )
    embedder: str = Field(
        default="sentence-transformers:all-MiniLM-L6-v2",
        description='what embeds, as "provider:model"',
    )
    reranker: str = Field(
        default="none",
        description='what orders the first hits anew, as "provider:model"; none for nothing',
    )
    chunk_size: int = Field(default=200, ge=16, description="most tokens of a chunk's text")
    batch_chunks: int = Field(
        default=256,
        ge=2,
        description="chunks embedded and stored at a time, which a kill may cost; more suit a GPU",
    )
    factbook: Path = Field(
        default=Path(".cache/data/factbook"), description="folder of the Factbook's JSON files"
    )
    job_sources: Path | None = Field(
        default=None,
        description="folder below which jobs over HTTP may read; unset means documents sent along",
    )
    default_sensitivity: Label = Field(
        default=UNLABELLED, description="label of documents that nothing else labels"
    )
    labels: tuple[LabelRule, ...] = Field(
        default=(), description="rules of glob and label; the first that matches a name holds"
    )
    tokenizers: tuple[str, ...] = Field(
        default=("mistral:v3", "tiktoken:o200k_base"),
        description="tokenizers that count documents and chunks at ingestion",
    )

    @property
    def models_folder(self) -> Path:
        """Where weights and tokenizers are looked for before any hub."""
        return self.home / "models"


class _TomlTable(PydanticBaseSettingsSource):
    """One table of `windowfit.toml` as a settings source."""

    def __init__(self, settings_cls: type[BaseSettings], table: str) -> None:
        super().__init__(settings_cls)
        self._table = table

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the value of one field; `__call__` is what pydantic-settings reads."""
        del field
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the table's keys and values."""
        values = read_config().get(self._table, {})
        for key in values:
            if key not in self.settings_cls.model_fields:
                raise unknown_key(f"[{self._table}] {key}", key, self.settings_cls.model_fields)
        return dict(values)


def config_file() -> Path:
    """Return the path of the configuration file in force, whether it exists or not."""
    return Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG))


def read_config() -> Mapping[str, Any]:
    """Return the tables of the configuration file; empty when there is none.

    Raises:
        ConfigurationError: the file named by WINDOWFIT_CONFIG is missing, it is no TOML, or it has
            an unknown table.
    """
    path = config_file()
    if not path.exists():
        if CONFIG_VARIABLE in os.environ:
            raise ConfigurationError(f"{CONFIG_VARIABLE} names {path}, which does not exist")
        return {}
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from error
    for table, values in tables.items():
        if table not in TABLES:
            raise unknown_key(f"table [{table}] of {path}", table, TABLES)
        if not isinstance(values, dict):
            raise ConfigurationError(f"{table} of {path} is no table: write [{table}]", param=table)
    return tables


def unknown_key(
    what: str, key: str, known: Mapping[str, object] | set[str] | tuple[str, ...]
) -> ConfigurationError:
    """Return the error for an unknown key, with the nearest known one as its hint."""
    nearest = difflib.get_close_matches(key, list(known), n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(sorted(known))}"
    return ConfigurationError(f"unknown {what}", hint=hint, param=key)
