"""The fields that the requests of all routes share: texts, limits, filters and routes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints

from chunking.counters import well_formed
from chunking.errors import ConfigurationError, InputError
from chunking.sensitivity import Sensitivity
from retrieval.points import Where
from retrieval.search import SEARCH_LENGTH, SEARCH_LIMIT
from serve.errors import PolicyRefused
from serve.profile_entry import unknown_name
from serve.rules import ROUTE_WORDS
from serve.settings import ServeSettings


def _well_formed(value: object) -> object:
    """Replace unpaired surrogates: JSON can spell them, no tokenizer and no server encode them."""
    if isinstance(value, dict):
        return {_well_formed(key): _well_formed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_well_formed(item) for item in value]
    return well_formed(value) if isinstance(value, str) else value


JsonObject = Annotated[dict[str, Any], BeforeValidator(_well_formed)]
WellFormed = Annotated[str, BeforeValidator(_well_formed)]
Text = Annotated[WellFormed, StringConstraints(min_length=1, max_length=2_000_000)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]
TokenLimit = Annotated[int, Field(ge=1, le=100_000_000)]
Filter = dict[str, WellFormed | list[WellFormed]]
Searches = Annotated[
    tuple[Annotated[WellFormed, StringConstraints(pattern=r"\S", max_length=SEARCH_LENGTH)], ...],
    Field(
        max_length=SEARCH_LIMIT,
        description="what else to search for, as a planner that takes questions apart names it",
    ),
]


def where_of(given: Filter | None) -> Where | None:
    """Return a request's filter as the index takes it."""
    values = {
        key: (value,) if isinstance(value, str) else tuple(value)
        for key, value in (given or {}).items()
    }
    return values or None


CALL_LIMIT = 32
"""Model calls that mode `exhaustive` may take where the caller does not say."""
CallLimit = Annotated[
    int, Field(ge=1, le=1_000_000, description="most model calls of mode `exhaustive`")
]
CostLimit = Annotated[
    float | None,
    Field(ge=0, allow_inf_nan=False, description="most US dollars of mode `exhaustive`"),
]


Route = Annotated[
    Name | None,
    Field(description="`auto` by the rules, `local`, `cloud`, or a profile; default: the model"),
]
Label = Annotated[
    Sensitivity | None,
    Field(description="label of question and turns; default: the service's setting"),
]


def route_of(
    model: str | None, route: str | None, settings: ServeSettings
) -> tuple[str, str | None]:
    """Return the model and the route of a request, whose model may be the word of a route.

    Raises:
        InputError: model and route name two different ones.
        PolicyRefused: requests may not name that one.
    """
    if model in ROUTE_WORDS:
        model, route = None, route or model
    if model is not None and route not in {None, model}:
        raise InputError(
            f"model names {model!r} and route names {route!r}", hint="give one", param="route"
        )
    if not may_be_named(route or model, settings):
        raise PolicyRefused(
            f"requests may name only {len(settings.routes)} routes here, and {route or model!r} is"
            " none of them",
            hint=f"name one of: {', '.join(settings.routes)}; or leave route and model out",
            param="route" if route else "model",
        )
    if model is None and route is None:
        route = settings.route
    return model or settings.model, route


def may_be_named(route: str | None, settings: ServeSettings) -> bool:
    """Return whether a request may name that route or model; naming none is always allowed."""
    return route is None or not settings.routes or route in settings.routes


def check_routes(settings: ServeSettings, profiles: Collection[str]) -> None:
    """Raise ConfigurationError where requests may name what is neither a route nor a model."""
    for name in settings.routes:
        if name not in ROUTE_WORDS and name not in profiles:
            known = [*ROUTE_WORDS, *profiles]
            raise ConfigurationError(
                f"routes: {unknown_name('route or model profile', name, known)}", param="routes"
            )
