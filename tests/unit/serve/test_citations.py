from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Chunk, Document
from serve.citations import CitationCheck, check_citations, find_markers

PERU = Document(id="peru.md", text="Capital: Lima. Area: large.", title="Peru", source="peru.md")
KEPT = (
    Chunk.of(PERU, start=0, end=14, path=("Government",), position=0),
    Chunk.of(PERU, start=15, end=27, path=(), position=1),
)


def checked(answer: str) -> tuple[str, list[int], int]:
    text, citations, removed = check_citations(answer, KEPT)
    return text, [citation.marker for citation in citations], removed


def test_a_true_citation_stays_and_tells_where_the_text_stands() -> None:
    text, (citation,), removed = check_citations("Lima [1].", KEPT)

    assert (text, removed) == ("Lima [1].", 0)
    assert (citation.document, citation.title) == ("peru.md", "Peru")
    assert citation.breadcrumb == "Peru > Government"
    assert citation.text == PERU.text[citation.start : citation.end] == "Capital: Lima."
    assert citation.chunk == KEPT[0].id


@pytest.mark.parametrize(
    ("answer", "text", "markers", "removed"),
    [
        ("No source.", "No source.", [], 0),
        ("Lima [1][2].", "Lima [1][2].", [1, 2], 0),
        ("Lima [1, 2].", "Lima [1, 2].", [1, 2], 0),
        ("Lima [2], then [1].", "Lima [2], then [1].", [1, 2], 0),
        ("Lima [1] and [1].", "Lima [1] and [1].", [1], 0),
        ("Lima [3].", "Lima.", [], 1),
        ("Lima [0].", "Lima.", [], 1),
        ("Lima [1][9].", "Lima [1].", [1], 1),
        ("Lima [1, 99].", "Lima [1].", [1], 1),
        ("Lima [98, 99].", "Lima.", [], 2),
        ("Lima [99]\nis large [2].", "Lima\nis large [2].", [2], 1),
        ("[7] Lima", " Lima", [], 1),
    ],
)
def test_false_citations_are_removed_and_counted(
    answer: str, text: str, markers: list[int], removed: int
) -> None:
    assert checked(answer) == (text, markers, removed)


@pytest.mark.parametrize("answer", ["a [b] c", "[]", "[1]", "x[1", "[-1]", "[1.5]", "[12345]"])
def test_brackets_that_cite_nothing_are_left_as_they_are(answer: str) -> None:
    text, _, removed = checked(answer)

    assert (text, removed) == (answer, 0)


@pytest.mark.parametrize(
    ("answer", "text", "markers", "removed"),
    [
        ("It is `x = a[0] + b[10]` [9].", "It is `x = a[0] + b[10]`.", [], 1),
        ("```\nx = [7, 8]\n\ny[9]\n```\nLima [9].", "```\nx = [7, 8]\n\ny[9]\n```\nLima.", [], 1),
        ("`` a ` b[9] `` and [9]", "`` a ` b[9] `` and", [], 1),
        ("`a[1]` and [2]", "`a[1]` and [2]", [1, 2], 0),
        ("An open ` [9]\nends [9] there", "An open ` [9]\nends there", [], 1),
        ("Hawai`i [9] is large.", "Hawai`i is large.", [], 1),
        ("Lima[1] and Lima[9].", "Lima[1] and Lima.", [1], 1),
    ],
)
def test_code_between_backticks_keeps_its_brackets(
    answer: str, text: str, markers: list[int], removed: int
) -> None:
    assert checked(answer) == (text, markers, removed)


def test_markers_are_as_wide_as_the_highest_one_needs() -> None:
    many = CitationCheck(range(1, 12_001))
    shard = CitationCheck(range(1, 10), highest=12_000)

    assert many.feed("a [11999] b [12001].") == "a [11999] b."
    assert (many.cited, many.removed) == ({11_999}, 1)
    assert shard.feed("a [3] b [11999].") == "a [3] b."
    assert [marker for marker, _, _ in find_markers("a [11999] b", {11_999})] == [11_999]


def test_a_line_break_before_a_half_true_citation_stays() -> None:
    assert checked("Lima\n[1, 99]") == ("Lima\n[1]", [1], 1)


def test_no_source_makes_every_citation_false() -> None:
    assert check_citations("Lima [1].", ()) == ("Lima.", (), 1)


MARKED = st.lists(
    st.sampled_from(
        [
            "[",
            "]",
            "1",
            "2",
            "99",
            "12345",
            ",",
            " ",
            "\n",
            "a",
            "[1]",
            " [9, 2]",
            "\u3000",
            "`",
            "``",
        ]
    ),
    max_size=40,
).map("".join)


@given(text=MARKED, cuts=st.lists(st.integers(0, 200)))
def test_however_a_text_is_cut_the_same_citations_are_removed(text: str, cuts: list[int]) -> None:
    check = CitationCheck(range(1, len(KEPT) + 1))
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(places)]

    streamed = "".join([*map(check.feed, pieces), check.finish()])

    whole, citations, removed = check_citations(text, KEPT)
    assert (streamed, check.removed) == (whole, removed)
    assert check.cited == {citation.marker for citation in citations}


@given(text=MARKED)
def test_text_is_held_back_only_while_it_may_become_a_marker(text: str) -> None:
    check = CitationCheck(range(1, len(KEPT) + 1))
    released = "".join(check.feed(letter) for letter in text)
    held = check.finish()

    assert len(held) <= 160
    assert not held or held[0] == "[" or held[0].isspace()
    assert "]" not in held
    assert released + held == check_citations(text, KEPT)[0]


def test_a_cited_text_names_only_kept_markers() -> None:
    text, citations, _ = check_citations("a [1] b [99] c [2, 98] d [1][2]", KEPT)

    assert {int(number) for number in re.findall(r"\d+", text)} == {1, 2}
    places = list(find_markers(text, {citation.marker for citation in citations}))
    assert [text[start:end] for _, start, end in places] == ["[1]", "[2]", "[1]", "[2]"]
