"""Labels are ordered by what they protect, and a label that is none is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.errors import UnknownSensitivity
from chunking.sensitivity import (
    UNLABELLED,
    Sensitivity,
    highest,
    parse_sensitivity,
    read_sensitivity,
)

LABELS = st.sampled_from(Sensitivity)


def test_labels_are_ordered_by_what_they_protect_and_not_by_their_letters() -> None:
    ordered = [
        Sensitivity.PUBLIC,
        Sensitivity.INTERNAL,
        Sensitivity.CONFIDENTIAL,
        Sensitivity.RESTRICTED,
    ]
    assert sorted(Sensitivity, key=str) != ordered
    assert sorted(sorted(Sensitivity, key=str)) == ordered
    assert Sensitivity.INTERNAL < Sensitivity.CONFIDENTIAL
    assert max(Sensitivity) is Sensitivity.RESTRICTED


@given(LABELS, LABELS)
def test_every_comparison_is_that_of_the_ranks(one: Sensitivity, other: Sensitivity) -> None:
    assert (one < other) == (one.rank < other.rank)
    assert (one <= other) == (one.rank <= other.rank)
    assert (one > other) == (one.rank > other.rank)
    assert (one >= other) == (one.rank >= other.rank)


@given(LABELS, LABELS)
def test_a_plain_string_of_a_label_compares_as_the_label(
    one: Sensitivity, other: Sensitivity
) -> None:
    assert (one < other.value) == (one.rank < other.rank)


def test_a_string_that_is_no_label_does_not_compare() -> None:
    with pytest.raises(ValueError, match="secret"):
        _ = Sensitivity.PUBLIC < "secret"


@given(st.lists(LABELS, min_size=1))
def test_the_highest_label_is_among_the_labels_and_below_none(labels: list[Sensitivity]) -> None:
    assert highest(labels) in labels
    assert all(label <= highest(labels) for label in labels)


def test_no_labels_at_all_do_not_read_as_public() -> None:
    with pytest.raises(ValueError, match="empty"):
        highest([])


@given(LABELS)
def test_a_label_survives_json_and_parsing(label: Sensitivity) -> None:
    assert parse_sensitivity(json.loads(json.dumps(label))) is label


@pytest.mark.parametrize("written", ["restricted", "Restricted", " RESTRICTED\n"])
def test_case_and_outer_white_space_do_not_count(written: str) -> None:
    assert parse_sensitivity(written) is Sensitivity.RESTRICTED


def test_a_misspelt_label_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UnknownSensitivity) as caught:
        parse_sensitivity("confidental", param="sensitivity")
    assert caught.value.message == "'confidental' is no label of sensitivity"
    assert caught.value.hint == "did you mean 'confidential'?"
    assert (caught.value.code, caught.value.param) == ("unknown_sensitivity", "sensitivity")
    assert (caught.value.status, caught.value.exit_code) == (422, 2)


@pytest.mark.parametrize("value", ["", "  ", "secret", None, 3, True, ["public"], {"public": 1}])
def test_what_is_no_label_is_refused_with_all_labels_named(value: object) -> None:
    with pytest.raises(UnknownSensitivity) as caught:
        parse_sensitivity(value)
    assert caught.value.hint == "labels: public, internal, confidential, restricted"


def test_a_long_text_in_the_place_of_a_label_is_not_repeated() -> None:
    with pytest.raises(UnknownSensitivity) as caught:
        parse_sensitivity("the patient's diagnosis is " + "x" * 100)
    assert "patient" not in caught.value.for_shell


def test_what_was_kept_without_a_label_is_internal_and_under_none_restricted() -> None:
    assert read_sensitivity(None) is UNLABELLED is Sensitivity.INTERNAL
    assert [read_sensitivity(label.value) for label in Sensitivity] == list(Sensitivity)
    for value in ("", "publik", 3, ["public"]):
        assert read_sensitivity(value) is Sensitivity.RESTRICTED
