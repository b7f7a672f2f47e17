"""Words of chunks and questions become the same terms, for ever."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Chunk
from retrieval.terms import Terms, chunk_terms, question_terms, split_words

FILLER = " ".join(f"filler{number}" for number in range(100))


def chunk(text: str, *, title: str = "", path: tuple[str, ...] = ()) -> Chunk:
    return Chunk("0" * 32, "d", title, path, 0, len(text), text, 0)


def weight_of(word: str, terms: Terms) -> float:
    [index] = question_terms(word).indices
    return dict(zip(terms.indices, terms.weights, strict=True)).get(index, 0.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Rivers of the MALI river", ["river", "mali", "river"]),
        ("What is the capital?", ["capit"]),
        ("India's exports; the states' duties", ["india", "export", "state", "duti"]),
        ("Straße STRASSE", ["strass", "strass"]),
        ("São Tomé, Sao Tome", ["sao", "tome", "sao", "tome"]),
        ("\ufb01nance \uff12\uff10\uff12\uff15", ["financ", "2025"]),
        ("COVID-19 in 2025", ["covid", "19", "2025"]),
        ("1,284,000", ["1284000", "1", "284", "000"]),
        ("1284000", ["1284000"]),
        ("3.14", ["3.14", "3", "14"]),
        ("1,5 or 12,34", ["1,5", "1", "5", "12,34", "12", "34"]),
        ("max_tokens", ["max_tokens", "max", "token"]),
        ("人口密度 2025年", ["人口", "口密", "密度", "2025", "年"]),
        ("ไทย 2025 ลาว", ["ไท", "ทย", "2025", "ลา", "าว"]),
        ("កម្ពុជា", ["កម", "ម្", "្ព", "ពុ", "ុជ", "ជា"]),
        ("हिन्दी भाषा தமிழ்", ["हिन्दी", "भाषा", "தமிழ்"]),
        ("أَيْضًا أيضا", ["ايضا", "ايضا"]),
        ("\u2764\ufe0f 1\ufe0f\u20e3 b\u20dd", ["1", "b"]),
        ("redpaper\u2122 Ab_c\u0301", ["redpaperTM", "ab_c", "ab", "c"]),
        ("한국의 인구", ["한국의", "인구"]),
        ("Население, населения городов", ["населен", "населен", "город"]),
        ("Чёрный черный Край и\u0301", ["черн", "черн", "кра", "и"]),
        ("πληθυσμός πληθυσμού", ["πληθυσμ", "πληθυσμ"]),
        ("the of and", []),
        ("", []),
        ("*** _ ...", []),
    ],
)
def test_a_text_is_split_into_these_words(text: str, words: list[str]) -> None:
    assert list(split_words(text)) == words


def test_these_terms_never_change() -> None:
    """A change here is a new scheme: rename TERMS_SCHEME, so that old indexes are refused."""
    made = chunk_terms(chunk("Area: 1,284,000 sq km", title="Chad", path=("Geography",)))
    in_fields = (1.680672287940979, 1.614086627960205)
    assert made == Terms(
        (
            *(520163328, 682632731, 1067921934, 1833409535, 2376697876),
            *(2866188218, 3809987376, 4062410509, 4237569031),
        ),
        tuple(in_fields[place] for place in (0, 1, 1, 1, 0, 1, 1, 1, 1)),
    )


def test_a_number_is_found_as_it_is_written_and_in_parts() -> None:
    stored = chunk_terms(chunk("Area: 1,284,000 sq km in 2025"))
    for asked in ("1,284,000", "1284000", "284", "2025"):
        assert set(question_terms(asked).indices) & set(stored.indices), asked
    assert not set(question_terms("28").indices) & set(stored.indices)


def test_a_word_of_the_title_weighs_more_than_one_of_a_long_text() -> None:
    made = chunk_terms(chunk(f"rivers {FILLER}", title="Chad"))
    assert weight_of("Chad", made) > weight_of("rivers", made)


def test_a_word_weighs_less_in_a_longer_text_whatever_the_other_fields_hold() -> None:
    short, long = chunk("rivers"), chunk(f"rivers {FILLER}")
    assert weight_of("rivers", chunk_terms(short)) > weight_of("rivers", chunk_terms(long))
    titled = chunk_terms(replace(short, title="Chad", path=("Geography", "Water")))
    assert weight_of("rivers", titled) == weight_of("rivers", chunk_terms(short))


def test_repeating_a_word_adds_less_and_less() -> None:
    weights = [weight_of("rivers", chunk_terms(chunk("rivers " * n + FILLER))) for n in range(1, 9)]
    steps = np.diff(weights)
    assert (steps > 0).all()
    assert (np.diff(steps) < 0).all()
    assert weights[-1] < 2.2


def test_a_word_in_several_fields_counts_in_each() -> None:
    once = weight_of("rivers", chunk_terms(chunk(f"rivers {FILLER}")))
    twice = weight_of("rivers", chunk_terms(chunk(f"rivers {FILLER}", path=("Rivers",))))
    assert twice > once


def test_a_question_weighs_words_by_how_often_they_stand_there() -> None:
    asked = question_terms("rivers and rivers of Mali")
    assert weight_of("rivers", asked) == 2
    assert weight_of("Mali", asked) == 1


@given(st.text(), st.text(max_size=20))
def test_terms_of_any_text_are_sorted_unique_positive_and_equal_each_time(
    text: str, title: str
) -> None:
    made = chunk_terms(chunk(text, title=title, path=(title, text[:9])))
    assert list(made.indices) == sorted(set(made.indices))
    assert all(0 <= index < 2**32 for index in made.indices)
    assert all(0 < weight < 2.2 for weight in made.weights)
    assert list(made.weights) == np.asarray(made.weights, dtype=np.float32).tolist()
    assert made == chunk_terms(chunk(text, title=title, path=(title, text[:9])))
    assert set(question_terms(text).indices) <= set(made.indices)


@given(st.text())
def test_case_does_not_count(text: str) -> None:
    assert question_terms(text) == question_terms(text.casefold())


def test_many_threads_stem_as_one_does() -> None:
    words = [f"{stem}{number}ations" for number in range(300) for stem in ("un", "re", "pro")]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(question_terms, words * 4))
    assert found == [question_terms(word) for word in words * 4]
