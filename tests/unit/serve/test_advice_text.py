from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from serve.advice_text import explain, usd
from serve.advise import CloudOffer, Machine, Situation, Volume, advise

D = Decimal
MACHINE = Machine(D(1800), D(36), watts=D(350), kwh_usd=D("0.30"), tokens_per_second=D(40))
ASKED = Situation(Volume(D("20e6"), D("5e6")), CloudOffer(D(5), D(15)), MACHINE)


def told(asked: Situation) -> dict[str, str]:
    return {line.subject: line.text for line in explain(advise(asked))}


def test_every_sum_is_written_with_the_figures_it_was_made_of() -> None:
    assert told(ASKED) == {
        "volume": "20,000,000 input + 5,000,000 output = 25,000,000 tokens a month (given)",
        "cloud": "(20,000,000 * $5 + 5,000,000 * $15) / 1,000,000 = $175.00 a month (given)",
        "one machine": "$1,800.00 / 36 months + 350 W / 1,000 * 730.5 h * $0.30"
        " = $50.00 + $76.7025 = $126.7025 a month",
        "machines": "5,000,000 / 40 tokens/s (reading prompts is not counted)"
        " = 34.72 h of 730.5 h: 1 * $126.7025 = $126.7025 a month",
        "break-even": "25,000,000 * $126.7025 / $175.00"
        " = about 18,100,000 tokens a month in this mix",
        "pay-back": "1 * $1,800.00 / ($175.00 - $76.7025) = 18.31 months: in month 19",
        "recommendation": "local: it costs less",
        "sensitivity": "Both cost the same at 0.72 times these prices; local in 8 of 9 cases;"
        " it changes with prices -20 %, volume -20 %: cloud ($112.00 cloud, $126.7025 local).",
    }


def test_what_never_happens_is_called_never() -> None:
    slow = replace(MACHINE, tokens_per_second=D("0.1"))
    free = replace(ASKED, cloud=CloudOffer(D(0), D(0)))

    assert "more than one machine can work off" in told(replace(ASKED, machine=slow))["break-even"]
    assert told(free)["break-even"] == "never: the cloud costs nothing"
    assert told(free)["pay-back"].startswith("never: ($0.00 - $76.7025)")


def test_a_machine_that_pays_back_too_late_is_told() -> None:
    late = replace(ASKED, volume=Volume(D("14e6"), D("1e6")))

    assert told(late)["pay-back"].endswith("in month 217, after it is written off")


def test_an_unknown_speed_is_no_claim_that_one_machine_is_enough() -> None:
    unknown = replace(ASKED, machine=replace(MACHINE, tokens_per_second=None))

    assert told(unknown)["machines"] == "1, as its speed is not given = $126.7025 a month"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "$0.00"),
        ("1800", "$1,800.00"),
        ("0.5136328", "$0.5136"),
        ("76.70", "$76.70"),
        ("1234567.125", "$1,234,567.125"),
    ],
)
def test_amounts_have_cents_and_four_decimals_at_most(amount: str, text: str) -> None:
    assert usd(D(amount)) == text
