from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eval.wording import states, words


def test_case_accents_quotation_marks_and_commas_do_not_count() -> None:
    assert words("C\u00f4te d\u2019Ivoire, 2,460 m") == words("cote d'ivoire 2460 M")


def test_a_hyphen_and_a_leading_dot_make_another_word() -> None:
    assert words("semi-presidential .fk") == ("semi-presidential", ".fk")
    assert not states("semi-presidential republic", "presidential republic")


def test_only_joining_words_may_stand_between() -> None:
    assert states("Mosotho (singular) and Basotho (plural)", "Mosotho (singular), Basotho (plural)")
    assert not states("parliamentary democratic republic", "parliamentary republic")


@given(st.text(alphabet="abcdefgh '-()", min_size=1).filter(words))
def test_what_is_wanted_is_stated_by_itself(text: str) -> None:
    assert states(text, text)
