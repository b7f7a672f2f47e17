from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.cells import AnswerType, AskedQuestion, Expected
from eval.scoring.answers import Judgement, score_answer, score_failure
from serve.abstention import abstains

KNOWN = {
    "Bosnia and Herzegovina": "ba",
    "Bolivia": "bo",
    "Brazil": "br",
    "Colombia": "co",
    "Costa Rica": "cr",
    "Croatia": "hr",
    "Hungary": "hu",
    "Jordan": "jo",
    "Lesotho": "ls",
    "Oman": "om",
    "Panama": "pa",
    "Peru": "pe",
    "Saudi Arabia": "sa",
    "Serbia": "rs",
    "Turkey": "tr",
    "Türkiye": "tr",
}


def find_names(text: str) -> list[str]:
    """Return the keys of the countries in a text, in its order."""
    places = sorted((text.find(name), key) for name, key in KNOWN.items() if name in text)
    return list(dict.fromkeys(key for _, key in places))


def asked(
    answer_type: AnswerType,
    expected: Expected,
    question: str = "What is it?",
    *,
    stale: str | None = None,
) -> AskedQuestion:
    return AskedQuestion("q", "t", question, answer_type, expected, stale=stale)


def scored(question: AskedQuestion, answer: str) -> Judgement:
    return score_answer(question, answer, find_names=find_names)


DEATHS = asked(
    "number",
    "14.28 deaths/1,000 population (2025 est.)",
    "What is the death rate of Romania?",
    stale="14.6 deaths/1,000 population (2024 est.)",
)
GDP = asked("number", "$955.016 billion (2022 est.)", "What was the GDP of Colombia in 2022?")
POPULATION = asked("number", "221,359,387 (2025 est.)", "How many people live in Brazil?")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (DEATHS, "The death rate of Romania is 14.28 deaths per 1,000 population (2025 est.) [1]."),
        (DEATHS, "14.28"),
        (DEATHS, "1.428%"),
        (GDP, "$955.016 billion (2022 est.)"),
        (GDP, "In 2022, it was **$955 billion** [2], up from $940 billion in 2021."),
        (GDP, "- 2021: $940.0 billion\n- 2022: $955.016 billion\n- 2023: $961.2 billion"),
        (GDP, "$940 billion in 2021 and 955,016,000,000 USD in 2022"),
        (POPULATION, "About 221 million people."),
        (POPULATION, "221359387"),
        (POPULATION, "22,13,59,387"),
        (asked("number", "1,790 km"), "1790 kilometres (1,112 miles)"),
        (asked("number", "1,790 km"), "about 1,112 mi"),
        (asked("number", "1 (2025)"), "There is one airport [3]."),
        (asked("number", "2,003 (2021)"), "2003"),
        (asked("number", "1960"), "It became independent on 1 October 1960."),
        (asked("number", "-5.2% (2024 est.)"), "It fell: \u22125.2 percent"),
        (asked("number", "-5.2% (2024 est.)"), "The economy contracted by 5.2%."),
        (GDP, "It was $955.016 billion (in 2021 dollars)."),
        (GDP, "<think>Is it $5 billion? No.</think>$955.016 billion"),
        (asked("number", "24.6 years (2025 est.)"), "Therefore the answer is 24.6 years."),
        (asked("number", "18.4 million (2024 est.)"), "18,400,000"),
        (asked("date", "4 July 1776"), "On July 4th, 1776 [1]."),
        (asked("date", "1776"), "It was in 1776."),
    ],
)
def test_a_number_is_right_however_it_is_written(question: AskedQuestion, answer: str) -> None:
    assert scored(question, answer).correct, scored(question, answer)


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        (DEATHS, "9.9 births per 1,000", "another value"),
        (DEATHS, "14.28 km", "another unit"),
        (DEATHS, "14.28%", "another value"),
        (DEATHS, "between 14.28 and 20, or 14.28 to 14.6", "another value"),
        (GDP, "$940 billion in 2021", "another year"),
        (GDP, "$955.016 million", "another value"),
        (GDP, "It was €955.016 billion.", "another unit"),
        (POPULATION, "220 million", "another value"),
        (POPULATION, "0.2 billion", "another value"),
        (POPULATION, "2025", "another value"),
        (asked("number", "1,790 km"), "1,790 miles", "another value"),
        (asked("number", "1,790 km"), "1,800 km", "another value"),
        (asked("number", "1,790 km"), "Ecuador 708 km; Peru 1,494 km; Brazil 1,790 km", "another"),
        (asked("number", "24.6 years (2025 est.)"), "25 years", "another value"),
        (asked("number", "24.6 years (2025 est.)"), "24.7 years", "another value"),
        (asked("number", "81 (2025)"), "COVID-19, CO2 and the 1st of [81]", "no value"),
        (asked("number", "81 (2025)"), "81%", "another unit"),
        (asked("number", "5.2%"), "-5.2%", "another value"),
        (asked("number", "-5.2%"), "It grew by 5.2%.", "another value"),
        (asked("date", "4 July 1776"), "July 1776", "another value"),
    ],
)
def test_a_number_is_wrong_by_its_value_unit_place_or_year(
    question: AskedQuestion, answer: str, reason: str
) -> None:
    judged = scored(question, answer)

    assert not judged.correct
    assert reason in judged.reason


