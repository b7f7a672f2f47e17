"""`windowfit advise`: a cloud model or a machine of one's own, with every sum shown."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from chunking.errors import InputError
from serve import advise as advising
from serve.advice_text import count, explain, plain, usd
from serve.advise import MONTH_DAYS, MONTH_HOURS, CloudOffer, Machine, Need, Situation, Volume
from serve.cost import LARGEST_GIVEN, SMALLEST_GIVEN, price
from serve.cost_cli import Period, Since, Until, period_of
from serve.ledger import CallRow
from serve.profiles import find_profile, load_profiles
from serve.published import (
    CLOUDS,
    LOCALS,
    SOURCE,
    PublishedCloud,
    PublishedLocal,
    examine,
    work_examples,
)
from serve.settings import ServeSettings
from serve.spending import sum_up
from serve.tables import print_table

_SUFFIXES = {"K": 10**3, "M": 10**6, "B": 10**9}
_THOUSAND = 1000
_MEASURED = "the median of the ledger's local calls, each alone, reading included"
_WHOLE = 100


def _amount(given: str | Decimal) -> Decimal:
    """Return a number of at least 0 as it was written, such as 0.30 or 8M."""
    text = str(given)  # defaults come as they are
    digits, factor = text.replace("_", "").replace(",", ""), 1
    if digits[-1:].upper() in _SUFFIXES:
        digits, factor = digits[:-1], _SUFFIXES[digits[-1].upper()]
    try:
        number = Decimal(digits)
    except ArithmeticError:
        raise typer.BadParameter(f"{text!r} is no number") from None
    if not (number.is_finite() and number >= 0):
        raise typer.BadParameter(f"{text} is not a number of at least 0")
    if number > LARGEST_GIVEN / factor:
        raise typer.BadParameter(f"{text} is more than {LARGEST_GIVEN:,.0f}")
    if number and number < SMALLEST_GIVEN:
        raise typer.BadParameter(f"{text} is less than {SMALLEST_GIVEN:f}, and not 0")
    return number * factor


def _positive(given: str | Decimal) -> Decimal:
    if not (number := _amount(given)):
        raise typer.BadParameter("0 is too small")
    return number


def _percent(given: str | Decimal) -> Decimal:
    if (number := _amount(given)) > _WHOLE:
        raise typer.BadParameter(f"{given} is more than 100 percent")
    return number


def _given(told: str, *, parser: Callable[[str | Decimal], Decimal] = _amount) -> Any:
    return typer.Option(parser=parser, metavar="NUMBER", help=told)


_Accuracy = Annotated[Decimal | None, _given("Least accuracy, in percent.", parser=_percent)]

_LocalAccuracy = Annotated[Decimal | None, _given("That of the local model.", parser=_percent)]

_CloudAccuracy = Annotated[Decimal | None, _given("That of the cloud model.", parser=_percent)]


def advise(
    *,
    input_tokens: Annotated[Decimal | None, _given("Input tokens a month, such as 8M.")] = None,
    output_tokens: Annotated[Decimal | None, _given("Output tokens a month.")] = None,
    from_ledger: Annotated[
        bool, typer.Option("--from-ledger", help="Take volume and local speed from the ledger.")
    ] = False,
    since: Since = None,
    until: Until = None,
    cloud: Annotated[str | None, typer.Option(help="Profile whose prices are taken.")] = None,
    input_usd: Annotated[Decimal | None, _given("USD per million input tokens.")] = None,
    output_usd: Annotated[Decimal | None, _given("USD per million output tokens.")] = None,
    hardware_usd: Annotated[Decimal | None, _given("What one machine costs to buy.")] = None,
    months: Annotated[Decimal, _given("Months it is spread over.", parser=_positive)] = Decimal(36),
    watts: Annotated[Decimal, _given("What it draws.")] = Decimal(0),
    kwh_usd: Annotated[Decimal, _given("USD per kilowatt-hour.")] = Decimal(0),
    hours: Annotated[Decimal, _given("Hours it runs a month.", parser=_positive)] = MONTH_HOURS,
    tokens_per_second: Annotated[
        Decimal | None, _given("Output tokens of one machine, all requests.", parser=_positive)
    ] = None,
    prompt_tokens_per_second: Annotated[
        Decimal | None, _given("Input tokens of one machine.", parser=_positive)
    ] = None,
    local_only: Annotated[
        bool, typer.Option("--local-only", help="Texts may not leave the house.")
    ] = False,
    accuracy: _Accuracy = None,
    local_accuracy: _LocalAccuracy = None,
    cloud_accuracy: _CloudAccuracy = None,
    change: Annotated[Decimal, _given("Percent that price and volume may change.")] = Decimal(20),
    published: Annotated[
        bool, typer.Option("--published", help=f"Check {SOURCE} against its own inputs.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Advise between a cloud model and a machine of your own, every sum shown.

    Nothing is called. Volumes are given, or taken from the ledger; prices are given, or a profile's
    of today; what a machine costs and how fast it is you say.
    """
    if published:
        _show_published(as_json=as_json)
        return
    speed, note = tokens_per_second, ""
    if from_ledger:
        volume, measured = _measure(period_of(since, until), input_tokens, output_tokens)
        speed, note = (speed, "") if speed else (measured, _MEASURED)
    else:
        volume = Volume(input_tokens or Decimal(0), output_tokens or Decimal(0))
    if hardware_usd is None:
        raise InputError("what would the machine cost?", hint="give --hardware-usd")
    speeds = (speed, prompt_tokens_per_second, hours, note)
    machine = Machine(hardware_usd, months, watts, kwh_usd, *speeds, accuracy=local_accuracy)
    offer = _offer(cloud, input_usd, output_usd, cloud_accuracy)
    situation = Situation(volume, offer, machine, Need(local_only, accuracy))
    if change > _WHOLE:
        raise InputError(f"--change {change} is more than all", param="change")
    share = change / _WHOLE
    _show(advising.advise(situation, price_change=share, volume_change=share), as_json=as_json)


