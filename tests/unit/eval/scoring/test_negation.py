from __future__ import annotations

import pytest

from eval.scoring.negation import denied, without_denied_names
from tests.unit.eval.scoring.test_answers import find_names


@pytest.mark.parametrize(
    "before", ["It is not ", "isn\u2019t the ", "instead of about ", "Neither ", "no longer "]
)
def test_what_stands_behind_a_denying_word_is_denied(before: str) -> None:
    assert denied(f"{before}24.6", len(before))


@pytest.mark.parametrize(
    "before", ["It is ", "not only ", "not less than ", "not until ", "a knot "]
)
def test_what_stands_behind_other_words_is_not(before: str) -> None:
    assert not denied(f"{before}24.6", len(before))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Neither Peru nor Bolivia", []),
        ("Unlike Bolivia, Peru is larger", ["pe"]),
        ("not Costa Rica or Peru but Brazil", ["br"]),
        ("the one that is not landlocked is Peru", ["pe"]),
        ("Peru", ["pe"]),
    ],
)
def test_denied_names_are_taken_out(text: str, names: list[str]) -> None:
    plain = without_denied_names(text, find_names)

    assert find_names(plain) == names
    assert len(plain) == len(text)
