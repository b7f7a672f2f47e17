from __future__ import annotations

import pytest

from eval.scoring.currencies import currency_of, find_currency


@pytest.mark.parametrize(
    ("sign", "code"),
    [
        ("$", "USD"),
        ("US$", "USD"),
        ("A$", "AUD"),
        ("HK$", "HKD"),
        ("\u20ac", "EUR"),
        ("CAD", "CAD"),
    ],
)
def test_a_sign_stands_for_one_currency(sign: str, code: str) -> None:
    assert currency_of(sign) == code


@pytest.mark.parametrize(
    ("text", "code", "ambiguous"),
    [
        (" dollars", "USD", False),
        (" US dollars", "USD", False),
        (" Canadian dollars", "canadian dollar", False),
        (" pounds", "GBP", True),
        (" pounds sterling", "GBP", False),
        (" CAD", "CAD", False),
        (" yen", "JPY", False),
    ],
)
def test_money_is_known_by_its_words(text: str, code: str, ambiguous: bool) -> None:
    assert find_currency(text, 0) == (code, len(text), ambiguous)


def test_what_is_no_money_is_none() -> None:
    assert find_currency(" km", 0) is None
    assert find_currency(" cad", 0) is None