def _measure(
    period: Period, input_tokens: Decimal | None, output_tokens: Decimal | None
) -> tuple[Volume, Decimal | None]:
    """Return a month's volume as the ledger has it, and how fast local models wrote.

    Raises:
        InputError: a volume is given, too, or no model has answered in that time.
        LedgerUnavailable: see `read_ledger`.
    """
    if input_tokens is not None or output_tokens is not None:
        raise InputError("the volume is given and to be taken from the ledger", hint="do one")
    rows = [row for row in period.rows() if row.outcome == "answered" and row.llm_calls]
    if not rows:
        raise InputError(
            f"{period.path} has no calls of a model that answered in that time",
            hint="give --input-tokens and --output-tokens, or other days",
        )
    _, total = sum_up(rows, by=())
    _, local = sum_up((row for row in rows if row.place == "local"), by=())
    speed = local.output_tokens_per_second_p50
    days = _days(period, rows)
    read, written = Decimal(total.prompt_tokens), Decimal(total.output_tokens)
    source = f"ledger: {count(read)} + {count(written)} in {days} days, * {MONTH_DAYS} / {days}"
    if period.aside:
        source += f"; {period.incomplete}"
    read_a_month, written_a_month = (
        (tokens * MONTH_DAYS / days).to_integral_value() for tokens in (read, written)
    )
    volume = Volume(read_a_month, written_a_month, source)
    return volume, None if speed is None else Decimal(str(speed))


def _days(period: Period, rows: list[CallRow]) -> int:
    """Return the days of the period that have come, from first call to last without bounds."""
    moments = [row.at for row in rows]
    first, latest = min(moments).date(), max(moments).date()
    # A call may be dated later than today: by a clock that was wrong then, or is now.
    passed = max(latest, datetime.now(UTC).date())
    last = latest if period.until is None else min(period.until, passed)
    return (last - (period.since or first)).days + 1


