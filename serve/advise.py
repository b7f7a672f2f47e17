"""Advises between a cloud model and a machine of one's own, every sum shown; touches nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, Decimal
from typing import Final, Literal

from chunking.errors import InputError

Choice = Literal["local", "cloud", "neither"]
MONTH_DAYS: Final = Decimal("30.4375")
MONTH_HOURS: Final = Decimal("730.5")
_MILLION: Final = Decimal(1_000_000)
_HOUR_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True)
class Volume:
    """Tokens of a month, and where the figures come from."""

    input_tokens: Decimal
    output_tokens: Decimal
    source: str = "given"

    @property
    def tokens(self) -> Decimal:
        """Both together."""
        return self.input_tokens + self.output_tokens

    def times(self, factor: Decimal) -> Volume:
        """Return a multiple of it, in the same mix."""
        return replace(
            self,
            input_tokens=self.input_tokens * factor,
            output_tokens=self.output_tokens * factor,
        )


@dataclass(frozen=True, slots=True)
class CloudOffer:
    """What a provider bills, in USD per million tokens.

    Attributes:
        accuracy: percent of questions it answers rightly; None where that is not known.
    """

    input_usd: Decimal
    output_usd: Decimal
    source: str = "given"
    accuracy: Decimal | None = None

    def monthly_usd(self, volume: Volume) -> Decimal:
        """Return what a month costs."""
        fresh = volume.input_tokens * self.input_usd + volume.output_tokens * self.output_usd
        return fresh / _MILLION

    def times(self, factor: Decimal) -> CloudOffer:
        """Return it at a multiple of its prices."""
        return replace(self, input_usd=self.input_usd * factor, output_usd=self.output_usd * factor)


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine with a local model.

    Attributes:
        usd: what it costs to buy.
        months: over which that is spread.
        watts: what it draws; kwh_usd: what a kilowatt-hour costs.
        tokens_per_second: of output, all requests together; None where that is not known, and one
            machine is taken to be enough.
        prompt_tokens_per_second: of input; None leaves the time to read prompts out.
        hours: a month, for which it runs.
        speed_note: what is to be known of these speeds.
        accuracy: percent of questions that its model answers rightly; None where not known.
    """

    usd: Decimal
    months: Decimal
    watts: Decimal = Decimal(0)
    kwh_usd: Decimal = Decimal(0)
    tokens_per_second: Decimal | None = None
    prompt_tokens_per_second: Decimal | None = None
    hours: Decimal = MONTH_HOURS
    speed_note: str = ""
    accuracy: Decimal | None = None

    @property
    def power_usd(self) -> Decimal:
        """What a month of power costs."""
        return self.watts / 1000 * self.hours * self.kwh_usd

    @property
    def monthly_usd(self) -> Decimal:
        """What a month of one machine costs."""
        return self.usd / self.months + self.power_usd

    def busy_seconds(self, volume: Volume) -> Decimal:
        """Return how long one machine works on a volume, as far as its speed is known."""
        seconds = Decimal(0)
        if self.tokens_per_second is not None:
            seconds += volume.output_tokens / self.tokens_per_second
        if self.prompt_tokens_per_second is not None:
            seconds += volume.input_tokens / self.prompt_tokens_per_second
        return seconds

    def count(self, volume: Volume) -> int:
        """Return how many machines a volume takes."""
        share = self.busy_seconds(volume) / (self.hours * _HOUR_SECONDS)
        return max(1, int(share.to_integral_value(ROUND_CEILING)))


@dataclass(frozen=True, slots=True)
class Need:
    """What cost cannot outweigh: whether texts may leave, and the least accuracy in percent."""

    local_only: bool = False
    accuracy: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """What is to be advised on."""

    volume: Volume
    cloud: CloudOffer
    machine: Machine
    need: Need = field(default_factory=Need)

    @property
    def cloud_usd(self) -> Decimal:
        """What a month in the cloud costs."""
        return self.cloud.monthly_usd(self.volume)

    @property
    def machines(self) -> int:
        """How many machines the volume takes."""
        return self.machine.count(self.volume)

    @property
    def local_usd(self) -> Decimal:
        """What a month of these machines costs."""
        return self.machines * self.machine.monthly_usd

    @property
    def even_factor(self) -> Decimal | None:
        """The multiple of the cloud's prices at which both cost the same; None where it is free."""
        return self.local_usd / self.cloud_usd if self.cloud_usd else None

    def times(self, *, price: Decimal, volume: Decimal) -> Situation:
        """Return it at a multiple of the cloud's prices and of the volume."""
        return replace(self, cloud=self.cloud.times(price), volume=self.volume.times(volume))


