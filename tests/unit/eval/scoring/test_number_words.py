from __future__ import annotations

from decimal import Decimal

import pytest

from eval.scoring.number_words import find_worded


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("one hundred twenty-five", [125]),
        ("one hundred and five thousand three hundred and five", [105305]),
        ("twenty-one million", [21000000]),
        ("two thousand and five", [2005]),
        ("two and three", [2, 3]),
        ("five six", [5, 6]),
        ("nineteen ninety", [19, 90]),
        ("Zero", [0]),
        ("hundred", []),
        ("someone often", []),
        ("f\u0131ve \u017fix", []),
    ],
)
def test_numbers_in_words_are_put_together_where_they_are_one(text: str, values: list[int]) -> None:
    assert [one.value for one in find_worded(text)] == values


def test_a_number_says_how_exact_its_last_word_is() -> None:
    (one,) = find_worded("about five hundred thousand people")

    assert (one.value, one.step) == (Decimal(500_000), Decimal(100_000))
    assert (one.start, one.end) == (6, 27)
