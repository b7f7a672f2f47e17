"""Sums the rows of the ledger by day, model, route or tenant, exactly; touches nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from enum import StrEnum
from typing import Final

import numpy as np

from serve.ledger import CallRow, Outcome


class By(StrEnum):
    """What rows can be summed up by."""

    DAY = "day"
    MODEL = "model"
    PLACE = "place"
    ROUTE = "route"
    RULE = "rule"
    TENANT = "tenant"
    COLLECTION = "collection"
    SENSITIVITY = "sensitivity"
    OUTCOME = "outcome"


RESTRICTED: Final = "restricted"
"""The label of what must not leave for the cloud."""
_EXACT: Final = Context(prec=100)
"""Enough digits for the sum of any ledger: amounts of 18 decimals and more are not rounded."""
_NONE: Final = "none"

_KEYS: Final[Mapping[By, Callable[[CallRow], str | None]]] = {
    By.DAY: lambda row: row.at.date().isoformat(),
    By.MODEL: lambda row: row.model,
    By.PLACE: lambda row: row.place,
    By.ROUTE: lambda row: row.route_reason,
    By.RULE: lambda row: row.rule,
    By.TENANT: lambda row: row.tenant,
    By.COLLECTION: lambda row: row.collection,
    By.SENSITIVITY: lambda row: row.sensitivity,
    By.OUTCOME: lambda row: row.outcome,
}


@dataclass(frozen=True, slots=True)
class Spending:
    """What the calls of one group took.

    Attributes:
        key: the group, one value for each name it was made by; "none" where a row has no value.
        planned: calls whose tokens are our count, since no server measured them.
        prompt_tokens, cached_tokens, output_tokens, documents: of all calls that were sent.
        usd: what the answers cost, to the last digit; `hardware_usd` is part of it.
        unanswered_usd: what calls that were sent and not answered may cost beside that.
        first_token_seconds, total_seconds: of the answers, at the median and, for the total, where
            95 of 100 are faster; None where there are none.
        output_tokens_per_second: at the median of the answers that a model wrote.
    """

    key: tuple[str, ...]
    calls: int
    answered: int
    failed: int
    abandoned: int
    open: int
    planned: int
    documents: int
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    usd: Decimal
    hardware_usd: Decimal
    unanswered_usd: Decimal
    first_token_seconds_p50: float | None
    total_seconds_p50: float | None
    total_seconds_p95: float | None
    output_tokens_per_second_p50: float | None


def sum_up(rows: Iterable[CallRow], *, by: Sequence[By]) -> tuple[tuple[Spending, ...], Spending]:
    """Return what each group took, in the order of the keys, and what all took together."""
    groups: dict[tuple[str, ...], _Tally] = {}
    total = _Tally()
    for row in rows:
        key = tuple(_KEYS[name](row) or _NONE for name in by)
        groups.setdefault(key, _Tally()).add(row)
        total.add(row)
    parts = tuple(groups[key].spending(key) for key in sorted(groups))
    return parts, total.spending(())


def departures(rows: Iterable[CallRow]) -> Iterator[CallRow]:
    """Yield the calls whose prompt was sent to a cloud model, however they ended."""
    return (row for row in rows if row.sent and row.place == "cloud")


@dataclass(slots=True)
class _Tally:
    """The sums of one group so far."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    planned: int = 0
    tokens: Counter[str] = field(default_factory=Counter)
    usd: Decimal = Decimal(0)
    hardware_usd: Decimal = Decimal(0)
    unanswered_usd: Decimal = Decimal(0)
    first: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)
    speeds: list[float] = field(default_factory=list)

    def add(self, row: CallRow) -> None:
        self.outcomes[row.outcome] += 1
        self.planned += row.sent and row.tokens == "planned"
        self.tokens["prompt"] += row.prompt_tokens
        self.tokens["cached"] += row.cached_tokens
        self.tokens["output"] += row.output_tokens
        self.tokens["documents"] += row.sent_documents
        cost = _EXACT.add(row.price_usd, row.hardware_usd)
        if row.outcome != "answered":
            self.unanswered_usd = _EXACT.add(self.unanswered_usd, cost)
            return
        self.usd = _EXACT.add(self.usd, cost)
        self.hardware_usd = _EXACT.add(self.hardware_usd, row.hardware_usd)
        self.total.append(row.total_seconds)
        if row.first_token_seconds is not None:
            self.first.append(row.first_token_seconds)
        if row.output_tokens_per_second and row.llm_calls:
            self.speeds.append(row.output_tokens_per_second)

    def spending(self, key: tuple[str, ...]) -> Spending:
        return Spending(
            key=key,
            calls=self.outcomes.total(),
            answered=self.outcomes["answered"],
            failed=self.outcomes["failed"],
            abandoned=self.outcomes["abandoned"],
            open=self.outcomes["open"],
            planned=self.planned,
            documents=self.tokens["documents"],
            prompt_tokens=self.tokens["prompt"],
            cached_tokens=self.tokens["cached"],
            output_tokens=self.tokens["output"],
            usd=self.usd,
            hardware_usd=self.hardware_usd,
            unanswered_usd=self.unanswered_usd,
            first_token_seconds_p50=_percentile(self.first, 50),
            total_seconds_p50=_percentile(self.total, 50),
            total_seconds_p95=_percentile(self.total, 95),
            output_tokens_per_second_p50=_percentile(self.speeds, 50),
        )


def _percentile(values: Sequence[float], percent: int) -> float | None:
    return round(float(np.percentile(values, percent)), 4) if values else None
