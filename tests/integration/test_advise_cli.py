"""`windowfit advise` as a shell sees it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from serve.ledger import FILE_NAME
from tests.integration.commands import Command
from tests.integration.test_cli import refused
from tests.integration.test_cost_cli import write
from tests.rows import MORNING, row

VOLUME = ("--input-tokens", "20M", "--output-tokens", "5_000_000")
PRICES = ("--input-usd", "5", "--output-usd", "15")
MACHINE = ("--hardware-usd", "1,800", "--watts", "350", "--kwh-usd", "0.30")


def test_every_step_is_printed_and_the_same_figures_are_json(command: Command) -> None:
    shown = command("advise", *VOLUME, *PRICES, *MACHINE)
    told = command("advise", *VOLUME, *PRICES, *MACHINE, "--json").json

    assert shown.code == 0
    assert "= $175.00 a month" in shown.out
    assert "recommendation  local: it costs less" in shown.out
    assert (told["choice"], told["firm"]) == ("local", False)
    assert all(text in shown.out for text in told["arithmetic"].values())
    assert len(told["cases"]) == 9


def test_the_volume_and_the_speed_come_from_the_ledger(command: Command, tmp_path: Path) -> None:
    later = MORNING + timedelta(days=9)
    write(
        tmp_path,
        row("1", prompt_tokens=600_000, output_tokens=40_000),
        row("2", prompt_tokens=400_000, output_tokens=60_000, place="local", at=later),
        row("refused", prompt_tokens=0, output_tokens=0, sent=False, outcome="failed"),
        row("quoted", prompt_tokens=9_000_000, llm_calls=0),
    )

    told = command("advise", "--from-ledger", *PRICES, *MACHINE, "--json").json
    days = ("--since", "2026-11-01", "--until", "2026-11-30")
    longer = command("advise", "--from-ledger", *days, *PRICES, *MACHINE, "--json").json

    volume = told["situation"]["volume"]
    assert (volume["input_tokens"], volume["output_tokens"]) == ("3043750", "304375")
    assert "1,000,000 + 100,000 in 10 days, * 30.4375 / 10" in volume["source"]
    assert told["situation"]["machine"]["tokens_per_second"] == "50.0"
    assert "ledger's local calls" in told["arithmetic"]["machines"]
    assert Decimal(longer["situation"]["volume"]["input_tokens"]) == 1_014_583


def test_only_answered_calls_make_the_volume_and_the_speed(
    command: Command, tmp_path: Path
) -> None:
    local: dict[str, Any] = {"place": "local", "output_tokens": 100_000, "call_seconds": 2000.0}
    write(
        tmp_path,
        row("1", prompt_tokens=1_000_000, output_tokens_per_second=50.0, **local),
        *(
            row(
                outcome, prompt_tokens=7_000, output_tokens_per_second=1.0, outcome=outcome, **local
            )
            for outcome in ("failed", "abandoned", "open")
        ),
    )

    told = command("advise", "--from-ledger", *PRICES, *MACHINE, "--json").json

    assert "1,000,000 + 100,000 in 1 days" in told["situation"]["volume"]["source"]
    assert told["situation"]["machine"]["tokens_per_second"] == "50.0"


def test_a_ledger_of_calls_without_answers_is_told(command: Command, tmp_path: Path) -> None:
    write(tmp_path, row("1", outcome="failed"))

    ended = command("advise", "--from-ledger", *PRICES, *MACHINE)

    assert "no calls of a model that answered" in refused(ended, code=2)


def test_days_to_come_are_not_in_the_volume(command: Command, tmp_path: Path) -> None:
    write(tmp_path, row("1", prompt_tokens=1_000_000, output_tokens=0))
    days = ("--since", "2026-11-01", "--until", "9998-12-31")

    told = command("advise", "--from-ledger", *days, *PRICES, *MACHINE, "--json").json

    passed = (max(datetime.now(UTC), MORNING).date() - date(2026, 11, 1)).days + 1
    assert f"in {passed} days" in told["situation"]["volume"]["source"]


def test_a_damaged_ledger_is_called_incomplete_in_the_volume(
    command: Command, tmp_path: Path
) -> None:
    write(tmp_path, row("1"))
    (tmp_path / "home" / f"{FILE_NAME}.damaged").write_bytes(b"damaged")

    told = command("advise", "--from-ledger", *PRICES, *MACHINE, "--json").json

    assert "NOT COMPLETE" in told["situation"]["volume"]["source"]


def test_prices_are_those_of_a_profile_today(command: Command) -> None:
    told = command("advise", *VOLUME, "--cloud", "gpt-6-luna", *MACHINE, "--json").json

    offer = told["situation"]["cloud"]
    assert Decimal(offer["input_usd"]) > 0
    assert offer["source"].startswith("genai-prices")


def test_texts_that_may_not_leave_stay(command: Command) -> None:
    ended = command("advise", "--output-tokens", "1K", *PRICES, *MACHINE, "--local-only", "--json")

    assert ended.json["choice"] == "local"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*PRICES, *MACHINE), "no tokens"),
        ((*VOLUME, *MACHINE), "what does the cloud cost"),
        ((*VOLUME, *PRICES), "what would the machine cost"),
        ((*VOLUME, *PRICES, *MACHINE, "--change", "101"), "more than all"),
        ((*VOLUME, *PRICES, *MACHINE, "--accuracy", "70"), "is not given"),
        ((*VOLUME, "--cloud", "nonesuch", *MACHINE), "unknown model profile"),
    ],
)
def test_what_is_missing_is_told(
    command: Command, arguments: tuple[str, ...], message: str
) -> None:
    assert message in refused(command("advise", *arguments), code=2)


@pytest.mark.parametrize(
    ("option", "given", "message"),
    [
        ("--input-tokens", "1e999999999", "more than 1,000,000,000,000,000,000"),
        ("--input-tokens", "1e999999B", "more than 1,000,000,000,000,000,000"),
        ("--input-tokens", "1e10B", "more than 1,000,000,000,000,000,000"),
        ("--output-usd", "1e-999999999", "less than 0.000000001, and not 0"),
        ("--watts", "1e9999999999999999999", "is no number"),
        ("--watts", "NaN", "not a number of at least 0"),
        ("--accuracy", "200", "200 is more than 100 percent"),
        ("--local-accuracy", "100.1", "more than 100 percent"),
        ("--cloud-accuracy", "1K", "more than 100 percent"),
    ],
)
def test_a_number_out_of_its_bounds_is_refused(
    command: Command, option: str, given: str, message: str
) -> None:
    ended = command("advise", *VOLUME, *PRICES, *MACHINE, option, given)

    assert ended.code == 2
    assert message in ended.err


@pytest.mark.parametrize("largest", ["1e18", "1e-9", "0"])
def test_the_largest_and_smallest_numbers_can_be_advised_on(command: Command, largest: str) -> None:
    tokens = ("--input-tokens", largest, "--output-tokens", largest, "--tokens-per-second", "1e-9")
    money = ("--input-usd", largest, "--output-usd", largest, "--hardware-usd", largest)

    ended = command("advise", *tokens, *money, "--months", "1e18", "--hours", "1e-9", "--json")

    assert ended.code == (2 if largest == "0" else 0)


def test_a_volume_is_given_or_measured_and_not_both(command: Command, tmp_path: Path) -> None:
    write(tmp_path, row("1", llm_calls=0))

    both = command("advise", "--from-ledger", *VOLUME, *PRICES, *MACHINE)
    none = command("advise", "--from-ledger", *PRICES, *MACHINE)

    assert "to be taken from the ledger" in refused(both, code=2)
    assert "no calls of a model" in refused(none, code=2)


@pytest.mark.parametrize("amount", ["x", "-1", "nan", "inf", ""])
def test_an_amount_that_is_none_is_refused(command: Command, amount: str) -> None:
    assert command("advise", f"--hardware-usd={amount}", *VOLUME, *PRICES).code == 2


@pytest.mark.parametrize("option", ["--months", "--hours", "--tokens-per-second"])
def test_what_divides_is_not_zero(command: Command, option: str) -> None:
    assert command("advise", *VOLUME, *PRICES, *MACHINE, option, "0").code == 2


def test_the_published_comparison_is_held_against_its_inputs(command: Command) -> None:
    shown = command("advise", "--published").out
    told = command("advise", "--published", "--json").json

    assert shown.startswith("a published comparison of March 2025")
    assert "10 * $15 = $150.00 if all are output; $1,800.00 is 12 times the most" in shown
    assert "DOES NOT FOLLOW" in shown
    verdicts = [found["verdict"] for found in told["findings"]]
    assert verdicts.count("does not follow") == 3
    assert len(told["models"]) == 4