def test_the_value_of_another_edition_is_stale_and_wrong() -> None:
    assert scored(DEATHS, "14.6 deaths/1,000 population").stale is True
    assert scored(DEATHS, "14.28").stale is False
    assert scored(DEATHS, "9.9").stale is False
    assert scored(DEATHS, "The sources do not say.").stale is False
    assert scored(GDP, "$940 billion").stale is None


@pytest.mark.parametrize(
    ("expected", "answer", "correct"),
    [
        ("Stanley", "The capital is Stanley [1].", True),
        ("Stanley", "It is not Stanley.", False),
        (".in", "The code is .in", True),
        (".in", "The code is in the sources above", False),
        ("presidential republic", "a semi-presidential republic", False),
        ("presidential republic", "It is a Presidential Republic.", True),
        ("Mount Shimbiris 2,460 m", "Mount Shimbiris, at an elevation of 2460 m", True),
        ("Mount Shimbiris 2,460 m", "Mount Shimbiris, 2,450 m", False),
        ('"La Dessalinienne" (The Dessalines Song)', "“La Dessalinienne”", True),
        ("Aruban(s)", "Arubans", True),
        ("N'Djamena", "N\u2019Djamena", True),
        ("Panama City", "Panama", False),
    ],
)
def test_a_text_is_stated_word_for_word(expected: str, answer: str, correct: bool) -> None:
    assert scored(asked("string", expected), answer).correct is correct


LARGER = asked("entity", "Bolivia", "Which has the larger total area, Bolivia or Lesotho?")
BOTH = asked("entity", "Saudi Arabia", "Which country borders both Jordan and Oman?")
OF_ALL = asked(
    "entity",
    "Brazil",
    "Of the countries that border Colombia, which one has the largest population?",
)


@pytest.mark.parametrize(
    ("question", "answer", "correct"),
    [
        (LARGER, "Bolivia [1].", True),
        (LARGER, "Lesotho", False),
        (LARGER, "Bolivia is larger than Lesotho.", True),
        (LARGER, "Lesotho is larger than Bolivia.", False),
        (LARGER, "Lesotho has 30,355 sq km, Bolivia 1,098,581. Bolivia is larger.", True),
        (LARGER, "Bolivia: 1,098,581; Lesotho: 30,355. So Lesotho has it.", False),
        (LARGER, "Both are in the sources.", False),
        (BOTH, "Saudi Arabia borders both Jordan and Oman.", True),
        (BOTH, "Jordan and Oman both border Saudi Arabia.", True),
        (BOTH, "Jordan borders Oman.", False),
        (OF_ALL, "Colombia borders Brazil, Panama and Peru. Peru has the largest one.", False),
        (OF_ALL, "Colombia borders Panama, Peru and Brazil. Brazil has the largest one.", True),
        (asked("entity", "Turkey"), "Türkiye", True),
        (asked("entity", "Atlantis"), "It is Atlantis.", True),
    ],
)
def test_a_name_is_right_where_the_answer_settles_on_it(
    question: AskedQuestion, answer: str, correct: bool
) -> None:
    assert scored(question, answer).correct is correct


@pytest.mark.parametrize(
    ("answer", "f1"),
    [
        ("Colombia and Costa Rica [1].", 1.0),
        ("Panama borders Costa Rica and Colombia.", 1.0),
        ("Colombia", 2 / 3),
        ("Colombia, Costa Rica, Peru", 4 / 5),
        ("Peru", 0.0),
        ("The sources do not say.", 0.0),
    ],
)
def test_a_set_is_scored_by_what_is_given_and_what_is_given_besides(answer: str, f1: float) -> None:
    question = asked("set", ("Colombia", "Costa Rica"), "Which countries border Panama?")
    judged = scored(question, answer)

    assert judged.f1 == pytest.approx(f1)
    assert judged.correct is (f1 == 1)


