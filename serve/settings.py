"""Settings of the service: where it listens, and which model answers by default."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from chunking.errors import ConfigurationError
from chunking.sensitivity import UNLABELLED, Sensitivity
from retrieval.settings import TableSettings
from serve.escalation import Thresholds
from serve.profile_entry import unknown_name
from serve.profiles import ModelProfile
from serve.routing import Policy, make_policy
from serve.rules import ROUTE_WORDS, CloudLimit, Rule

_THRESHOLDS = Thresholds()


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
    route: str | None = Field(
        default=None,
        description="auto, local, cloud or a model, used when a request names neither route nor"
        " model; unset means the default model",
    )
    routes: tuple[str, ...] = Field(
        default=(),
        description="what requests may name as route or model, such as auto alone; empty means"
        " everything, and then a caller who names a model is under no rule",
    )
    rules: tuple[Rule, ...] = Field(
        default=(), description="rules of the route auto, the first that holds decides"
    )
    local_models: tuple[str, ...] = Field(
        default=(),
        description="what the route local stands for, in order; empty means the approved ones",
    )
    cloud_models: tuple[str, ...] = Field(
        default=(),
        description="what the route cloud stands for, in order; empty means the approved ones",
    )
    cloud_limit: CloudLimit = Field(
        default="internal",
        description="highest label that may go to a cloud; restricted text never may",
    )
    escalation_grounding: float = Field(
        default=_THRESHOLDS.grounding,
        ge=0,
        le=1,
        description="share of an answer's numbers and names that must stand in its context, where"
        " a rule escalates",
    )
    escalation_support: float = Field(
        default=_THRESHOLDS.support,
        ge=0,
        le=1,
        description="support by the search below which a rule escalates at once",
    )
    escalation_declined_support: float = Field(
        default=_THRESHOLDS.declined_support,
        ge=0,
        description="support from which an answer that declines is escalated",
    )
    request_sensitivity: Sensitivity = Field(
        default=UNLABELLED, description="label of a request that states none"
    )
    deadline_seconds: float | None = Field(
        default=None,
        gt=0,
        description="after this long no further model is asked for a request; unset means all are",
    )
    warm_up: bool = Field(
        default=True, description="call the local models that rules can reach once at the start"
    )
    collection: str = Field(
        default="factbook", description="collection used when a request names none"
    )
    upstream_check: Literal["refuse", "report"] = Field(
        default="refuse",
        description="what becomes of an answer to a prompt that the model's server cut in silence",
    )
    keepalive_seconds: float = Field(
        default=10, gt=0, description="longest silence of a stream before a keepalive comment"
    )
    grace_seconds: float = Field(
        default=1, ge=0, description="how long a stream waits for its first piece to fail by status"
    )
    body_limit_bytes: int = Field(
        default=16 * 1024**2, ge=1024, description="most bytes of a request's body"
    )
    keep_requests: bool = Field(
        default=True, description="keep every answered request for GET /requests/{id} and replay"
    )
    requests_limit: int = Field(default=10_000, ge=1, description="most requests kept")
    requests_days: int = Field(default=30, ge=1, description="days a request is kept")
    requests_limit_bytes: int = Field(
        default=256 * 1024**2, ge=1024**2, description="most bytes of kept requests, compressed"
    )

    def policy(self, profiles: Mapping[str, ModelProfile]) -> Policy:
        """Return what these settings allow of the models there are.

        Raises:
            ConfigurationError: a name in them is no model; see `make_policy`.
        """
        routes = (*ROUTE_WORDS, *profiles)
        if self.route is not None and self.route not in routes:
            raise ConfigurationError(
                unknown_name("route", self.route, routes),
                hint=f"a route is {', '.join(ROUTE_WORDS)} or a model; `windowfit models list`",
                param="route",
            )
        return make_policy(
            profiles,
            default=self.model,
            rules=self.rules,
            local=self.local_models,
            cloud=self.cloud_models,
            cloud_limit=Sensitivity(self.cloud_limit),
            deadline_seconds=self.deadline_seconds,
            thresholds=Thresholds(
                self.escalation_grounding,
                self.escalation_support,
                self.escalation_declined_support,
            ),
        )
