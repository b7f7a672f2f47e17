from __future__ import annotations

import pytest

from chunking.document import Chunk, Document
from serve.citations import check_citations

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


def test_a_line_break_before_a_half_true_citation_stays() -> None:
    assert checked("Lima\n[1, 99]") == ("Lima\n[1]", [1], 1)


def test_no_source_makes_every_citation_false() -> None:
    assert check_citations("Lima [1].", ()) == ("Lima.", (), 1)
