"""Labels are ordered by what they protect, and a label that is none is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.errors import UnknownSensitivity
from chunking.sensitivity import Sensitivity, highest, parse_sensitivity

LABELS = st.sampled_from(Sensitivity)


def test_labels_are_ordered_by_what_they_protect_and_not_by_their_letters():
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
def test_every_comparison_is_that_of_the_ranks(one: Sensitivity, other: Sensitivity):
    assert (one < other) == (one.rank < other.rank)
    assert (one <= other) == (one.rank <= other.rank)
    assert (one > other) == (one.rank > other.rank)
    assert (one >= other) == (one.rank >= other.rank)


@given(LABELS, LABELS)
def test_a_plain_string_of_a_label_compares_as_the_label(one: Sensitivity, other: Sensitivity):
    assert (one < other.value) == (one.rank < other.rank)


def test_a_string_that_is_no_label_does_not_compare():
    with pytest.raises(ValueError, match="secret"):
        _ = Sensitivity.PUBLIC < "secret"


@given(st.lists(LABELS, min_size=1))
def test_the_highest_label_is_among_the_labels_and_below_none(labels: list[Sensitivity]):
    assert highest(labels) in labels
    assert all(label <= highest(labels) for label in labels)


def test_no_labels_at_all_do_not_read_as_public():
    with pytest.raises(ValueError, match="empty"):
        highest([])


@given(LABELS)
def test_a_label_survives_json_and_parsing(label: Sensitivity):
    assert parse_sensitivity(json.loads(json.dumps(label))) is label


@pytest.mark.parametrize("written", ["restricted", "Restricted", " RESTRICTED\n"])
def test_case_and_outer_white_space_do_not_count(written: str):
    assert parse_sensitivity(written) is Sensitivity.RESTRICTED


def test_a_misspelt_label_is_refused_with_the_nearest_one():
    with pytest.raises(UnknownSensitivity) as caught:
        parse_sensitivity("confidental", param="sensitivity")
    assert caught.value.message == "'confidental' is no label of sensitivity"
    assert caught.value.hint == "did you mean 'confidential'?"
    assert (caught.value.code, caught.value.param) == ("unknown_sensitivity", "sensitivity")
    assert (caught.value.status, caught.value.exit_code) == (422, 2)


@pytest.mark.parametrize("value", ["", "  ", "secret", None, 3, True, ["public"], {"public": 1}])
def test_what_is_no_label_is_refused_with_all_labels_named(value: object):
    with pytest.raises(UnknownSensitivity) as caught:
        parse_sensitivity(value)
    assert caught.value.hint == "labels: public, internal, confidential, restricted"


def test_a_long_text_in_the_place_of_a_label_is_not_repeated():
    with pytest.raises(UnknownSensitivity) as caught:
        parse_sensitivity("the patient's diagnosis is " + "x" * 100)
    assert "patient" not in caught.value.for_shell
