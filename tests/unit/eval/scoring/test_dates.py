from __future__ import annotations

import pytest

from eval.scoring.dates import find_dates


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("1776-07-04", (1776, 7, 4)),
        ("on 4 July 1776,", (1776, 7, 4)),
        ("the 4th of July, 1776", (1776, 7, 4)),
        ("July 4th, 1776", (1776, 7, 4)),
        ("in Jul. 1776", (1776, 7, None)),
        ("on July 4", (None, 7, 4)),
        ("04.07.1776", (1776, 7, 4)),
        ("4.7.1776.", (1776, 7, 4)),
        ("4-Jul-1776", (1776, 7, 4)),
        ("24/07/1776", (1776, 7, 24)),
        ("07/24/1776", (1776, 7, 24)),
    ],
)
def test_a_date_is_read_in_every_spelling(
    text: str, date: tuple[int | None, int, int | None]
) -> None:
    (found,) = find_dates(text)

    assert (found.year, found.month, found.day) == date


@pytest.mark.parametrize(
    "text", ["12 may be right", "march 5.2%", "2022", "1776-13-04", "04/07/1776", "1.04.07.1776"]
)
def test_what_is_no_date_is_not_read(text: str) -> None:
    assert find_dates(text) == ()


def test_a_date_says_another_where_it_states_everything_of_it() -> None:
    (full,), (month,) = find_dates("4 July 1776"), find_dates("July 1776")

    assert full.says(month)
    assert not month.says(full)