def test_a_list_is_scored_by_the_share_of_its_members() -> None:
    question = asked("list", ("3,142 (2021)", "Stanley", ".fk"))

    assert scored(question, "Population 3,142, capital Stanley, code .fk").correct
    assert scored(question, "Population 3,142 (2021), capital Stanley").f1 == pytest.approx(2 / 3)
    assert scored(question, "nothing of it").f1 == 0


def test_declining_is_right_where_nothing_answers_and_wrong_elsewhere() -> None:
    none = asked("abstain", None)

    assert scored(none, "The sources do not say.").correct
    assert not scored(none, "It is 5.").correct
    assert not scored(GDP, "The sources do not say, but it is $955.016 billion.").correct
    assert scored(GDP, "").abstained


def test_an_answer_without_text_is_wrong_for_every_type() -> None:
    for question in (asked("abstain", None), GDP, asked("set", ("Peru",)), asked("string", "x")):
        for answer in ("", " \n", "[1]", "<think>Is it 5?</think>"):
            judged = scored(question, answer)
            assert (judged.correct, judged.reason) == (False, "no answer")
    assert scored(asked("set", ("Peru",)), "").f1 == 0


def test_a_failed_call_is_wrong_in_every_measure_and_does_not_decline() -> None:
    members = asked("set", ("Peru", "Brazil"))
    assert score_failure(members, "upstream_timeout") == Judgement(
        False, "upstream_timeout", abstained=False, f1=0.0
    )
    assert score_failure(DEATHS, "upstream_timeout").stale is False
    assert score_failure(GDP, "upstream_timeout").f1 is None


def test_stale_members_are_told_by_the_rule_of_their_type() -> None:
    members = replace(asked("set", ("Peru", "Brazil")), stale=("Peru", "Bolivia"))
    assert scored(members, "Peru and Bolivia").stale is True
    assert scored(members, "Peru and Brazil").stale is False
    assert scored(members, "Peru").stale is False
    assert scored(members, "The sources do not say.").stale is False
    fields = replace(asked("list", ("3,142", "Stanley")), stale=("3,398", "Stanley"))
    assert scored(fields, "3,398 people; Stanley").stale is True
    assert scored(fields, "3,142 people; Stanley").stale is False


