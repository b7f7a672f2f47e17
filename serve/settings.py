"""Settings of the service: where it listens, and which model answers by default."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from retrieval.settings import TableSettings


class ServeSettings(TableSettings):
    """The `[serve]` table of `windowfit.toml`; variables begin with `WINDOWFIT_SERVE_`."""

    model_config = SettingsConfigDict(env_prefix="WINDOWFIT_SERVE_")
    table: ClassVar[str] = "serve"

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8080, ge=0, le=65535, description="port to listen on; 0 picks one")
    model: str = Field(default="quote", description="profile used when a request names none")
    profiles: Path | None = Field(
        default=None, description="TOML file of your own model profiles, added to the built-in ones"
    )
    collection: str = Field(
        default="factbook", description="collection used when a request names none"
    )
