"""Holds a published comparison against its own inputs: which of its figures follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from serve.advice_text import count, plain, usd
from serve.advise import CloudOffer, Machine, Situation, Volume, advise

SOURCE: Final = "a published comparison of March 2025"
Verdict = Literal["follows", "follows in part", "does not follow"]
_MILLION: Final = 1_000_000
_MONTHS: Final = 36
"""Over which the comparison spreads its hardware."""


@dataclass(frozen=True, slots=True)
class PublishedCloud:
    """A cloud model of the comparison: USD per million tokens, and what 10M are said to cost."""

    name: str
    input_usd: int
    output_usd: int
    claimed_usd: int
    accuracy_percent: int
    latency_ms: tuple[int, int]

    def least_usd(self, tokens: int) -> Decimal:
        """Return what so many tokens cost where none of them is output."""
        return Decimal(tokens) * self.input_usd / _MILLION

    def most_usd(self, tokens: int) -> Decimal:
        """Return what so many tokens cost where all of them are output."""
        return Decimal(tokens) * self.output_usd / _MILLION


@dataclass(frozen=True, slots=True)
class PublishedLocal:
    """A local model of the comparison: least and most USD of hardware a month, and its claim."""

    name: str
    hardware_usd: tuple[int, int]
    claimed_usd: int
    accuracy_percent: int
    latency_ms: tuple[int, int]

    @property
    def middle_usd(self) -> Decimal:
        """The middle of its hardware's cost."""
        return Decimal(sum(self.hardware_usd)) / 2


CLOUDS: Final = (
    PublishedCloud("GPT-4o", 5, 15, 1800, 86, (800, 1200)),
    PublishedCloud("Claude 3.5 Sonnet", 3, 15, 1080, 88, (600, 900)),
)
LOCALS: Final = (
    PublishedLocal("Llama 3.1 70B local", (40, 80), 60, 83, (2000, 4000)),
    PublishedLocal("Mistral 7B local", (30, 60), 45, 62, (1500, 2500)),
)
_TOKENS: Final = 10 * _MILLION
_LOW, _HIGH = 500_000, 5 * _MILLION
_PAY_BACK_MONTHS: Final = 6


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure of the comparison: what it says, what its inputs give, and whether they agree."""

    subject: str
    claim: str
    arithmetic: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Example:
    """What the same sums as everywhere say of one volume, half input and half output."""

    tokens: int
    cloud: str
    local: str
    cloud_usd: Decimal
    local_usd: Decimal
    choice: str
    break_even_tokens: Decimal | None
    pay_back_months: Decimal | None


def examine() -> tuple[Finding, ...]:
    """Return a finding for every claim of the comparison."""
    return (
        *map(_examine_cloud, CLOUDS),
        *map(_examine_local, LOCALS),
        _examine_small(),
        _examine_zone(),
        _examine_pay_back(),
    )


def work_examples() -> tuple[Example, ...]:
    """Return its volumes for each pair of models: below, at the end of and above its zone."""
    return tuple(
        _example(tokens, cloud, local)
        for tokens in (_LOW, _HIGH, _TOKENS)
        for cloud in CLOUDS
        for local in LOCALS
    )


def _example(tokens: int, cloud: PublishedCloud, local: PublishedLocal) -> Example:
    half = Decimal(tokens) / 2
    situation = Situation(
        Volume(half, half, source=SOURCE),
        CloudOffer(Decimal(cloud.input_usd), Decimal(cloud.output_usd), source=SOURCE),
        Machine(local.middle_usd * _MONTHS, Decimal(_MONTHS)),
    )
    advice = advise(situation)
    return Example(
        tokens,
        cloud.name,
        local.name,
        situation.cloud_usd,
        situation.local_usd,
        advice.choice,
        advice.break_even_tokens,
        advice.pay_back_months,
    )


def _examine_cloud(model: PublishedCloud) -> Finding:
    least, most = model.least_usd(_TOKENS), model.most_usd(_TOKENS)
    per_input = Decimal(model.claimed_usd) / model.input_usd
    per_output = Decimal(model.claimed_usd) / model.output_usd
    claim, follows = usd(Decimal(model.claimed_usd)), least <= model.claimed_usd <= most
    bounds = (
        f"10 * ${model.input_usd} = {usd(least)} if all are input,"
        f" 10 * ${model.output_usd} = {usd(most)} if all are output"
    )
    takes = f"{plain(per_output)}M output or {plain(per_input)}M input tokens"
    return Finding(
        f"10M tokens a month, {model.name}",
        claim,
        f"{bounds}; {claim} is {plain(model.claimed_usd / most)} times the most: it takes {takes}",
        "follows" if follows else "does not follow",
    )


def _examine_local(model: PublishedLocal) -> Finding:
    least, most = model.hardware_usd
    follows = least <= model.claimed_usd <= most
    return Finding(
        f"10M tokens a month, {model.name}",
        usd(Decimal(model.claimed_usd)),
        f"10 * $0 + hardware of ${least} to ${most} = ${least} to ${most}, in the middle"
        f" {usd(model.middle_usd)}; power and people are not counted",
        "follows" if follows else "does not follow",
    )


def _examine_small() -> Finding:
    dearest = max(model.most_usd(_LOW) for model in CLOUDS)
    cheapest = min(model.hardware_usd[0] for model in LOCALS)
    return Finding(
        "under 500K tokens a month",
        "cloud",
        f"0.5 * $15 = {usd(dearest)} at most in the cloud, {usd(Decimal(cheapest))} at least for"
        " hardware",
        "follows" if dearest < cheapest else "does not follow",
    )


def _examine_zone() -> Finding:
    cheapest = min(model.hardware_usd[0] for model in LOCALS)
    dearest = max(model.hardware_usd[1] for model in LOCALS)
    first = Decimal(cheapest) / max(model.output_usd for model in CLOUDS) * _MILLION
    last = Decimal(dearest) / min(model.input_usd for model in CLOUDS) * _MILLION
    verdict: Verdict = "does not follow"
    if first <= _HIGH and last >= _LOW:
        verdict = "follows" if first >= _LOW and last <= _HIGH else "follows in part"
    return Finding(
        "500K to 5M tokens a month",
        "break-even",
        f"the earliest break-even is ${cheapest} / $15 = {count(first)} tokens, all output; the"
        f" latest ${dearest} / $3 = {count(last)}, all input; below the first the cloud always"
        " costs less",
        verdict,
    )


def _examine_pay_back() -> Finding:
    price = Decimal(min(model.hardware_usd[0] for model in LOCALS)) * _MONTHS
    saved = max(model.most_usd(_HIGH) for model in CLOUDS)
    months = price / saved
    needed = price / _PAY_BACK_MONTHS / max(model.output_usd for model in CLOUDS)
    return Finding(
        "over 5M tokens a month",
        f"local pays in about {_PAY_BACK_MONTHS} months",
        f"hardware of ${price / _MONTHS} a month for {_MONTHS} months was bought for {usd(price)};"
        f" 5M tokens save {usd(saved)} a month at most: {usd(price)} / {usd(saved)} ="
        f" {plain(months)} months, power not counted; {_PAY_BACK_MONTHS} months take"
        f" {plain(needed)}M output tokens a month or more",
        "follows" if months <= _PAY_BACK_MONTHS else "does not follow",
    )
