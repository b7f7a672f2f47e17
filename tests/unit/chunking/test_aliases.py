"""Which other names a text gives what it is about."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.aliases import find_aliases


@pytest.mark.parametrize(
    ("title", "text", "expected"),
    [
        (
            "Democratic Republic of the Congo",
            "The Democratic Republic of the Congo (DRC) is large.",
            ("DRC",),
        ),
        ("United States of America", "United States of America (U.S.A.)", ("U.S.A.",)),
        ("Eswatini", "Eswatini (formerly Swaziland) lies inland.", ("Swaziland",)),
        ("eswatini", "Eswatini (formerly Swaziland) lies inland.", ("Swaziland",)),
        ("Eswatini", "Eswatini, formerly known as Swaziland, lies inland.", ("Swaziland",)),
        ("Burma", "Burma (also known as Myanmar or Birma) is", ("Myanmar", "Birma")),
        ("Holland", "Holland (also known as the Netherlands)", ("Netherlands",)),
        ("Kyiv", "Kyiv (also spelled Kiev)", ("Kiev",)),
        ("Peru", "Peru, officially known as the Republic of Peru, is", ("Republic of Peru",)),
        ("New York", "New\nYork (formerly New Amsterdam)", ("New Amsterdam",)),
        ("Zaire", "Zaire (formerly Belgian Congo from 1908, July 3)", ()),
        ("Eswatini", "Eswatini (aka Ngwane)", ("Ngwane",)),
        ("Java", "You may use Java, or Python or Ruby, for it.", ()),
        ("Berlin", "The capital is Berlin, previously Bonn, in", ()),
        ("Chad", "Send it to Chad, or Sudan, today", ()),
        ("Portland", "Visit Portland, OR USA. Portland (OREGON). Portland (or Oregon)", ()),
        ("Mosul", "Mosul (ORGANIZATION)", ()),
        ("Peru", "Peru Peru Peru Peru (formerly Ubangi)", ()),
        ("Paris", "Paris (France) is a city. Paris, the capital, Paris, Texas.", ()),
        ("Health", "Health (WHO) reports", ()),
        ("Oman", "Omani Oman2 (OM)", ()),
        ("", "(X) (formerly Y)", ()),
        ("2024", "2024 (formerly 2023)", ()),
        ("Chad", "x" * 6000 + "Chad (formerly Ubangi)", ()),
        ("Chad", "Chad (formerly Chad)", ()),
        ("Chad", "Chad (formerly known as the land of lakes)", ()),
        ("C++ (.*)", "C++ (.*) (formerly Cfront)", ("Cfront",)),
    ],
)
def test_a_text_says_what_its_title_goes_by(
    title: str, text: str, expected: tuple[str, ...]
) -> None:
    assert find_aliases(title, text) == expected


@given(st.text(max_size=20), st.text(max_size=200))
def test_aliases_of_any_text_stand_in_it(title: str, text: str) -> None:
    assert all(alias in " ".join(text.split()) for alias in find_aliases(title, text))
