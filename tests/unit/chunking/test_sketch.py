from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Chunk, Document
from chunking.duplicates import find_duplicates
from chunking.sketch import Sketch, Wording, near_duplicates, sketch_of

TEXT = (
    "The country has a long coast and many rivers, most of which rise in the mountains of the east "
    "and reach the sea after 1,200 kilometres. Rain falls from May to October, and the harvest "
    "depends on it in every province but one, where water is brought by a canal from Lima."
)


def chunk(
    text: str = TEXT, *, title: str = "Peru", path: tuple[str, ...] = ("Geography",)
) -> Chunk:
    document = Document(title, text, title, "s")
    return Chunk.of(document, start=0, end=len(text), path=path, position=0)


@pytest.mark.parametrize(
    "other",
    [
        chunk(TEXT.replace("many rivers", "several rivers")),
        chunk(TEXT.upper()),
        chunk(title="Peru (1)"),
    ],
    ids=["a word", "case", "a numbered copy"],
)
def test_texts_that_differ_in_a_few_words_share_a_key(other: Chunk) -> None:
    assert set(sketch_of(chunk())) & set(sketch_of(other))


def test_a_text_that_differs_in_a_word_is_a_near_duplicate() -> None:
    for other in (chunk(TEXT.replace("many rivers", "several rivers")), chunk(title="Peru (1)")):
        assert near_duplicates(Wording.of(chunk()), Wording.of(other))


@pytest.mark.parametrize(
    "other",
    [
        chunk(TEXT.replace("1,200", "1,300")),
        chunk(TEXT.replace("Lima", "Cusco")),
        chunk(title="Chad"),
        chunk(path=("Economy",)),
        chunk("Another text of another country, with hills and lakes " * 4),
    ],
    ids=["number", "name", "title", "heading", "text"],
)
def test_texts_that_differ_in_a_number_a_name_or_a_heading_state_other_facts(other: Chunk) -> None:
    assert not near_duplicates(Wording.of(chunk()), Wording.of(other))


def test_a_number_or_heading_that_differs_gives_other_keys() -> None:
    for other in (chunk(TEXT.replace("1,200", "1,300")), chunk(path=("Economy",))):
        assert not set(sketch_of(chunk())) & set(sketch_of(other))


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("a1 _-\u0663\u00e9\u0301"))))
def test_the_numbers_of_a_text_are_its_words_with_a_digit(text: str) -> None:
    words = re.findall(r"\w+", text)
    with_digit = tuple(word for word in words if any(map(str.isdecimal, word)))
    assert Wording.of(chunk(f"{text} ")).numbers == with_digit


def test_a_long_word_takes_time_by_its_length_alone() -> None:
    def spent(size: int) -> float:
        text = "a" * size + " of a text" * 20
        started = time.process_time()
        sketch_of(chunk(text))
        return time.process_time() - started

    pairs = [(spent(100_000), spent(800_000)) for _ in range(3)]
    small, large = (min(times) for times in zip(*pairs, strict=True))
    assert large < 0.1 + 20 * small


def test_a_short_text_has_no_near_duplicates() -> None:
    assert sketch_of(chunk("Capital: Lima")) == ()


def test_a_sketch_depends_on_the_text_alone() -> None:
    assert sketch_of(chunk()) == sketch_of(chunk())
    assert len(set(sketch_of(chunk()))) == 4


def test_a_text_under_many_numbered_titles_repeats_the_first_of_them() -> None:
    class Reading:
        reads = 0

        def __init__(self, found: Chunk) -> None:
            self.found, self.sketch, self.origin = found, sketch_of(found), ""

        @property
        def chunk(self) -> Chunk:
            Reading.reads += 1
            return self.found

    numbered = [Reading(chunk(title=f"Peru ({number})")) for number in range(200)]
    changed = Reading(chunk(TEXT.replace("many rivers", "several rivers"), title="Peru (200)"))

    found = find_duplicates([*numbered, changed])

    assert found == dict.fromkeys(range(1, 201), (0,))
    assert Reading.reads < 1000  # not one for each pair


def test_an_exact_copy_is_found_whether_it_has_a_sketch_or_not() -> None:
    class Plain:
        def __init__(self, *, sketch: Sketch) -> None:
            self.chunk, self.sketch, self.origin = chunk(), sketch, ""

    pair = [Plain(sketch=sketch_of(chunk())), Plain(sketch=())]
    assert find_duplicates(pair) == {1: (0,)}
    assert find_duplicates(pair[::-1]) == {1: (0,)}
