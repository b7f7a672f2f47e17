"""Ids that depend on content alone, and chunks that are spans of their document."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.document import (
    Chunk,
    Document,
    Section,
    common_path,
    content_id,
    identified,
    join_headings,
)

DOCUMENT = Document(
    "india.json",
    "Communications\nInternet users: 56%\n",
    "India",
    "factbook/india.json",
    sections=(Section(("Communications", "Internet users"), 15, 34),),
    aliases=("Republic of India",),
)
PATHS = st.lists(st.lists(st.sampled_from("abc")).map(tuple), min_size=1)


def test_an_id_is_32_hexadecimal_digits_and_never_changes() -> None:
    assert content_id("India", "Communications") == "f70156111a32a9a6653f13b455685a1e"


@given(st.lists(st.text()), st.lists(st.text()))
def test_ids_are_equal_only_for_equal_parts(first: list[str], second: list[str]) -> None:
    assert (content_id(*first) == content_id(*second)) == (first == second)


def test_parts_of_an_id_do_not_run_together() -> None:
    assert content_id("ab", "c") != content_id("a", "bc") != content_id("abc")


def test_an_unpaired_surrogate_has_an_id_too() -> None:
    assert content_id("\ud800") != content_id("\ufffd")


@pytest.mark.parametrize(
    "change",
    [
        {"id": "other.json"},
        {"text": DOCUMENT.text + "."},
        {"title": "Bharat"},
        {"aliases": ()},
        {"sections": ()},
        {"sections": (Section(("Communications",), 15, 34),)},
        {"sections": (Section(("Communications", "Internet users"), 15, 33),)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_a_chunk_is_made_from_changes_the_version(change: dict[str, object]) -> None:
    assert replace(DOCUMENT, **change).version != DOCUMENT.version  # type: ignore[arg-type]


def test_a_moved_source_leaves_the_version_as_it_was() -> None:
    moved = replace(DOCUMENT, source="elsewhere/india.json")
    assert moved.version == DOCUMENT.version


def test_a_chunk_is_a_span_under_a_breadcrumb() -> None:
    chunk = Chunk.of(DOCUMENT, start=15, end=34, path=("Communications",), position=0)
    assert chunk.text == DOCUMENT.text[15:34] == "Internet users: 56%"
    assert chunk.breadcrumb == "India > Communications"
    assert chunk.embedded_text == "India > Communications\nInternet users: 56%"
    assert (chunk.document, chunk.title) == ("india.json", "India")


def test_an_outermost_heading_that_is_the_title_stands_once() -> None:
    assert join_headings("India", ()) == "India"
    assert join_headings("India", ("India",)) == "India"
    assert join_headings("India", ("India", "India", "Area")) == "India > India > Area"
    assert join_headings("India", ("Area", "India")) == "India > Area > India"


def test_equal_texts_at_two_places_are_two_chunks() -> None:
    document = replace(DOCUMENT, text="same\nsame\n", sections=())
    first = Chunk.of(document, start=0, end=4, path=(), position=0)
    second = Chunk.of(document, start=5, end=9, path=(), position=1)
    first, second = identified([first, second], splitter="lines")
    assert first.text == second.text
    assert first.id != second.id
    assert identified([first], splitter="lines") != identified([first], splitter="words")


def test_the_id_of_a_chunk_does_not_depend_on_what_stands_before_or_after_it() -> None:
    longer = replace(DOCUMENT, text=DOCUMENT.text + "more\n")
    moved = replace(DOCUMENT, text="more\n" + DOCUMENT.text)
    ids = {Chunk.of(d, start=0, end=5, path=(), position=0).id for d in (DOCUMENT, longer)}
    assert ids == {Chunk.of(moved, start=5, end=10, path=(), position=1).id}


@given(PATHS)
def test_the_common_path_is_the_longest_that_all_begin_with(paths: list[tuple[str, ...]]) -> None:
    shared = common_path(paths)
    assert all(path[: len(shared)] == shared for path in paths)
    longer = {path[: len(shared) + 1] for path in paths}
    assert shared in longer or len(longer) > 1
