"""Writes an advice for people: every sum on a line of its own, with the figures it was made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from serve.advise import Advice, Case


@dataclass(frozen=True, slots=True)
class Line:
    """One step: what it is about, the arithmetic, and its result at the end."""

    subject: str
    text: str


def explain(advice: Advice) -> tuple[Line, ...]:
    """Return the steps from the volume to the choice; amounts have four decimals at most."""
    return tuple(
        Line(subject, text)
        for subject, text in (
            ("volume", _volume(advice)),
            ("cloud", _cloud(advice)),
            ("one machine", _machine(advice)),
            ("machines", _machines(advice)),
            ("break-even", _break_even(advice)),
            ("pay-back", _pay_back(advice)),
            ("recommendation", f"{advice.choice}: {advice.reason}"),
            ("sensitivity", " ".join(_sensitivity(advice))),
        )
    )


def usd(amount: Decimal) -> str:
    """Return an amount as people write it: to the cent, and to four decimals where it has them."""
    whole, _, decimals = f"{amount:,.4f}".partition(".")
    return f"${whole}.{decimals.rstrip('0'):0<2}"


def count(number: Decimal) -> str:
    """Return a number of tokens, whole, with separators."""
    return f"{number:,.0f}"


def plain(number: Decimal) -> str:
    """Return a number with as many decimals as it has, two at most, and separators."""
    text = f"{number:,.2f}"
    return text.rstrip("0").rstrip(".")


def _volume(advice: Advice) -> str:
    of = advice.situation.volume
    parts = f"{count(of.input_tokens)} input + {count(of.output_tokens)} output"
    return f"{parts} = {count(of.tokens)} tokens a month ({of.source})"


def _cloud(advice: Advice) -> str:
    of, offer = advice.situation.volume, advice.situation.cloud
    return (
        f"({count(of.input_tokens)} * {_rate(offer.input_usd)} +"
        f" {count(of.output_tokens)} * {_rate(offer.output_usd)}) / 1,000,000"
        f" = {usd(advice.situation.cloud_usd)} a month ({offer.source})"
    )


def _rate(price: Decimal) -> str:
    """Return a price per million tokens with all of its digits."""
    return f"${price:f}"


def _machine(advice: Advice) -> str:
    one = advice.situation.machine
    power = f"{plain(one.watts)} W / 1,000 * {plain(one.hours)} h * ${one.kwh_usd:f}"
    return (
        f"{usd(one.usd)} / {plain(one.months)} months + {power}"
        f" = {usd(one.usd / one.months)} + {usd(one.power_usd)} = {usd(one.monthly_usd)} a month"
    )


def _machines(advice: Advice) -> str:
    one, of = advice.situation.machine, advice.situation.volume
    if one.tokens_per_second is None:
        return f"1, as its speed is not given = {usd(advice.situation.local_usd)} a month"
    work = f"{count(of.output_tokens)} / {plain(one.tokens_per_second)} tokens/s"
    note = one.speed_note
    if one.prompt_tokens_per_second is not None:
        work += f" + {count(of.input_tokens)} / {plain(one.prompt_tokens_per_second)} tokens/s"
    else:
        note = note or "reading prompts is not counted"
    work += f" ({note})" if note else ""
    busy = one.busy_seconds(of) / 3600
    return (
        f"{work} = {plain(busy)} h of {plain(one.hours)} h: {advice.situation.machines}"
        f" * {usd(one.monthly_usd)} = {usd(advice.situation.local_usd)} a month"
    )


def _break_even(advice: Advice) -> str:
    given = advice.situation
    machine, cloud = usd(given.machine.monthly_usd), usd(given.cloud_usd)
    ratio = f"{count(given.volume.tokens)} * {machine} / {cloud}"
    if advice.break_even_tokens is not None:
        return f"{ratio} = about {_about(advice.break_even_tokens)} tokens a month in this mix"
    if not given.cloud_usd:
        return "never: the cloud costs nothing"
    return f"never: {ratio} tokens a month are more than one machine can work off"


def _about(number: Decimal) -> str:
    """Return a number to four digits, as much as follows from the amounts that are shown."""
    return f"{Decimal(f'{number:.3e}'):,.0f}"


def _pay_back(advice: Advice) -> str:
    given = advice.situation
    bought = f"{given.machines} * {usd(given.machine.usd)}"
    saved = f"({usd(given.cloud_usd)} - {usd(given.machines * given.machine.power_usd)})"
    if advice.pay_back_months is None:
        return f"never: {saved} is what a month saves"
    months = advice.pay_back_months
    month = int(months.to_integral_value(ROUND_CEILING))
    late = "" if months <= given.machine.months else ", after it is written off"
    return f"{bought} / {saved} = {plain(months)} months: in month {month}{late}"


def _sensitivity(advice: Advice) -> Iterator[str]:
    changed = [case for case in advice.cases if case.choice != advice.choice]
    if (even := advice.situation.even_factor) is not None:
        yield f"Both cost the same at {plain(even)} times these prices;"
    if not changed:
        yield f"{advice.choice} in all {len(advice.cases)} cases."
        return
    yield f"{advice.choice} in {len(advice.cases) - len(changed)} of {len(advice.cases)} cases;"
    yield f"it changes with {'; '.join(map(_case, changed))}."


def _case(case: Case) -> str:
    price = f"prices {_percent(case.price_factor)}, volume {_percent(case.volume_factor)}"
    return f"{price}: {case.choice} ({usd(case.cloud_usd)} cloud, {usd(case.local_usd)} local)"


def _percent(factor: Decimal) -> str:
    return f"{(factor - 1) * 100:+.0f} %" if factor != 1 else "as given"
