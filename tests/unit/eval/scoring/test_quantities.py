from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.scoring.quantities import Quantity, agrees, find_quantities, find_years
from eval.scoring.units import find_unit


def values(text: str) -> list[Decimal]:
    return [one.value for one in find_quantities(text)]


def only(text: str) -> Quantity:
    (one,) = find_quantities(text)
    return one


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,790 km", 1790),
        ("1 790 km", 1790),
        ("1\u202f790 km", 1790),
        ("1790 km", 1790),
        ("22,13,59,387", 221359387),
        ("1.234.567", 1234567),
        ("1,5 million", 1500000),
        ("1.234,56 km", Decimal("1234.56")),
        ("1.234.567,8 km", Decimal("1234567.8")),
        ("1 234,56 km", Decimal("1234.56")),
        ("1 790, as was said", 1790),
        ("1.2 million", 1200000),
        ("twenty-one million", 21000000),
        ("$955.016 billion (2022 est.)", 955016000000),
        ("$1.2m", 1200000),
        ("1.2M people", 1200000),
        ("5m", 5),
        ("-$1.2 billion", -1200000000),
        ("\u22125.2%", Decimal("-5.2")),
        (".5", Decimal("0.5")),
        ("6.43 deaths/1,000 population (2025 est.)", Decimal("6.43")),
        ("**1,790** km", 1790),
        ("- 81 [1][2, 3]", 81),
        ("1. Peru has 5\n2. Chad\n", 5),
        ("81.\nSo it is.", 81),
        ("two", 2),
        ("one of them says 81", 81),
    ],
)
def test_a_number_is_read_in_every_spelling(text: str, value: Decimal) -> None:
    assert values(text) == [value]


@pytest.mark.parametrize(
    "text",
    [
        "COVID-19, CO2, G20 and 5G",
        "the 1st and the 22nd",
        "[1], [2, 3] and [4; 5]",
        "4 July 1776, July 4, 1776 and 1776-07-04",
        "in 2022 and from 2015-20",
        "per 1,000",
        "1" * 29,
        "0." + "3" * 5000,
        "",
    ],
)
def test_what_is_no_amount_is_not_read(text: str) -> None:
    assert values(text) == []


def test_a_year_is_a_bare_number_without_unit_or_comma() -> None:
    text = "1790 km in 1790; 1,790 of $1790 or 1790 million, and 1 May 1791"

    assert [year.value for year in find_years(text)] == [1790, 1791]
    assert [one.start for one in find_quantities("1790 km in 1790")] == [0]


def test_both_ends_of_a_range_are_marked_and_agree_with_neither() -> None:
    for text in ("5 to 7 km", "5-7 km", "5 or 7 km", "between 5 and 7 km"):
        assert [one.ranged for one in find_quantities(text)] == [True, True]
        assert not any(agrees(one, only("5 km")) for one in find_quantities(text))
    assert not any(one.ranged for one in find_quantities("5 km and 7 km"))


@pytest.mark.parametrize(
    ("stated", "expected", "same"),
    [
        ("221 million", "221,359,387", True),
        ("221,000,000", "221,359,387", True),
        ("220 million", "221,359,387", False),
        ("0.2 billion", "221,359,387", False),
        ("1,112 miles", "1,790 km", True),
        ("1,790 miles", "1,790 km", False),
        ("1,790 sq km", "1,790 km", False),
        ("3,200 MW", "3.2 million kW", True),
        ("3.2", "3.2 million kW", False),
        ("0.643%", "6.43 deaths/1,000 population", True),
        ("6.43%", "6.43 deaths/1,000 population", False),
        ("24.7 years", "24.6 years", False),
        ("96.4%", "96%", False),
        ("80", "81", False),
        ("$5", "\u20ac5", False),
    ],
)
def test_two_quantities_agree_by_digits_unit_and_scale(
    stated: str, expected: str, same: bool
) -> None:
    assert agrees(only(stated), only(expected)) is same


WHOLE = st.integers(min_value=0, max_value=10**12)
EXACT = st.decimals(
    min_value=0, max_value=10**9, places=3, allow_nan=False, allow_infinity=False
).filter(lambda value: value % 1 != 0)


@given(WHOLE)
def test_commas_points_and_spaces_group_the_same_number(value: int) -> None:
    written = f"{value:,}"

    assert values(f"about {written} km") == [value]
    assert values(f"about {written.replace(',', chr(0x202F))} km") == [value]
    assert values(f"({value} km)") == [value]


@given(EXACT, st.sampled_from(["", "%", " km", " million", " deaths/1,000 population"]))
def test_what_is_written_agrees_with_itself_and_not_with_its_negative(
    value: Decimal, unit: str
) -> None:
    one = only(f"It is {value:,}{unit}.")

    assert agrees(one, one)
    assert not agrees(replace(one, value=-one.value), one)


@given(st.integers(min_value=100, max_value=999), st.sampled_from([3, 6, 9, 12]))
def test_scales_in_words_and_in_zeros_say_the_same(value: int, power: int) -> None:
    word = {3: "thousand", 6: "million", 9: "billion", 12: "trillion"}[power]
    worded, written = only(f"{value} {word}"), only(f"{value * 10**power:,}")

    assert worded.value == written.value
    assert agrees(worded, written)
    assert agrees(written, worded)


@given(st.integers(min_value=1, max_value=10**9), st.integers(min_value=1, max_value=10**9))
def test_two_whole_numbers_agree_only_if_equal_or_rounded_to_thousands(
    one: int, other: int
) -> None:
    stated, expected = only(f"{one:,} km"), only(f"{other:,} km")

    if agrees(stated, expected) and one != other:
        assert one % 1000 == 0
        assert abs(one - other) / other < 0.005


@given(st.integers(min_value=2, max_value=10**6))
def test_the_same_number_of_miles_and_of_kilometres_never_agrees(value: int) -> None:
    assert not agrees(only(f"{value} miles"), only(f"{value} km"))


@given(
    st.one_of(
        st.text(),
        st.text(alphabet="0123456789.,-\u2212/ []()*$%mMkKbB\nper to and [1] 2022 (est)"),
        st.from_regex(r"[0-9]{1,3}([ .,][0-9]{2,3}){0,20}([.,][0-9]{1,40})?( [a-z]{1,9})?"),
        st.sampled_from(["f\u0131ve", "\u017fix m\u0131llion", "5\u212a", "\u0661\u0662 \u212am"]),
    )
)
def test_any_text_is_read_and_places_lie_in_it_in_order(text: str) -> None:
    found = find_quantities(text)

    ends = [0]
    for one in found:
        assert ends[-1] <= one.start < one.end <= len(text)
        assert one.step > 0
        assert one.digits >= 1
        ends.append(one.end)


@pytest.mark.parametrize(
    ("text", "dimension", "size"),
    [
        (" sq. km of", "area", 1_000_000),
        (" km\u00b2", "area", 1_000_000),
        (" km", "length", 1000),
        (" m", "length", 1),
        (" MW", "power", 1_000_000),
        (" metric tonnes", "mass", 1000),
        ("%", "share", Decimal("0.01")),
        (" deaths per 100,000 live births", "share", Decimal("0.00001")),
    ],
)
def test_a_unit_is_known_by_its_longest_spelling(text: str, dimension: str, size: Decimal) -> None:
    found = find_unit(text, 0)

    assert found is not None
    assert (found[0].dimension, found[0].size) == (dimension, size)


@pytest.mark.parametrize("text", ["", " people", " mW", " kmh", ", m"])
def test_what_is_no_unit_is_none(text: str) -> None:
    assert find_unit(text, 0) is None