def _offer(
    name: str | None,
    input_usd: Decimal | None,
    output_usd: Decimal | None,
    accuracy: Decimal | None,
) -> CloudOffer:
    """Return the prices that are given, or those of a profile today for calls of usual length."""
    if name is None:
        if input_usd is None or output_usd is None:
            raise InputError(
                "what does the cloud cost?", hint="give --cloud, or --input-usd and --output-usd"
            )
        return CloudOffer(input_usd, output_usd, accuracy=accuracy)
    profile = find_profile(load_profiles(ServeSettings.load().profiles), name)
    now = datetime.now(UTC)
    read = price(profile, prompt_tokens=_THOUSAND, cached_tokens=0, output_tokens=0, at=now)
    written = price(profile, prompt_tokens=0, cached_tokens=0, output_tokens=_THOUSAND, at=now)
    input_rate, output_rate = ((cost.usd * _THOUSAND).normalize() for cost in (read, written))
    return CloudOffer(input_rate, output_rate, source=read.basis, accuracy=accuracy)


def _show(advice: advising.Advice, *, as_json: bool) -> None:
    lines = explain(advice)
    if as_json:
        figures = {"firm": advice.firm, **_plain(asdict(advice))}
        steps = {line.subject: line.text for line in lines}
        _write_json({**figures, "arithmetic": steps})
        return
    width = max(len(line.subject) for line in lines)
    for line in lines:
        sys.stdout.write(f"{line.subject:<{width}}  {line.text}\n")


def _show_published(*, as_json: bool) -> None:
    findings, examples = examine(), work_examples()
    if as_json:
        told = {
            "models": [asdict(one) for one in (*CLOUDS, *LOCALS)],
            "findings": [asdict(one) for one in findings],
        }
        _write_json({"source": SOURCE, **told, "examples": [_plain(asdict(e)) for e in examples]})
        return
    sys.stdout.write(f"{SOURCE}, held against its own inputs:\n")
    _print_inputs()
    for found in findings:
        sys.stdout.write(f"{found.subject}: {found.claim}\n  {found.arithmetic}\n")
        sys.stdout.write(f"  {found.verdict.upper()}\n")
    sys.stdout.write("\nThe same volumes, half input and half output, hardware in the middle:\n")
    columns = ("tokens a month", "cloud model", "local model", "cloud", "local", "costs less")
    rows = [
        (
            f"{one.tokens:,}",
            one.cloud,
            one.local,
            usd(one.cloud_usd),
            usd(one.local_usd),
            one.choice,
            "" if one.break_even_tokens is None else count(one.break_even_tokens),
            "" if one.pay_back_months is None else f"{plain(one.pay_back_months)} months",
        )
        for one in examples
    ]
    print_table((*columns, "break-even", "pay-back"), rows, numbers_from=3)


def _print_inputs() -> None:
    columns = ("model", "USD per 1M in / out", "hardware USD a month", "latency ms", "MMLU %")
    rows = [(one.name, f"{one.input_usd} / {one.output_usd}", "", *_quality(one)) for one in CLOUDS]
    rows += [
        (one.name, "0", f"{one.hardware_usd[0]} to {one.hardware_usd[1]}", *_quality(one))
        for one in LOCALS
    ]
    print_table(columns, rows)


def _quality(one: PublishedCloud | PublishedLocal) -> tuple[str, str]:
    return f"{one.latency_ms[0]:,} to {one.latency_ms[1]:,}", str(one.accuracy_percent)


def _plain(value: Any) -> Any:
    """Return figures as JSON holds them: amounts as text, since a float would round them."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return f"{value:f}" if isinstance(value, Decimal) else value


def _write_json(body: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(body, ensure_ascii=False) + "\n")
