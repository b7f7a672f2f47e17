"""Model and route of a request: two fields that say one thing."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from chunking.errors import ConfigurationError, InputError
from chunking.sensitivity import Sensitivity
from serve.errors import PolicyRefused
from serve.fields import check_routes, route_of
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


class TestRoutesThatRequestsMayName:
    ONLY_AUTO = SETTINGS.model_copy(update={"routes": ("auto",), "route": "auto"})

    @pytest.mark.parametrize(
        ("model", "route"),
        [
            ("far", None),
            (None, "far"),
            ("far", "far"),
            ("near", None),
            (None, "cloud"),
            ("cloud", None),
            ("auto", "cloud"),
        ],
    )
    def test_another_one_is_refused(self, model: str | None, route: str | None) -> None:
        with pytest.raises(PolicyRefused, match="none of them"):
            route_of(model, route, self.ONLY_AUTO)

    def test_naming_it_or_nothing_is_allowed(self) -> None:
        assert route_of("auto", None, self.ONLY_AUTO) == ("near", "auto")
        assert route_of(None, None, self.ONLY_AUTO) == ("near", "auto")
        unrouted = self.ONLY_AUTO.model_copy(update={"route": None})
        assert route_of(None, None, unrouted) == ("near", None)

    def test_a_chat_cannot_name_a_model_in_either_place(self) -> None:
        turns = [{"role": "user", "content": "Lima?"}]
        for given in (
            {"model": "far"},
            {"model": "small/far"},
            {"model": "auto", "windowfit": {"route": "far"}},
        ):
            body = ChatRequest.model_validate({"messages": turns, **given})
            with pytest.raises(PolicyRefused):
                ask_of(body, self.ONLY_AUTO, ["near", "far"])

    def test_a_name_that_is_neither_route_nor_model_ends_the_start(self) -> None:
        settings = SETTINGS.model_copy(update={"routes": ("atuo",)})

        with pytest.raises(ConfigurationError, match="did you mean 'auto'"):
            check_routes(settings, ["near"])
        check_routes(self.ONLY_AUTO, ["near"])
