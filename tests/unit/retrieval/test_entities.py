"""Which documents a question names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.entities import NameTable
from tests.records import record

COUNTRIES = {
    "Guinea": ["Republic of Guinea"],
    "Guinea-Bissau": ["Republic of Guinea-Bissau"],
    "Equatorial Guinea": [],
    "Papua New Guinea": ["PNG"],
    "Niger": [],
    "Nigeria": [],
    "World": [],
    "Congo, Democratic Republic of the": ["DRC", "Congo (Kinshasa)"],
    "Côte d'Ivoire": ["Ivory Coast"],
    "İstanbul": [],
    "Oman": [],
    "Georgia": [],
    "Åland": [],
}

TABLE = NameTable.of([record(title, *aliases) for title, aliases in COUNTRIES.items()])


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("What is the capital of Guinea?", ["Guinea"]),
        ("What is the capital of Guinea-Bissau?", ["Guinea-Bissau"]),
        ("Is Equatorial Guinea larger than Papua New Guinea?", None),
        ("Compare Guinea, Guinea-Bissau and Equatorial Guinea", None),
        ("Does Nigeria border Niger?", ["Nigeria", "Niger"]),
        ("Is the Republic of Guinea larger than PNG?", ["Guinea", "Papua New Guinea"]),
        ("Who rules Congo (Kinshasa)?", ["Congo, Democratic Republic of the"]),
        ("How many people live in Côte d'Ivoire?", ["Côte d'Ivoire"]),
        ("What does the Ivory Coast export?", ["Côte d'Ivoire"]),
        ("Is İstanbul a country?", ["İstanbul"]),
        ("Is Georgia's coast longer than Oman's?", ["Georgia", "Oman"]),
        ("Guinea or Guinea?", ["Guinea"]),
        ("What about a Roman road?", []),
        ("", []),
        ("?!", []),
    ],
)
def test_a_question_names_documents_in_its_order(question: str, named: list[str] | None) -> None:
    expected = named if named is not None else sorted(TABLE.find(question), key=question.index)
    assert list(TABLE.find(question)) == expected


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("東京都の人口はどのくらいですか", ["東京都"]),
        ("大阪と東京都ではどちらが大きい?", ["大阪", "東京都"]),
        ("NHKは東京都にあるか", ["東京都"]),
        ("Chadと大阪", ["Chad", "大阪"]),
        ("ประชากรของประเทศไทยมีกี่คน", ["ประเทศไทย"]),
        ("भारत की राजधानी क्या है?", ["भारत"]),
        ("भारतीय", []),
        ("भारता", []),
        ("Chadian", []),
    ],
)
def test_names_are_found_in_scripts_without_spaces_and_with_marks(
    question: str, named: list[str]
) -> None:
    titles = ("東京都", "大阪", "ประเทศไทย", "भारत", "Chad")
    assert list(NameTable.of(map(record, titles)).find(question)) == named


def test_the_longest_name_wins() -> None:
    assert TABLE.find("Is Papua New Guinea near Equatorial Guinea?") == (
        "Papua New Guinea",
        "Equatorial Guinea",
    )
    assert "Guinea" not in TABLE.find("Compare Guinea-Bissau and Papua New Guinea")


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("what is the capital of guinea-bissau?", ["Guinea-Bissau"]),
        ("compare nigeria with niger", ["Nigeria", "Niger"]),
        ("WHAT IS THE CAPITAL OF OMAN", ["Oman"]),
        ("Capital of oman", ["Oman"]),
        ("can I see the capital of oman", ["Oman"]),
        ("how many people are in the world", ["World"]),
    ],
)
def test_a_question_without_capitals_may_name_in_lower_case(
    question: str, named: list[str]
) -> None:
    assert list(TABLE.find(question)) == named


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("Which country in the world is nearest to Oman?", ["Oman"]),
        ("Where in the world is Åland?", ["Åland"]),
        ("What is the population of the World?", ["World"]),
    ],
)
def test_in_a_question_with_capitals_a_name_needs_one(question: str, named: list[str]) -> None:
    assert list(TABLE.find(question)) == named


def test_a_title_belongs_to_its_own_document() -> None:
    table = NameTable.of([record("Samoa"), record("American Samoa", "Samoa", "Tutuila")])
    assert table.find("Where is Samoa?") == ("Samoa",)
    assert table.find("Where is Tutuila?") == ("American Samoa",)
    reverse = NameTable.of([record("American Samoa", "Samoa"), record("Samoa")])
    assert reverse.find("Where is Samoa?") == ("Samoa",)


def test_a_title_or_alias_of_two_documents_names_both() -> None:
    records = [
        record("Georgia", "Peach", name="country"),
        record("Georgia", "Peach", name="state"),
    ]
    table = NameTable.of(records)
    assert table.find("Where is Georgia?") == ("country", "state")
    assert table.find("Where is Peach?") == ("country", "state")


def test_names_need_two_letters_and_may_be_numbers() -> None:
    table = NameTable.of([record("A"), record(" "), record(""), record("2023"), record("B", "C")])
    assert table.find("A B C   in 2023") == ("2023",)


def test_no_documents_have_no_names() -> None:
    table = NameTable.of([])
    assert table.replace("the name of a thing", "") == "the name of a thing"
    assert table.find("Where is Oman?") == ()


def test_records_may_come_one_by_one() -> None:
    assert NameTable.of(iter([record("Oman")])).find("Oman") == ("Oman",)


def test_signs_in_names_are_no_patterns() -> None:
    table = NameTable.of([record("C++ (.*)"), record("a|b")])
    assert table.find("is C++ (.*) faster") == ("C++ (.*)",)
    assert table.find("a or b") == ()


@pytest.mark.parametrize("question", ["where is \u017famoa", "where is \u212aorea", "\u0131ran"])
def test_letters_that_only_look_alike_break_nothing(question: str) -> None:
    table = NameTable.of([record("Samoa"), record("Korea"), record("Iran")])
    assert set(table.find(question)) <= {"Samoa", "Korea", "Iran"}


@given(st.lists(st.text(max_size=6), max_size=5), st.text(max_size=30))
def test_any_titles_and_any_question_work(titles: list[str], question: str) -> None:
    table = NameTable.of([record(title) for title in titles])
    assert set(table.find(question)) <= set(titles)
    assert set(table.find(" ".join([question, *titles]))) <= set(titles)


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("How large is Hamper?", ["Hamper (Wicker Basket)"]),
        ("How large is a Wicker Basket?", ["Hamper (Wicker Basket)"]),
        ("How large is Basin?", ["The Basin"]),
        ("What does WB or WBK hold?", ["Washbowl"]),
        ("What does Bowlo hold?", ["Washbowl"]),
        ("Is it French?", []),
        ("What is As large as it?", []),
        ("Is AS large?", ["Asset Store"]),
        ("is as large as it?", []),
        ("how large is wbk?", ["Washbowl"]),
        ("Is Sink deep?", []),
    ],
)
def test_names_are_known_by_their_other_forms(question: str, named: list[str]) -> None:
    table = NameTable.of(
        [
            record("Hamper (Wicker Basket)"),
            record("The Basin"),
            record("Washbowl", "WB (or WBK)", "Bowlo (French)"),
            record("Asset Store", "AS"),
            record("Sink (steel)"),
            record("Sink (stone)"),
        ]
    )
    assert list(table.find(question)) == named


@pytest.mark.parametrize(
    "question",
    [
        "Area of C\u00f4te d\u2019Ivoire?",
        "Area of C\u00f4te d'Ivoire?",
        "Area of Co\u0302te d'Ivoire?",
        "Area of Cote d'Ivoire?",
    ],
)
def test_quotes_and_accents_are_typed_as_one_likes(question: str) -> None:
    names = NameTable.of([record("C\u00f4te d\u2019Ivoire", name="ci"), record("Chad", name="cd")])
    assert names.find(question) == ("ci",)


def test_names_in_a_script_without_capitals_count_beside_those_with() -> None:
    names = NameTable.of([record("\u65e5\u672c", name="jp"), record("Peru", name="pe")])
    assert names.find("Compare the capital of Peru and \u65e5\u672c") == ("pe", "jp")


def test_words_that_questions_are_made_of_name_nothing_unless_spelled_as_a_name() -> None:
    names = NameTable.of(
        [
            record("The Who", name="band"),
            record("World Health Organization", "WHO", name="who"),
            record("Emirates", "ARE", name="are"),
        ]
    )
    assert names.find("Who is the president of Chad?") == ()
    assert names.find("who is the president of chad?") == ()
    assert names.find("what are the exports?") == ()
    assert names.find("When did The Who begin, and what did WHO say?") == ("band", "who")


def test_abbreviations_that_are_common_words_count_in_capitals_only() -> None:
    table = NameTable.of(
        [record("Acute Lymphoblastic Leukemia", "ALL"), record("Federal Office", "FOR")]
    )
    assert table.find("list all rivers for me") == ()
    assert table.replace("list all rivers for me", "") == "list all rivers for me"
    assert table.find("What causes ALL?") == ("Acute Lymphoblastic Leukemia",)
    assert table.replace("What causes ALL?", "it") == "What causes it?"


def test_a_title_that_is_a_common_word_counts_only_as_a_name() -> None:
    table = NameTable.of([record("in"), record("It")])
    assert table.find("articles published in open format") == ()
    assert table.find("Is it in Peru?") == ()
    assert table.find("Who wrote It in Maine?") == ("It",)
