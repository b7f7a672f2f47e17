"""Model and route of a request: two fields that say one thing."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from chunking.errors import InputError
from chunking.sensitivity import Sensitivity
from serve.fields import route_of
from serve.openai_chat import ask_of
from serve.openai_schema import ChatRequest
from serve.schema import AnswerRequest
from serve.settings import ServeSettings

SETTINGS = ServeSettings(model="near")


@pytest.mark.parametrize(
    ("model", "route", "found"),
    [
        (None, None, ("near", None)),
        ("far", None, ("far", None)),
        ("auto", None, ("near", "auto")),
        (None, "local", ("near", "local")),
        (None, "far", ("near", "far")),
        ("far", "far", ("far", "far")),
        ("auto", "cloud", ("near", "cloud")),
    ],
)
def test_a_route_may_stand_in_either_field(
    model: str | None, route: str | None, found: tuple[str, str | None]
) -> None:
    assert route_of(model, route, SETTINGS) == found


def test_two_different_ones_are_refused() -> None:
    with pytest.raises(InputError, match="route names 'cloud'"):
        route_of("near", "cloud", SETTINGS)


def test_the_service_may_route_what_names_nothing() -> None:
    settings = SETTINGS.model_copy(update={"route": "auto"})

    assert route_of(None, None, settings) == ("near", "auto")
    assert route_of("far", None, settings) == ("far", None)


def test_a_request_without_a_label_has_that_of_the_settings() -> None:
    settings = SETTINGS.model_copy(update={"request_sensitivity": Sensitivity.CONFIDENTIAL})
    body = AnswerRequest(question="Lima?")

    assert body.ask(settings).sensitivity is Sensitivity.CONFIDENTIAL
    labelled = AnswerRequest(question="Lima?", sensitivity=Sensitivity.PUBLIC)
    assert labelled.ask(settings).sensitivity is Sensitivity.PUBLIC


def test_a_label_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="sensitivity"):
        AnswerRequest.model_validate({"question": "Lima?", "sensitivity": "secret"})


@pytest.mark.parametrize(
    ("model", "options", "found"),
    [
        ("auto", {}, ("near", "auto")),
        ("small/auto", {}, ("near", "auto")),
        ("far", {}, ("far", None)),
        ("far", {"route": "auto"}, ("near", "auto")),
    ],
)
def test_a_client_of_openais_names_a_route_as_its_model_or_beside_it(
    model: str, options: dict[str, object], found: tuple[str, str | None]
) -> None:
    chat = {"model": model, "messages": [{"role": "user", "content": "Lima?"}]}
    body = ChatRequest.model_validate({**chat, "windowfit": {"sensitivity": "public", **options}})

    ask = ask_of(body, SETTINGS, ["near", "far"])

    assert (ask.model, ask.route) == found
    assert ask.sensitivity is Sensitivity.PUBLIC