@dataclass(frozen=True, slots=True)
class Case:
    """The choice at a multiple of the cloud's prices and of the volume."""

    price_factor: Decimal
    volume_factor: Decimal
    cloud_usd: Decimal
    local_usd: Decimal
    choice: Choice


@dataclass(frozen=True, slots=True)
class Advice:
    """The choice, and what it rests on.

    Attributes:
        reason: in one sentence.
        break_even_tokens: a month, from which one machine costs less than the cloud in this mix;
            None where it never does, as the cloud is free or the machine is too slow.
        pay_back_months: until what the cloud would have cost more has paid for the machines; None
            where power alone costs as much.
        cases: the choice with prices and volume each lower, the same and higher.
    """

    situation: Situation
    choice: Choice
    reason: str
    break_even_tokens: Decimal | None
    pay_back_months: Decimal | None
    cases: tuple[Case, ...]

    @property
    def firm(self) -> bool:
        """Whether no case changes the choice."""
        return all(case.choice == self.choice for case in self.cases)


def advise(
    situation: Situation,
    *,
    price_change: Decimal = Decimal("0.2"),
    volume_change: Decimal = Decimal("0.2"),
) -> Advice:
    """Return what costs less of what meets the need.

    Args:
        price_change, volume_change: how much lower and higher the cases are, as a share.

    Raises:
        InputError: there is no volume, or an accuracy is needed that is not known.
    """
    if situation.volume.tokens <= 0:
        raise InputError("there are no tokens to advise on", hint="give --input-tokens")
    _check_accuracy(situation)
    choice, reason = _choose(situation)
    machine, machines = situation.machine, situation.machines
    saved = situation.cloud_usd - machines * machine.power_usd
    return Advice(
        situation=situation,
        choice=choice,
        reason=reason,
        break_even_tokens=break_even(situation),
        pay_back_months=machines * machine.usd / saved if saved > 0 else None,
        cases=tuple(
            _case(situation, price, volume)
            for price in (1 - price_change, Decimal(1), 1 + price_change)
            for volume in (1 - volume_change, Decimal(1), 1 + volume_change)
        ),
    )


def break_even(situation: Situation) -> Decimal | None:
    """Return the tokens a month at which one machine costs what the cloud does, in this mix.

    None where there are none: a machine cannot work off as many, or the cloud costs nothing.
    """
    volume, machine = situation.volume, situation.machine
    if not situation.cloud_usd:
        return None
    factor = machine.monthly_usd / situation.cloud_usd
    if machine.busy_seconds(volume.times(factor)) > machine.hours * _HOUR_SECONDS:
        return None
    return volume.tokens * factor


def _choose(situation: Situation) -> tuple[Choice, str]:
    """Return the choice; privacy comes before accuracy, and accuracy before cost."""
    need = situation.need
    local, cloud = (_meets(one.accuracy, need) for one in (situation.machine, situation.cloud))
    if need.local_only:
        if local:
            return "local", "texts may not leave, whatever the cloud costs"
        return "neither", "texts may not leave, and the local model is not accurate enough"
    if not (local and cloud):
        return _UNLIKE[local, cloud]
    if situation.local_usd < situation.cloud_usd:
        return "local", "it costs less"
    return "cloud", "it costs no more, and nothing has to be bought"


_UNLIKE: Final[Mapping[tuple[bool, bool], tuple[Choice, str]]] = {
    (True, False): ("local", "the cloud model is not accurate enough"),
    (False, True): ("cloud", "the local model is not accurate enough"),
    (False, False): ("neither", "neither model is accurate enough"),
}
"""The choice by whether the local model and the cloud model are accurate enough."""


def _meets(accuracy: Decimal | None, need: Need) -> bool:
    return need.accuracy is None or (accuracy is not None and accuracy >= need.accuracy)


def _check_accuracy(situation: Situation) -> None:
    need, known = situation.need, (situation.cloud.accuracy, situation.machine.accuracy)
    if need.accuracy is not None and None in known:
        raise InputError(
            f"an accuracy of {need.accuracy} % is needed, and that of a model is not given",
            hint="give --local-accuracy and --cloud-accuracy, as measured on your own questions",
            param="accuracy",
        )


def _case(situation: Situation, price: Decimal, volume: Decimal) -> Case:
    other = situation.times(price=price, volume=volume)
    return Case(price, volume, other.cloud_usd, other.local_usd, _choose(other)[0])
