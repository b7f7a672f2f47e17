"""`windowfit advise` as a shell sees it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

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
