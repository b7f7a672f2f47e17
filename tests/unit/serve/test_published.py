from __future__ import annotations

from decimal import Decimal

import pytest

from serve.published import CLOUDS, SOURCE, Finding, examine, work_examples

FINDINGS = {found.subject: found for found in examine()}


def finding(subject: str) -> Finding:
    return FINDINGS[subject]


@pytest.mark.parametrize(
    ("model", "least", "most", "claim", "takes"),
    [
        ("GPT-4o", "$50.00", "$150.00", "$1,800.00", "120M output or 360M input"),
        ("Claude 3.5 Sonnet", "$30.00", "$150.00", "$1,080.00", "72M output or 360M input"),
    ],
)
def test_what_the_cloud_is_said_to_cost_does_not_follow(
    model: str, least: str, most: str, claim: str, takes: str
) -> None:
    found = finding(f"10M tokens a month, {model}")

    assert (found.claim, found.verdict) == (claim, "does not follow")
    for shown in (least, most, claim, takes):
        assert shown in found.arithmetic


@pytest.mark.parametrize(
    ("model", "claim"), [("Llama 3.1 70B local", "$60.00"), ("Mistral 7B local", "$45.00")]
)
def test_what_local_models_are_said_to_cost_is_the_middle_of_their_hardware(
    model: str, claim: str
) -> None:
    found = finding(f"10M tokens a month, {model}")

    assert (found.claim, found.verdict) == (claim, "follows")
    assert claim in found.arithmetic


@pytest.mark.parametrize(
    ("subject", "verdict", "shown"),
    [
        ("under 500K tokens a month", "follows", "0.5 * $15 = $7.50"),
        ("500K to 5M tokens a month", "follows in part", "$30 / $15 = 2,000,000"),
        ("over 5M tokens a month", "does not follow", "$1,080.00 / $75.00 = 14.4 months"),
    ],
)
def test_the_rules_of_thumb_are_held_against_the_same_inputs(
    subject: str, verdict: str, shown: str
) -> None:
    assert finding(subject).verdict == verdict
    assert shown in finding(subject).arithmetic


def test_both_claims_would_follow_from_360_million_input_tokens() -> None:
    for model in CLOUDS:
        assert model.least_usd(360_000_000) == model.claimed_usd
        assert model.most_usd(10_000_000) == Decimal(150)


def test_the_worked_examples_go_from_the_cloud_through_break_even_to_local() -> None:
    choices: dict[int, set[str]] = {}
    for one in work_examples():
        choices.setdefault(one.tokens, set()).add(one.choice)

    assert choices == {500_000: {"cloud"}, 5_000_000: {"cloud", "local"}, 10_000_000: {"local"}}


def test_no_pair_pays_back_within_the_six_months_that_are_said() -> None:
    months = [one.pay_back_months for one in work_examples() if one.tokens == 10_000_000]

    assert [round(month, 1) for month in months if month] == [
        Decimal("21.6"),
        Decimal("16.2"),
        Decimal(24),
        Decimal(18),
    ]


def test_the_source_is_given() -> None:
    assert SOURCE == "a published comparison of March 2025"
