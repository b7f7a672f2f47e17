"""`windowfit cost report` and `cost egress`: what was spent, and what left for the cloud."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from chunking.errors import InputError, LedgerUnavailable
from retrieval.settings import IndexSettings
from serve.database import damaged_files
from serve.ledger import FILE_NAME, CallRow, read_ledger
from serve.spending import RESTRICTED, By, Spending, departures, sum_up
from serve.tables import print_table, write_csv

_GATE_FAILED = 5
_CENTS = Decimal("0.000001")
_FIGURES = tuple(field.name for field in fields(Spending) if field.name != "key")
_WHY = (By.RULE, By.ROUTE, By.MODEL, By.SENSITIVITY)

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Sum up what answers cost, and what left."
)

Since = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day, in UTC; default: all.")
]
Until = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day, whole, in UTC.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print exact figures as JSON.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print exact figures as CSV.")]


@dataclass(frozen=True, slots=True)
class Period:
    """The ledger and the days that are looked at."""

    path: Path
    since: date | None
    until: date | None

    def rows(self) -> Iterable[CallRow]:
        """Read the calls of these days, see `read_ledger`."""
        return read_ledger(self.path, since=self.since, until=self.until)

    @property
    def aside(self) -> list[str]:
        """Names of the damaged files whose calls nobody can read; empty where it is complete."""
        return [path.name for path in damaged_files(self.path)]

    @property
    def incomplete(self) -> str:
        """What there is to say of damaged files."""
        return f"NOT COMPLETE: damaged files were set aside: {', '.join(self.aside)}"

    def told(self) -> dict[str, Any]:
        """Return what a program must know to judge the figures."""
        aside = self.aside
        days = {"since": self.since, "until": self.until}
        shown = {name: day.isoformat() if day else None for name, day in days.items()}
        return {"ledger": str(self.path), **shown, "complete": not aside, "damaged_files": aside}


@app.command()
def report(
    *,
    by: Annotated[
        list[By] | None,
        typer.Option(help="What to sum up by; repeatable (default: day and model)."),
    ] = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Sum up what answers cost and how long they took.

    Reads `ledger.sqlite3` in WINDOWFIT_HOME, also beside a running service. The sum is that of the
    answers to the last digit; calls that were sent and not answered are told apart, since a
    provider may bill them.
    """
    names = tuple(dict.fromkeys(by or (By.DAY, By.MODEL)))
    period = period_of(since, until)
    groups, total = sum_up(period.rows(), by=names)
    if as_json:
        _write_json(period, names, groups, total)
    elif as_csv:
        _write_groups(names, groups)
    else:
        _print_groups(names, groups, total)
        _print_notes(period, total)


@app.command()
def egress(
    *,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Say what left for the cloud, and why.

    Every prompt that was handed to a cloud model counts, answered or not. Ends with 5 where one of
    them held anything restricted, and with 4 where a part of the ledger was damaged.
    """
    period = period_of(since, until)
    groups, total = sum_up(departures(period.rows()), by=_WHY)
    labels = {label: _calls(groups, label) for label in (RESTRICTED, "none")}
    if as_json:
        told = {"restricted_calls": labels[RESTRICTED], "unlabelled_calls": labels["none"]}
        _write_json(period, _WHY, groups, total, **told)
    elif as_csv:
        _write_groups(_WHY, groups)
    else:
        _print_egress(groups)
        _say(
            f"{total.calls:,} calls left for the cloud; restricted: {labels[RESTRICTED]:,}"
            f" (must be 0); without a label: {labels['none']:,}"
        )
        _print_notes(period, total)
    if labels[RESTRICTED]:
        raise typer.Exit(_GATE_FAILED)
    if period.aside:
        # Nobody knows what the damaged files held: that is no proof that nothing left.
        sys.stderr.write(f"{period.incomplete}\n")
        raise typer.Exit(LedgerUnavailable.exit_code)


def period_of(since: datetime | None, until: datetime | None) -> Period:
    """Return the days of the ledger that the settings name.

    Raises:
        InputError: the first day is after the last.
    """
    first, last = since and since.date(), until and until.date()
    if first and last and first > last:
        raise InputError(f"--since {first} is after --until {last}", param="since")
    return Period(IndexSettings.load().home / FILE_NAME, first, last)


def _calls(groups: Iterable[Spending], label: str) -> int:
    return sum(group.calls for group in groups if group.key[_WHY.index(By.SENSITIVITY)] == label)


def _write_json(
    period: Period,
    names: Sequence[By],
    groups: Sequence[Spending],
    total: Spending,
    **told: int,
) -> None:
    shown = [{**dict(zip(names, one.key, strict=True)), **_figures(one)} for one in groups]
    body = {**period.told(), "by": names, "groups": shown, "total": _figures(total), **told}
    sys.stdout.write(json.dumps(body, ensure_ascii=False) + "\n")


def _figures(spending: Spending) -> dict[str, Any]:
    """Return the figures as JSON holds them: amounts as text, since a float would round them."""
    values = asdict(spending)
    return {
        name: f"{values[name]:f}" if isinstance(values[name], Decimal) else values[name]
        for name in _FIGURES
    }


def _write_groups(names: Sequence[By], groups: Iterable[Spending]) -> None:
    rows = [(*group.key, *_figures(group).values()) for group in groups]
    write_csv((*names, *_FIGURES), rows)


_COLUMNS = (
    *("calls", "not answered", "prompt", "cached", "output", "USD", "of it hardware"),
    *("unanswered USD", "first token p50", "total p50", "p95", "tokens/s"),
)


def _print_groups(names: Sequence[By], groups: Sequence[Spending], total: Spending) -> None:
    rows = [(*group.key, *_cells(group)) for group in groups]
    heads = ["total", *[""] * (len(names) - 1)]
    print_table((*names, *_COLUMNS), [*rows, (*heads, *_cells(total))], numbers_from=len(names))


def _cells(one: Spending) -> tuple[str, ...]:
    return (
        f"{one.calls:,}",
        f"{one.calls - one.answered:,}",
        f"{one.prompt_tokens:,}",
        f"{one.cached_tokens:,}",
        f"{one.output_tokens:,}",
        _usd(one.usd),
        _usd(one.hardware_usd),
        _usd(one.unanswered_usd),
        _seconds(one.first_token_seconds_p50),
        _seconds(one.total_seconds_p50),
        _seconds(one.total_seconds_p95),
        _number(one.output_tokens_per_second_p50),
    )


def _print_egress(groups: Iterable[Spending]) -> None:
    columns = ("calls", "answered", "failed", "abandoned", "open", "documents", "prompt", "USD")
    rows = [
        (
            *one.key,
            *map(str, (one.calls, one.answered, one.failed, one.abandoned, one.open)),
            f"{one.documents:,}",
            f"{one.prompt_tokens:,}",
            _usd(one.usd + one.unanswered_usd),
        )
        for one in groups
    ]
    print_table((*_WHY, *columns), rows, numbers_from=len(_WHY))


def _print_notes(period: Period, total: Spending) -> None:
    days = f"{period.since or 'the first day'} to {period.until or 'today'}, UTC"
    _say(f"{period.path}: {days}; amounts are rounded to {_CENTS}, --json has all digits")
    if total.planned:
        _say(f"tokens of {total.planned:,} calls are planned: no server measured them")
    if total.open:
        _say(f"{total.open:,} calls have no end: under way, or their process was killed")
    if period.aside:
        _say(period.incomplete)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _usd(amount: Decimal) -> str:
    return f"{amount.quantize(_CENTS):f}"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