AGE = asked("number", "24.6 years (2025 est.)")
DAY = asked("date", "28 July 1821")
NEIGHBOURS = asked("set", ("Peru", "Bolivia"), "Which countries are they?")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (AGE, "It is not 24.6, it is 30."),
        (AGE, "It isn't about 24.6 years."),
        (AGE, "It is 30 rather than 24.6."),
        (AGE, "24.6, or 30, depending on the source"),
        (AGE, "24.6 or perhaps 30"),
        (DAY, "It is not 28 July 1821 but 1 May 1900"),
        (DAY, "28 July 1821 or 1 May 1900"),
        (NEIGHBOURS, "Neither Peru nor Bolivia"),
        (asked("list", ("Peru", "24.6")), "not Peru; not 24.6"),
        (asked("entity", "Peru"), "It is not Peru but Bolivia."),
        (asked("entity", "Costa Rica"), "Unlike Costa Rica or Peru, Bolivia is."),
        (asked("number", "5.2%"), "It fell by 5.2%"),
        (asked("number", "5.2%"), "a decrease of about 5.2%"),
        (asked("number", "$30"), "A$30"),
        (asked("number", "$30"), "HK$30"),
        (asked("number", "$30"), "30 CAD"),
        (asked("number", "$30"), "30 Australian dollars"),
        (asked("number", "5 km"), "5km/h"),
        (asked("number", "5 km"), "5 km per hour"),
        (asked("string", "C"), "C++"),
        (asked("string", "C++"), "C"),
        (asked("string", "Stanley"), "neither Darwin nor Stanley"),
    ],
)
def test_what_is_denied_or_left_open_or_of_another_kind_is_wrong(
    question: AskedQuestion, answer: str
) -> None:
    assert not scored(question, answer).correct, scored(question, answer)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (AGE, "It is 24.6, not 30."),
        (AGE, "It is not 30 but 24.6."),
        (asked("number", "1,790 km"), "1,790 km, or about 1,112 miles"),
        (asked("number", "7.1 million"), "7.1 million, or 14% of all"),
        (asked("number", "5.2%"), "It fell to 5.2%."),
        (asked("number", "5.2%"), "The falling rate stands at 5.2%."),
        (asked("number", "-5.2%"), "It declined in 2024 by 5.2%."),
        (asked("number", "-5.2%", "What was its growth in 2022?"), "In 2022 it fell by 5.2%."),
        (asked("number", "5.2%", "By how much did it fall?"), "It fell by 5.2%."),
        (asked("number", "$30"), "US$30"),
        (asked("number", "\u00a330"), "30 pounds"),
        (asked("number", "20 \u00b0C"), "68 \u00b0F"),
        (asked("number", "125"), "one hundred twenty-five"),
        (asked("number", "5 km/h"), "5 km per hour"),
        (asked("number", "5 km/h"), "1.39 m/s"),
        (asked("date", "28 July 1821"), "28.07.1821"),
        (asked("date", "28 July 1821"), "28-Jul-1821"),
        (asked("string", "C++"), "It is C++."),
        (asked("string", "Not specified"), "Not specified"),
        (asked("string", "No data"), "No data."),
        (asked("string", "\u4e1c\u4eac"), "\u4e1c\u4eac\u662f\u9996\u90fd"),
        (asked("entity", "Peru", "Which is larger?"), "Unlike Bolivia, Peru is larger"),
        (NEIGHBOURS, "Peru and Bolivia, not Brazil"),
    ],
)
def test_what_is_true_is_right_in_other_words(question: AskedQuestion, answer: str) -> None:
    assert scored(question, answer).correct, scored(question, answer)


ANSWERS = st.one_of(
    st.text(),
    st.from_regex(r"[0-9]{1,40}([ .,][0-9]{1,3}){0,20}([.,][0-9]{1,40})?( [a-z]{1,9})?"),
    st.sampled_from(["1.234,56 km", "9" * 40, "0." + "3" * 5000, "\u017feven", "\u017fep 1, 2020"]),
    st.lists(
        st.sampled_from(
            "The sources do not say . It is 955 14.28 $955.016 billion 2022 2021 Bolivia larger "
            "Lesotho so ( ) , [1] % km \n not Peru".split(" ")
        )
    ).map(" ".join),
)
FALLEN = asked("number", "-5.2% (2022 est.)", "What was the growth of Peru in 2022?")
QUESTIONS = (FALLEN, DEATHS, GDP, POPULATION, LARGER, BOTH, OF_ALL, asked("date", "4 July 1776"))


@given(ANSWERS, st.sampled_from(QUESTIONS))
def test_no_answer_is_right_both_as_a_value_and_as_declining(
    answer: str, question: AskedQuestion
) -> None:
    declining = replace(question, answer_type="abstain", expected=None)

    assert not (scored(question, answer).correct and scored(declining, answer).correct)
    assert scored(question, answer).abstained is abstains(answer)


@given(ANSWERS, st.sampled_from([*QUESTIONS, NEIGHBOURS, asked("list", ("5 km", "Peru"))]))
def test_any_text_is_scored_by_any_rule(answer: str, question: AskedQuestion) -> None:
    judged = scored(replace(question, stale=question.expected), answer)

    assert judged.stale is False
    assert (judged.f1 is None) is (question.answer_type not in {"set", "list"})


@given(ANSWERS, st.sampled_from(QUESTIONS))
def test_no_answer_is_both_right_and_stale(answer: str, question: AskedQuestion) -> None:
    judged = scored(replace(question, stale="14.6 billion"), answer)

    assert not (judged.correct and judged.stale)


@given(st.sampled_from(QUESTIONS))
def test_the_expected_answer_is_right_however_it_is_introduced(question: AskedQuestion) -> None:
    for frame in ("{}", "It is {} [1].", "**{}**", "Answer: {}", "- {} [1][2]\n"):
        assert scored(question, frame.format(question.expected)).correct


def test_a_tolerance_of_the_question_takes_the_place_of_the_rule() -> None:
    wide = replace(asked("number", "1,790 km"), tolerance=Decimal("0.01"))

    assert scored(wide, "1,800 km").correct
    assert not scored(wide, "1,900 km").correct
