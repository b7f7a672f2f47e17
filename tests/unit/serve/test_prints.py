"""By what a text is known: any run of it, its lines, its values, and all of it if it is short."""

from __future__ import annotations

import json
import random
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.prints import LINE_LETTERS, RUN_LETTERS, Brought, prints_of

SECRET = "The seat is Lima, with 977,431 people, as the envoy wrote from Callao in the spring [1]."
LONG = (
    "The coast is dry, and most people live in its valleys, where rivers come down from the east. "
    "Above 3,000 metres the land is cold and open; beyond it the forest begins, which covers 60 % "
    "of the country and holds a tenth of its people, most of them near the rivers of the north."
)


def is_known(text: str, said: str) -> bool:
    """Return whether something that was said is known in a text."""
    return not set(prints_of(said)).isdisjoint(Brought.of((text,)).prints)


@pytest.mark.parametrize(
    "text", ["12", "[12]", "No.", "\N{THUMBS UP SIGN}", "Yes", "\N{CYRILLIC SMALL LETTER PE}. 5"]
)
def test_the_shortest_answer_is_content_where_it_stands_alone(text: str) -> None:
    assert is_known(f" {text}\n", text)
    assert not is_known(f"Is it so?\n{text}\nThen go on.", text)


@pytest.mark.parametrize("text", [" ", "{}", "", "\n[]"])
def test_a_text_without_letters_or_symbols_is_known_by_nothing(text: str) -> None:
    assert not [*prints_of(text)]


@pytest.mark.parametrize(
    "text",
    [
        "The sources do not say.",
        "The provided sources do not contain enough information to answer the question.",
        "Sorry, I cannot answer that from the documents [1].",
    ],
)
def test_stock_words_that_nothing_was_found_hold_nothing(text: str) -> None:
    assert not [*prints_of(text)]


def test_declining_with_any_other_word_is_content() -> None:
    told = "The sources do not say whether Lima is sold."
    assert is_known(told, told)
    begun = "The provided sources do not contain enough information to answer the question."
    assert is_known(f"{begun} But Lima", f"{begun} But Lima is sold.")


@pytest.mark.parametrize(
    "text",
    [
        SECRET[:90],
        SECRET.replace(" [1]", "").replace(" ", "\n"),
        f"Translate this:\n\n> {SECRET}",
        f"{SECRET}\n(stopped)",
        SECRET.replace("Lima", "**Lima**").upper(),
        f'You said "{SECRET}", why?',
        SECRET.replace("Lima", "Lima [1](https://example.org/peru)"),
        f"User: Well?\nAssistant: {SECRET}",
        json.dumps([{"role": "assistant", "content": SECRET}]),
    ],
)
def test_a_long_text_is_known_wherever_a_run_of_it_stands(text: str) -> None:
    assert is_known(text, SECRET)


def test_a_text_is_known_without_its_beginning() -> None:
    assert is_known(f"... {LONG[70:]}", LONG)
    assert is_known(LONG[100:190], LONG)


@pytest.mark.parametrize("text", ["The seat is Lima.", "1. Lima\n2. Sucre\n3. N'Djamena"])
def test_a_text_of_some_words_is_known_on_lines_of_its_own(text: str) -> None:
    assert is_known(f"Translate this:\n\n{text}\n\nInto French.", text)
    assert not is_known(f"Translate this: {text} Please.", text)


def test_a_line_of_a_list_is_known_on_its_own_and_what_leads_in_is_not() -> None:
    said = (
        "Here is what the sources say of the country:\n"
        "- Capital and seat of the assembly: Lima, by the bay [1]\n- Area: 5"
    )
    assert is_known("Is it so?\nCapital and seat of the assembly: Lima, by the bay", said)
    assert not is_known("Here is what the sources say of the country:\n- Chad", said)
    assert not is_known("Area: 5", said)


@pytest.mark.parametrize(
    "back",
    [
        "The seat is Lima, by the bay",
        '{"page": 3, "answer": "The seat is Lima, by the bay"}',
        '{"seat": "The seat is Lima, by the bay"}',
    ],
)
def test_the_values_of_an_answer_in_json_are_known_on_their_own(back: str) -> None:
    said = '{"answer": "The seat is Lima, by the bay", "page": 3}'
    parts = (back, *(map(str, json.loads(back).values()) if back.startswith("{") else ()))
    assert any(is_known(part, said) for part in parts)


