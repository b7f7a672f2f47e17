from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Chunk, Document
from retrieval.entities import NameTable
from retrieval.records import Hit
from retrieval.support import SUFFICIENT, measure_support
from tests.records import record

CHAD = "Railways - total length: 20 km\nUnemployment rate 2024: 1.1% (2024 est.)"
NIUE = "Roadways - total: 210 km\nAirports: 1 (2025)"

NAMES = NameTable.of([record("Chad"), record("Niue"), record("Peru")])


def hit(title: str, text: str, *, via: str = "question") -> Hit:
    document = Document(title, text, title, title)
    chunk = Chunk.of(document, start=0, end=len(text), path=(), position=0)
    return Hit(chunk, 0.7, via)


HITS = [hit("Niue", NIUE, via="named: Niue"), hit("Chad", CHAD)]


def supported(
    question: str, names: NameTable, hits: Sequence[Hit], *, kept: Collection[str] | None = None
) -> float:
    """Return the support of a question that there is one for."""
    support = measure_support(question, names, hits, kept=kept)
    assert support is not None
    return support


def test_a_field_that_others_have_and_the_named_document_lacks_is_not_supported() -> None:
    question = "What is the total length of railways in {}?"

    assert supported(question.format("Chad"), NAMES, HITS) == pytest.approx(1)
    assert supported(question.format("Niue"), NAMES, HITS) < SUFFICIENT


def test_a_year_that_no_line_of_the_document_bears_is_not_supported() -> None:
    question = "What was the unemployment rate of Chad in {}?"

    assert supported(question.format(2024), NAMES, HITS) == pytest.approx(1)
    assert supported(question.format(2018), NAMES, HITS) == 0


def test_a_year_is_no_part_of_a_longer_number() -> None:
    hits = [hit("Chad", "Area: 2018.5 km, 2,018,000 people and 120180 birds")]

    assert supported("What was the area of Chad in 2018?", NAMES, hits) == 0


def test_several_years_may_stand_on_lines_of_their_own() -> None:
    lines = "Unemployment rate 2024: 1.1%\nUnemployment rate 2023: 1.2%"
    hits = [hit("Chad", lines)]
    question = "What was the unemployment rate of Chad in {} and {}?"

    assert supported(question.format(2023, 2024), NAMES, hits) == pytest.approx(1)
    assert supported(question.format(2022, 2024), NAMES, hits) == 0


def test_a_year_in_a_heading_is_that_of_the_lines_below() -> None:
    text = "Population: 20 million"
    document = Document("Chad", text, "Chad", "Chad")
    chunk = Chunk.of(document, start=0, end=len(text), path=("2019",), position=0)

    assert supported("What was the population of Chad in 2019?", NAMES, [Hit(chunk, 0.7)]) == 1


@pytest.mark.parametrize(
    "question",
    ["What is the blockchain strategy of Chad?", "zzzz qqqq of Chad", "How many?", "???"],
)
def test_a_topic_that_nothing_tells_of_is_not_supported(question: str) -> None:
    assert supported(question, NAMES, HITS) == 0


@pytest.mark.parametrize("word", ["dry", "spy", "caf\u00e9"])
def test_words_whose_stem_is_spelled_otherwise_are_found(word: str) -> None:
    assert supported(f"Is it {word}?", NAMES, [hit("a", f"It is {word} there.")]) == 1


def test_a_line_that_the_prompt_holds_counts_however_low_it_stood() -> None:
    hits = [*(hit(f"d{n}", "Roadways: none") for n in range(90)), hit("Chad", CHAD)]
    kept = {one.chunk.id for one in hits}
    question = "What is the total length of railways in Chad?"

    assert supported(question, NAMES, hits, kept=kept) == pytest.approx(1)


def test_only_what_the_prompt_holds_counts_but_what_else_was_found_is_compared_with() -> None:
    question = "What is the total length of railways in Chad?"
    chad, niue = HITS[1].chunk.id, HITS[0].chunk.id

    assert supported(question, NAMES, HITS, kept={chad, niue}) == pytest.approx(1)
    assert supported(question, NAMES, HITS, kept={niue}) == 0
    assert supported(question, NAMES, HITS, kept=()) == 0


def test_a_document_that_a_name_led_to_is_the_one_asked_about() -> None:
    question = "How many airports has the country governed from Alofi?"
    led = [hit("Niue", f"Capital: Alofi\n{NIUE}", via="bridge: Alofi"), *HITS[1:]]
    astray = [hit("Chad", CHAD, via="bridge: Alofi"), hit("Niue", NIUE)]

    assert supported(question, NAMES, led) > supported(question, NAMES, astray)


def test_a_document_that_the_filter_keeps_out_supports_nothing() -> None:
    assert supported("What is the area of Peru?", NAMES, HITS) == 0


def test_a_question_that_names_nothing_is_supported_by_the_words_of_the_first_hit() -> None:
    texts = ["Aspirin lowers the risk of stroke.", "Cats sleep for most of the day."]
    hits = [hit("a", texts[0]), hit("b", texts[1])]

    whole = supported("Does aspirin lower the risk of stroke?", NAMES, hits)
    part = supported("Does aspirin raise the risk of gout?", NAMES, hits)

    assert whole == pytest.approx(1)
    assert part < SUFFICIENT < whole


def test_years_asked_for_without_a_name_may_stand_in_a_hit_each() -> None:
    texts = {
        year: f"Allowance {year}\nThe home allowance changed to {year - 1400}."
        for year in (2023, 2025)
    }
    hits = [hit(f"d{year}", text) for year, text in texts.items()]
    question = "How has the home allowance changed from {} to {}?"

    assert supported(question.format(2023, 2025), NAMES, hits) > SUFFICIENT
    assert supported("What is the home allowance in 2025?", NAMES, hits) > SUFFICIENT
    assert supported(question.format(2023, 2024), NAMES, hits) == 0


def test_headings_of_the_first_hit_count_and_words_of_other_scripts_are_read() -> None:
    hits = [hit("Perú", "Superficie: 1.285.216 km²\nLa población es de 34 millones")]

    assert supported("la población de Perú", NAMES, hits) > 0.5


def test_nothing_found_supports_nothing() -> None:
    assert supported("What is the area of Chad?", NAMES, []) == 0
    assert supported("", NameTable.of([]), []) == 0


@given(
    question=st.text(max_size=60),
    texts=st.lists(st.text(max_size=80), max_size=4),
)
def test_whatever_is_asked_and_found_the_support_lies_between_none_and_all(
    question: str, texts: list[str]
) -> None:
    hits = [hit("Chad", text) for text in texts if text]

    support = measure_support(question, NAMES, hits)
    assert support is None or 0 <= support <= 1


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("Какова площадь Чада?", CHAD),
        ("Какова площадь Чада?", "Площадь: 1 284 000 кв. км"),
        ("チャドの面積は", CHAD),
        ("What is the area of Chad?", "Площадь: 1 284 000 кв. км"),
    ],
)
def test_nothing_is_said_of_words_in_other_letters(question: str, text: str) -> None:
    assert measure_support(question, NAMES, [hit("Chad", text)]) is None
    assert measure_support(question, NAMES, []) == 0


def test_some_words_in_other_letters_keep_a_question_from_nothing() -> None:
    hits = [hit("Chad", "Capital: N'Djamena (انجمينا, Нджамена)")]

    assert supported("What is the capital of Chad (Чад)?", NAMES, hits) > SUFFICIENT
