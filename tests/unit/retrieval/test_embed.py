"""What only the hash embedder promises; the rest is in the contract of all embedders."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from retrieval import embed
from retrieval.embed import HashEmbedder


def test_vectors_are_the_same_in_every_process() -> None:
    code = (
        "from retrieval.embed import HashEmbedder; print(HashEmbedder(8).embed(['a b c']).tolist())"
    )
    root = Path(embed.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(HashEmbedder(8).embed(["a b c"]).tolist())


def test_texts_that_share_words_are_nearer_than_those_that_do_not() -> None:
    question, near, far = HashEmbedder(256).embed(
        ["internet users of India", "India has many internet users", "copper is mined in Peru"]
    )
    assert question @ near > question @ far + 0.3


def test_neither_case_nor_the_order_of_words_matters() -> None:
    first, second = HashEmbedder().embed(["Internet Users", "users internet"])
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_a_text_without_words_is_the_first_unit_vector(text: str) -> None:
    assert HashEmbedder(4).embed([text]).tolist() == [[1, 0, 0, 0]]


@pytest.mark.parametrize(
    ("text", "count"), [("", 2), ("one two", 4), ("one, two!", 6), ("N'Djamena", 5), ("🙂", 3)]
)
def test_words_and_marks_are_counted_and_both_ends(text: str, count: int) -> None:
    assert HashEmbedder().count_tokens([text]) == [count]


def test_the_name_tells_the_dimension() -> None:
    assert HashEmbedder(7).name == "hash:7"


def test_a_stream_is_embedded_batch_by_batch_as_it_comes() -> None:
    taken: list[str] = []

    def source() -> Iterator[list[str]]:
        for text in ("one two", "three"):
            taken.append(text)
            yield [text, text]

    stream = HashEmbedder(8).embed_stream(source())
    assert taken == []
    np.testing.assert_array_equal(next(stream), HashEmbedder(8).embed(["one two"] * 2))
    assert taken == ["one two"]
    assert len(list(stream)) == 1
