"""What a call costs, in exact decimals, and how the number came about; no network, ever."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_UP, Decimal

from chunking.errors import ConfigurationError, DependencyMissing
from serve.profiles import ModelProfile, NoCharge, PerMillionPrice, SnapshotPrice

_MILLION = Decimal(1_000_000)
_HOUR_SECONDS = 3600
_SMALLEST = Decimal("1e-12")
"""What the cost of seconds is rounded to: of amounts that end, sums are exact."""
LARGEST_GIVEN, SMALLEST_GIVEN = Decimal("1e18"), Decimal("1e-9")
"""Bounds of amounts that a user gives, 0 apart: sums of such numbers have digits that people can
read, and no limit of decimals is met."""


@dataclass(frozen=True, slots=True)
class Cost:
    """An amount of US dollars and, in words, the basis it was computed on."""

    usd: Decimal
    basis: str


def price(
    profile: ModelProfile,
    *,
    prompt_tokens: int,
    cached_tokens: int,
    output_tokens: int,
    at: datetime,
) -> Cost:
    """Return what the provider bills for one call at that moment.

    Args:
        profile: the model that was called.
        prompt_tokens: prompt tokens, those served from a cache included.
        cached_tokens: part of `prompt_tokens` served from a cache; more than all counts as all.
        output_tokens: answer tokens, thinking included.
        at: when the call was made, with a time zone: prices change with time.

    Raises:
        ConfigurationError: the price list does not hold the model.
    """
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone, so the price in force is not known")
    cached = min(cached_tokens, prompt_tokens)
    match profile.price:
        case NoCharge():
            return Cost(Decimal(0), "no per-token charge")
        case PerMillionPrice() as rates:
            usd = _charge(rates, prompt_tokens - cached, cached, output_tokens)
            source = profile.sources["price"]
            return Cost(usd, f"USD per million tokens in the profile, {source.url} {source.read}")
        case SnapshotPrice() as listed:
            return _charge_listed(listed, prompt_tokens, cached, output_tokens, at)


def price_hardware(profile: ModelProfile, *, seconds: float) -> Cost:
    """Return what the machine of a model cost in so many seconds, rounded up to 1e-12 USD.

    Seconds count to the millisecond. Calls that a server answers side by side are each charged
    whole, so give a share of the hour's cost where that is the rule. The basis is empty where the
    machine is a provider's.
    """
    parts = (profile.hardware_usd_per_hour, profile.power_usd_per_hour)
    hourly = sum((part for part in parts if part), Decimal(0))
    if not hourly:
        return Cost(Decimal(0), "" if profile.place == "cloud" else "hardware not counted")
    counted = Decimal(f"{seconds:.3f}")
    usd = (counted * hourly / _HOUR_SECONDS).quantize(_SMALLEST, rounding=ROUND_UP)
    return Cost(usd, f"hardware {counted} s at {hourly} USD an hour")


def price_at_most(profile: ModelProfile, prompt_tokens: int, output_tokens: int) -> Decimal:
    """Return what a call costs now if no cache helps and the answer takes all its room."""
    return price(
        profile,
        prompt_tokens=prompt_tokens,
        cached_tokens=0,
        output_tokens=output_tokens,
        at=datetime.now(UTC),
    ).usd


def _charge(rates: PerMillionPrice, fresh: int, cached: int, output: int) -> Decimal:
    cached_usd = rates.input_usd if rates.cached_input_usd is None else rates.cached_input_usd
    return (fresh * rates.input_usd + cached * cached_usd + output * rates.output_usd) / _MILLION


def _charge_listed(
    listed: SnapshotPrice, prompt: int, cached: int, output: int, at: datetime
) -> Cost:
    try:
        import genai_prices
    except ModuleNotFoundError as error:
        raise DependencyMissing(
            "genai-prices is not installed, so the price list cannot be read",
            hint="pip install 'windowfit[server]'",
        ) from error
    usage = genai_prices.Usage(input_tokens=prompt, cache_read_tokens=cached, output_tokens=output)
    try:
        listing = genai_prices.calc_price(
            usage, listed.model, provider_id=listed.provider, genai_request_timestamp=at
        )
    except LookupError as error:
        raise ConfigurationError(
            f"genai-prices {genai_prices.__version__} lists no price for"
            f" {listed.provider}/{listed.model}",
            hint="give the price per million tokens in your profile file",
        ) from error
    basis = (
        f"genai-prices {genai_prices.__version__} snapshot,"
        f" {listing.provider.id}/{listing.model.id} at {at.date()}"
    )
    return Cost(listing.total_price, basis)