LIST = (
    "- The seat of the assembly is Lima, by the bay\n"
    "- The river \u00abUcayali\u00bb is long, and rises far in the east"
)


@pytest.mark.parametrize("said", [LIST, "\u041b\u0438\u043c\u0430 " * 20])
def test_what_json_escapes_is_known_however_often(said: str) -> None:
    once = json.dumps({"content": said})
    for text in (once, f"Sum up: {once}", f"```json\n{once}\n```", json.dumps({"a": once})):
        assert is_known(text, said)
        assert is_known(said, text)


@pytest.mark.parametrize(
    "said",
    [
        '```json\n{"answer": "The seat is Lima, by the bay", "page": 3}\n```',
        '{"answer": "The seat is Lima, by the bay", "page": 3, "note": "It',
        '{"page": 3}\n{"answer": "The seat is Lima, by the bay"}',
        '{"page": 3, "answer": "The seat is Lima, by the bay',
    ],
)
def test_values_are_known_of_json_that_is_fenced_cut_or_in_lines(said: str) -> None:
    assert is_known("The seat is Lima, by the bay.", said)


def test_the_names_of_fields_are_nothing_that_was_said() -> None:
    said = '{"the_official_name_of_the_capital": "Lima", "and_the_area_of_it": 5}'
    assert not is_known("the_official_name_of_the_capital", said)


def test_what_stands_behind_thoughts_is_known_without_them() -> None:
    thoughts = (
        "Let me look at the sources for the seat of the country, and then at all the others there."
    )
    for said in (
        f"<think>{thoughts}</think>Lima, by the bay",
        f"{thoughts}</think>\nLima, by the bay",
    ):
        assert is_known("Lima, by the bay", said)
        assert is_known(said, said)
        assert is_known(f"You thought: {thoughts}", said)
        assert is_known(f"<think>{thoughts}</think>Well.</think>Go on.", said)


def test_short_thoughts_are_known_on_lines_of_their_own() -> None:
    said = "<think>So it is Lima, by the bay.</think>Yes"
    assert is_known("You thought:\nSo it is Lima, by the bay.", said)
    assert is_known("<think>So it is Lima, by the bay.</think>", said)


@given(st.integers(0, 120), st.integers(RUN_LETTERS, 90), st.text(max_size=200), st.text())
def test_any_run_is_known_whatever_stands_around_it(
    start: int, size: int, before: str, after: str
) -> None:
    plain = "".join(letter for letter in LONG if letter.isalnum())
    run = plain[start : start + size]
    # Brackets around it could make a citation of it.
    around = [text.translate({ord("["): " ", ord("]"): " "}) for text in (before, after)]
    assert is_known(f"{around[0]} {run} {around[1]}".replace("</think>", ""), LONG)


@given(st.integers(0, 150), st.integers(1, 39))
def test_few_words_in_common_are_none(start: int, size: int) -> None:
    plain = "".join(letter for letter in LONG if letter.isalnum())
    shared = plain[start : start + size]
    other = string.ascii_uppercase * 2
    assert not is_known(f"{other[:30]}{shared}{other[30:]}", LONG)


def test_texts_of_other_words_have_no_print_in_common() -> None:
    chance = random.Random(0)
    one, other = (
        " ".join("".join(chance.choices(string.ascii_lowercase, k=6)) for _ in range(4000))
        for _ in range(2)
    )
    assert not is_known(one, other)
    assert LINE_LETTERS < RUN_LETTERS


@pytest.mark.parametrize("unit", ["a", "a b\n", "[1]", "{", "</think>", "\u0301", '"a",', "**"])
def test_time_grows_with_the_text_alone(unit: str) -> None:
    def spent(size: int) -> float:
        text = (unit * size)[:size]
        started = time.process_time()
        list(prints_of(text))
        Brought.of((text,))
        return time.process_time() - started

    # Turn about, and the least of each: what slows one down for a while slows both down.
    pairs = [(spent(20_000), spent(160_000)) for _ in range(3)]
    small, large = (min(times) for times in zip(*pairs, strict=True))
    assert large < 0.2 + 20 * small
