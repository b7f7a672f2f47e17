"""Texts become padded batches, a window at a time, and rows come back in the texts' order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.batches import BatchLimits
from retrieval.transformer import windows
from retrieval.transformer.windows import Window, prepare

LIMITS = BatchLimits(budget=40, overhead=10)
TEXTS = st.lists(st.text("ab", max_size=30), max_size=40)


class LetterTokens:
    """One token per letter, so that ids can be read."""

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]

    def ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        return [np.array([*map(ord, text)], dtype=np.int32) for text in texts]


def prepared(batches: Sequence[Sequence[str]], limits: BatchLimits = LIMITS) -> list[Window]:
    return list(prepare(batches, tokens=LetterTokens(), limits=lambda: limits))


def read(window: Window) -> list[str]:
    found = [""] * window.count
    for batch in window.batches:
        for position, ids, count in zip(batch.positions, batch.ids, batch.counts, strict=True):
            assert not ids[count:].any()
            found[position] = "".join(map(chr, ids[:count]))
    return found


@given(TEXTS)
def test_every_text_stands_in_the_window_with_its_ids(texts: list[str]) -> None:
    [window] = prepared([texts])
    assert window.last
    assert read(window) == texts
    for batch in window.batches:
        assert [texts[position] for position in batch.positions] == batch.texts
        assert len(batch) == 1 or batch.padded_count <= LIMITS.budget


@given(TEXTS)
def test_rows_come_back_in_the_order_of_the_texts(texts: list[str]) -> None:
    [window] = prepared([texts])
    rows = [np.array([[float(place)] for place in batch.positions]) for batch in window.batches]
    assert window.in_order(rows, dimension=1)[:, 0].tolist() == [*range(len(texts))]


@given(TEXTS.filter(lambda texts: len(texts) > 1))
def test_halves_hold_the_same_texts_and_pad_no_further_than_they_need(texts: list[str]) -> None:
    [window] = prepared([texts], BatchLimits(budget=10_000, overhead=10_000))
    [batch] = window.batches
    halves = batch.halves()
    assert abs(len(halves[0]) - len(halves[1])) <= 1
    assert [*halves[0].positions, *halves[1].positions] == batch.positions
    assert [*halves[0].texts, *halves[1].texts] == batch.texts
    for half in halves:
        assert half.ids.shape == (len(half), max(half.counts.max(), 1))
        for ids, text in zip(half.ids, half.texts, strict=True):
            assert "".join(map(chr, ids[: len(text)])) == text


def test_a_long_batch_becomes_windows_that_grow_and_only_its_last_one_ends_it() -> None:
    count = windows.FIRST_TEXTS + 2 * windows.FIRST_TEXTS + 1
    found = prepared([["a"] * count, ["b"], []])
    sizes = [(window.count, window.last) for window in found]
    first = windows.FIRST_TEXTS
    assert sizes == [(first, False), (2 * first, False), (1, True), (1, True), (0, True)]


def test_windows_stop_growing() -> None:
    found = prepared([["a"] * (6 * windows.MOST_TEXTS)])
    assert max(window.count for window in found) == windows.MOST_TEXTS


def test_texts_without_tokens_keep_a_column() -> None:
    [window] = prepared([["", ""]])
    assert [batch.ids.shape for batch in window.batches] == [(2, 1)]
    assert window.batches[0].counts.tolist() == [0, 0]


def test_batches_are_taken_one_by_one_and_limits_are_asked_once_there_are_texts() -> None:
    taken: list[str] = []

    def source() -> Iterator[list[str]]:
        for name in "abc":
            taken.append(name)
            yield [name]

    def limits() -> BatchLimits:
        assert taken
        return LIMITS

    found = prepare(source(), tokens=LetterTokens(), limits=limits)
    assert taken == []
    assert read(next(found)) == ["a"]
    assert taken == ["a"]


def test_no_texts_ask_for_no_limits() -> None:
    def limits() -> BatchLimits:
        pytest.fail("asked")

    assert list(prepare([], tokens=LetterTokens(), limits=limits)) == []
    [window] = prepare([[]], tokens=LetterTokens(), limits=limits)
    assert (window.count, window.batches, window.last) == (0, [], True)
