"""Costs are exact decimals with their basis in words."""

from __future__ import annotations

import dataclasses
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from chunking.errors import ConfigurationError, DependencyMissing
from serve.cost import Cost, price, price_hardware
from serve.profiles import ModelProfile, PerMillionPrice, SnapshotPrice, load_profiles

PROFILES = load_profiles()
NOVEMBER = datetime(2026, 11, 21, 12, tzinfo=UTC)
NEXT_YEAR = datetime(2027, 1, 2, tzinfo=UTC)
CLOUD = [profile for profile in PROFILES.values() if profile.place == "cloud"]


def cost(profile: ModelProfile, *, at: datetime = NOVEMBER, **tokens: int) -> Cost:
    counts = {"prompt_tokens": 0, "cached_tokens": 0, "output_tokens": 0, **tokens}
    return price(profile, at=at, **counts)


def with_price(own: Any) -> ModelProfile:
    return dataclasses.replace(PROFILES["gpt-6-luna"], price=own)


@pytest.mark.parametrize("name", [name for name, p in PROFILES.items() if p.place == "local"])
def test_a_local_model_costs_nothing_by_the_token(name: str) -> None:
    made = cost(PROFILES[name], prompt_tokens=8000, output_tokens=100)

    assert made == Cost(Decimal(0), "no per-token charge")


@pytest.mark.parametrize("profile", CLOUD, ids=lambda profile: str(profile.name))
def test_every_cloud_model_is_in_the_price_list(profile: ModelProfile) -> None:
    made = cost(profile, prompt_tokens=1000, output_tokens=100)

    assert made.usd > 0
    assert made.basis.startswith("genai-prices ")
    assert made.basis.endswith(f"/{profile.model} at 2026-11-21")


def test_the_price_list_is_applied_to_the_digit() -> None:
    made = cost(PROFILES["gpt-6-luna"], prompt_tokens=1000, output_tokens=100)

    assert made.usd == Decimal("0.00015")  # 1000 at 0.10 and 100 at 0.50 USD per million


def test_cached_tokens_cost_less() -> None:
    luna = PROFILES["gpt-6-luna"]

    cached = cost(luna, prompt_tokens=1000, cached_tokens=900)

    assert cached.usd == Decimal("0.000019")  # 100 at 0.10 and 900 at 0.01 USD per million


def test_a_long_prompt_has_its_own_price() -> None:
    luna = PROFILES["gpt-6-luna"]

    short = cost(luna, prompt_tokens=272_000).usd
    long = cost(luna, prompt_tokens=272_001).usd

    assert short == Decimal("0.0272")
    assert long == Decimal("0.0544002")


def test_the_price_is_that_of_the_moment() -> None:
    gemini = PROFILES["gemini-3.8-flash"]

    now = cost(gemini, prompt_tokens=1000, at=NOVEMBER).usd
    later = cost(gemini, prompt_tokens=1000, at=NEXT_YEAR).usd

    assert later == 2 * now


def test_a_price_of_ones_own_is_exact() -> None:
    profile = with_price(PerMillionPrice(Decimal("0.1"), Decimal("0.3"), Decimal("0.01")))

    made = cost(profile, prompt_tokens=3, cached_tokens=1, output_tokens=1)

    assert made.usd == Decimal("0.00000051")
    assert profile.sources["price"].url in made.basis


def test_without_a_cache_price_cached_tokens_cost_as_much_as_others() -> None:
    profile = with_price(PerMillionPrice(Decimal(1), Decimal(2)))

    assert cost(profile, prompt_tokens=10, cached_tokens=9) == cost(profile, prompt_tokens=10)


@pytest.mark.parametrize("own", [PerMillionPrice(Decimal(1), Decimal(2)), CLOUD[0].price])
def test_more_cached_tokens_than_prompt_tokens_count_as_all(own: Any) -> None:
    profile = with_price(own)

    made = cost(profile, prompt_tokens=10, cached_tokens=99)

    assert made == cost(profile, prompt_tokens=10, cached_tokens=10)


def test_a_model_without_a_listed_price_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="lists no price for openai/gpt-0"):
        cost(with_price(SnapshotPrice("openai", "gpt-0")))


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        cost(PROFILES["quote"], at=NOVEMBER.replace(tzinfo=None))


def test_without_the_price_list_the_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)

    with pytest.raises(DependencyMissing, match="genai-prices is not installed"):
        cost(PROFILES["gpt-6-luna"], prompt_tokens=1)
    assert cost(PROFILES["quote"], prompt_tokens=1).usd == 0


def test_seconds_of_a_machine_are_charged_by_the_hour_and_rounded_up() -> None:
    hourly = dataclasses.replace(
        PROFILES["mistral-7b-8k"],
        hardware_usd_per_hour=Decimal("0.12"),
        power_usd_per_hour=Decimal("0.03"),
    )

    made = price_hardware(hourly, seconds=2.4104)

    assert made == Cost(Decimal("0.000100416667"), "hardware 2.410 s at 0.15 USD an hour")


def test_a_machine_without_a_price_is_not_counted_and_a_providers_not_mentioned() -> None:
    local, cloud = (PROFILES[name] for name in ("mistral-7b-8k", "gpt-6-luna"))

    assert price_hardware(local, seconds=9) == Cost(Decimal(0), "hardware not counted")
    assert price_hardware(cloud, seconds=9) == Cost(Decimal(0), "")
