from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eval.scoring.wording import states, words


def test_case_accents_quotation_marks_and_commas_do_not_count() -> None:
    assert words("C\u00f4te d\u2019Ivoire, 2,460 m") == words("cote d'ivoire 2460 M")


def test_a_hyphen_and_a_leading_dot_make_another_word() -> None:
    assert words("semi-presidential .fk") == ("semi-presidential", ".fk")
    assert not states("semi-presidential republic", "presidential republic")


def test_what_stands_behind_a_denying_word_is_not_stated() -> None:
    assert not states("neither Darwin nor Stanley", "Stanley")
    assert not states("It isn't in the Hague", "Hague")
    assert states("not only Stanley", "Stanley")


def test_a_sign_at_the_end_makes_another_word() -> None:
    assert words("C++, C# or 5+") == ("c++", "c#", "or", "5+")
    assert words("a+b") == ("a", "b")


def test_scripts_without_spaces_are_compared_letter_by_letter() -> None:
    assert states("\u4e1c\u4eac\u662f\u9996\u90fd", "\u4e1c\u4eac")
    assert not states("\u4eac\u4e1c\u662f\u9996\u90fd", "\u4e1c\u4eac")


def test_only_joining_words_may_stand_between() -> None:
    assert states("Mosotho (singular) and Basotho (plural)", "Mosotho (singular), Basotho (plural)")
    assert not states("parliamentary democratic republic", "parliamentary republic")


@given(st.text(alphabet="abcdefgh '-()", min_size=1).filter(words))
def test_what_is_wanted_is_stated_by_itself(text: str) -> None:
    assert states(text, text)
