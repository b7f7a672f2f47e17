"""The laws of splitting, for any text, any sections and any way of counting tokens."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Chunk, Document, Section
from chunking.errors import UnreadableDocument
from chunking.sections import markdown_sections
from chunking.split import Measure, Splitter
from ingest.factbook import factbook_files
from tests.measures import ODD_TEXTS, seamed_measures
from tests.weights import real_embedder

FACTBOOK = Path(os.environ.get("WINDOWFIT_FACTBOOK", ".cache/data/factbook")).absolute()
SPECIAL = 2


def words(texts: Sequence[str]) -> list[int]:
    """Count words and marks, as simple tokenizers do: parts add up across spaces."""
    return [len(re.findall(r"\w+|[^\w\s]", text)) + SPECIAL for text in texts]


def characters(texts: Sequence[str]) -> list[int]:
    return [len(text) + SPECIAL for text in texts]


def data_bytes(texts: Sequence[str]) -> list[int]:
    """Count bytes: one character is up to four tokens."""
    return [len(text.encode("utf-8", "surrogatepass")) + SPECIAL for text in texts]


def runs(texts: Sequence[str]) -> list[int]:
    """Count runs of one character, which is fewer than the sum of the parts where runs join."""
    return [len(re.findall(r"(.)\1*", text, re.DOTALL)) + SPECIAL for text in texts]


def growing(texts: Sequence[str]) -> list[int]:
    """Count more for a text than for its parts: the longer it is, the more a word weighs."""
    return [int(len(text.split()) ** 1.3 + len(text) ** 0.9) + SPECIAL for text in texts]


SEAMED = list(seamed_measures().values())


def nothing(texts: Sequence[str]) -> list[int]:
    """Count a text that is unreadable as a whole, as tokenizers with an unknown token may."""
    return [SPECIAL] * len(texts)


MEASURES: list[Measure] = [words, characters, data_bytes, runs, growing, nothing, *SEAMED]
SIZES = st.integers(16, 80).flatmap(lambda size: st.tuples(st.just(size), st.integers(size, 100)))
SPLITTERS = st.builds(
    lambda measure, sizes: Splitter(measure, size=sizes[0], limit=sizes[1]),
    st.sampled_from(MEASURES),
    SIZES,
)
CODE_POINTS = st.lists(st.integers(0, 0x10FFFF).map(chr), max_size=80).map("".join)
PROSE = st.lists(
    st.sampled_from(
        [
            "word",
            "another one",
            "Sentence. Next one!",
            "a; b: c, d",
            "x" * 150,
            "東京都の人口は約千四百万人である。" * 6,
            "👩‍👩‍👧‍👦🇮🇳" * 20,
            "e\u0301",
            "\n",
            "\n\n",
            "\t \u00a0\u2028",
            "12,345.67",
            "\n| Country | Area | Population |\n|--|--|--|\n| Chad | 1 |\n| Niger | 2 |\n",
            f"\n{' | '.join(['name'] * 40)}\n{'|'.join(['-'] * 40)}\n{'1 | ' * 40}\n1 | 2\n",
            "\n```\ndef f():\n    # one\n\n    two\n\ndef g():\n",
        ]
    ),
    max_size=30,
).map(" ".join)
TEXTS = st.text(max_size=300) | CODE_POINTS | PROSE | ODD_TEXTS
HEADINGS = st.sampled_from(
    ["A", "Communications", "A heading of several words", "", "長い見出し" * 9]
)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Any text under any disjoint sections in order, with gaps between them, or under none."""
    text = draw(TEXTS)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    sections = tuple(
        Section(tuple(draw(st.lists(HEADINGS, max_size=3))), start, end)
        for start, end in list(pairwise(cuts))[:: draw(st.integers(1, 2))]
    )
    title = draw(st.sampled_from(["", "India", "A title as long as a sentence, or longer. " * 5]))
    return Document("id", text, title, "source", sections=sections)


def embedded_bytes(chunk: Chunk) -> int:
    return len(chunk.embedded_text.encode("utf-8", "surrogatepass"))


def covered(document: Document, chunks: Sequence[Chunk]) -> bool:
    """Return whether the chunks hold every visible character of the document's sections."""
    inside = {place for chunk in chunks for place in range(chunk.start, chunk.end)}
    sections = document.sections or (Section((), 0, len(document.text)),)
    return all(
        place in inside
        for section in sections
        for place in range(section.start, section.end)
        if not document.text[place].isspace()
    )


class TestLaws:
    @given(document=documents(), splitter=SPLITTERS)
    def test_chunks_are_spans_disjoint_and_in_order(
        self, document: Document, splitter: Splitter
    ) -> None:
        chunks = splitter.split(document)
        assert all(chunk.text == document.text[chunk.start : chunk.end] for chunk in chunks)
        assert all(chunk.text.strip() for chunk in chunks)
        assert all(before.end <= after.start for before, after in pairwise(chunks))
        assert [chunk.position for chunk in chunks] == list(range(len(chunks)))

    @given(document=documents(), splitter=SPLITTERS)
    def test_chunks_cover_every_visible_character_of_the_sections(
        self, document: Document, splitter: Splitter
    ) -> None:
        assert covered(document, splitter.split(document))

    @given(document=documents(), splitter=SPLITTERS)
    def test_no_chunk_with_its_breadcrumb_exceeds_the_limit(
        self, document: Document, splitter: Splitter
    ) -> None:
        chunks = splitter.split(document)
        counts = splitter.measure([chunk.embedded_text for chunk in chunks])
        assert max(counts, default=0) <= splitter.limit

    @given(document=documents(), splitter=SPLITTERS)
    def test_no_chunk_has_more_than_eight_bytes_for_each_token_of_the_limit(
        self, document: Document, splitter: Splitter
    ) -> None:
        [special] = splitter.measure([""])
        longest = 8 * (splitter.limit - special) + 7
        assert max(map(embedded_bytes, splitter.split(document)), default=0) <= longest

    @given(document=documents(), splitter=SPLITTERS)
    def test_ids_are_unique_and_the_same_each_time(
        self, document: Document, splitter: Splitter
    ) -> None:
        chunks = splitter.split(document)
        assert len({chunk.id for chunk in chunks}) == len(chunks)
        assert splitter.split(replace(document)) == chunks


@given(document=documents(), measure=st.sampled_from(SEAMED), sizes=SIZES)
def test_chunks_by_words_are_those_by_whole_texts(
    document: Document, measure: Measure, sizes: tuple[int, int]
) -> None:
    def plain(texts: Sequence[str]) -> list[int]:
        return measure(texts)

    size, limit = sizes
    by_words, by_texts = (Splitter(m, size=size, limit=limit) for m in (measure, plain))
    assert split_or_refuse(by_words, document) == split_or_refuse(by_texts, document)


def split_or_refuse(splitter: Splitter, document: Document) -> tuple[Chunk, ...] | str:
    """Return the chunks; of a document that cannot be split, why."""
    try:
        return splitter.split(document)
    except UnreadableDocument as error:
        return error.message


def split(text: str, *, measure: Measure = words, size: int = 20, title: str = "T") -> list[Chunk]:
    document = Document("id", text, title, "source", sections=markdown_sections(text))
    return list(Splitter(measure, size=size, limit=size).split(document))


@pytest.mark.parametrize("text", ["", " ", "\n\n\t\u2028", "\u00a0"])
def test_a_blank_text_has_no_chunks(text: str) -> None:
    assert split(text) == []


def test_a_short_text_is_one_chunk() -> None:
    [chunk] = split("  One sentence. Another.\n")
    assert chunk.text == "One sentence. Another."


def test_a_long_text_is_cut_between_sentences() -> None:
    sentences = [f"The number {word} stands in here." for word in "one two three four five".split()]
    chunks = split(" ".join(sentences))
    assert len(chunks) > 1
    assert all(chunk.text.endswith(".") for chunk in chunks)


def test_a_long_sentence_is_cut_at_clauses_then_commas_then_words() -> None:
    clauses = split("; ".join(["one two three four five six seven"] * 5))
    assert all(chunk.text.startswith("one") for chunk in clauses)
    commas = split(", ".join(["one two three four five six seven"] * 5))
    assert all(chunk.text.startswith("one") for chunk in commas)
    plain = split(" ".join(["word"] * 100))
    assert {word for chunk in plain for word in chunk.text.split()} == {"word"}


def test_a_word_longer_than_the_limit_is_cut_into_pieces_near_the_size() -> None:
    chunks = split("x" * 1000, measure=characters, size=100)
    assert "".join(chunk.text for chunk in chunks) == "x" * 1000
    assert len(chunks) <= 1000 / 40


@pytest.mark.parametrize(
    "text",
    [
        "f0e1d2c3b4a59687" * 1000,
        "ประเทศไทยมีประชากรประมาณเจ็ดสิบล้านคน" * 100,
        "ប្រទេសកម្ពុជា មានប្រជាជន " * 200,
        "🎉" * 4000,
        "one" + "\n" * 9000 + "two",
        "one" + " " * 9000 + "two",
        "\u200b" * 9000,
    ],
)
def test_what_the_embedder_cannot_read_is_cut_into_chunks_that_prompts_have_room_for(
    text: str,
) -> None:
    """Real word pieces: [UNK], one token, is each of these words, and white space is nothing."""
    embedder = real_embedder()
    document = Document("id", text, text, "source", sections=())
    chunks = Splitter(embedder.count_tokens).split(document)
    assert max(map(embedded_bytes, chunks)) <= 8 * 256
    assert len(chunks[0].title.encode()) <= 8 * 100
    assert covered(document, chunks)


def test_a_text_without_spaces_is_cut() -> None:
    text = "東京都は日本の首都である" * 200
    chunks = split(text, measure=characters, size=100)
    assert "".join(chunk.text for chunk in chunks) == text


def test_a_sections_text_stays_whole_where_it_fits() -> None:
    chunks = split("# A\n" + "a " * 9 + "\n# B\n" + "b " * 9 + "\n# C\nc\n")
    assert [chunk.path for chunk in chunks] == [("A",), ("B",), ("C",)]


def test_neighbours_under_one_outermost_heading_share_a_chunk() -> None:
    [chunk, other] = split("# A\n## B\none\n## C\ntwo\n# D\nthree\n", size=40)
    assert (chunk.path, other.path) == (("A",), ("D",))
    assert "one" in chunk.text
    assert "two" in chunk.text


def test_what_stands_before_the_first_heading_shares_a_chunk_with_what_follows() -> None:
    [chunk] = split("An introduction.\n\n# A\none\n## B\ntwo\n# C\nthree", size=40)[:1]
    assert chunk.path == ()
    assert chunk.text.startswith("An introduction.")
    assert chunk.text.endswith("two")
    [before, behind] = split(f"An introduction of six words.\n# A\n{'word ' * 30}\n", size=40)
    assert (before.path, behind.path) == ((), ("A",))


def table(rows: int, *, columns: str = "Country | Area") -> str:
    underline = "|".join("-" for _ in columns.split("|"))
    lines = (f"| Country{number} | {number} |" for number in range(rows))
    return "\n".join([f"| {columns} |", f"|{underline}|", *lines])


@pytest.mark.parametrize("heading", ["", "# Africa\n"])
def test_every_chunk_of_a_table_has_the_names_of_its_columns_once(heading: str) -> None:
    text = f"{heading}A paragraph before it.\n\n{table(30)}\n\nA paragraph behind it.\n"
    chunks = split(text, size=40)
    rows = [chunk for chunk in chunks if "| Country" in chunk.text]
    assert len(rows) > 2
    assert [chunk.embedded_text.count("Country | Area") for chunk in rows] == [1] * len(rows)
    above = ("Africa",) if heading else ()
    assert rows[1].path == (*above, "Country | Area")
    assert rows[1].text.startswith("| Country")
    assert chunks[-1].path == above
    assert max(words([chunk.embedded_text for chunk in chunks])) <= 40


def test_names_of_columns_that_would_fill_a_chunk_are_shortened() -> None:
    names = " | ".join(f"column{number}" for number in range(100))
    chunks = split(table(40, columns=names), size=64)
    assert chunks[-1].path[0].startswith("column0 | column1")
    assert chunks[-1].path[0].endswith("…")
    assert words([chunks[-1].breadcrumb])[0] <= 32
    assert "Country38" in chunks[-1].text
    assert max(words([chunk.embedded_text for chunk in chunks])) <= 64


def test_a_program_is_cut_before_definitions_and_only_then_within_them() -> None:
    body = "\n\n".join(f"    # step {number}\n    call({number})" for number in range(3))
    program = "\n\n".join(f"def function{number}():\n{body}" for number in range(4))
    chunks = split(f"# Title\n\n```python\n{program}\n```\n", size=40)
    assert [chunk.path for chunk in chunks] == [("Title",)] * 4
    assert [chunk.text[:13] for chunk in chunks[1:]] == [f"def function{n}" for n in (1, 2, 3)]
    shorter = split(f"```python\n{program}\n```\n", size=24)
    starts = {chunk.text.partition("\n")[0] for chunk in shorter[1:]}
    assert starts <= {f"def function{n}():" for n in range(4)} | {f"# step {n}" for n in range(3)}


def test_a_paragraph_that_fits_is_not_cut() -> None:
    lines = [" ".join(["word"] * 6)] * 3
    chunks = split("\n\n".join(["\n".join(lines)] * 3), size=32)
    assert [chunk.text for chunk in chunks] == ["\n".join(lines)] * 3


def test_a_heading_that_is_a_paragraph_is_shortened_in_the_breadcrumb_only() -> None:
    heading = " ".join(f"word{number}" for number in range(300))
    text = f"# {heading}\nbody\n# Short\nmore\n"
    chunks = split(text, size=64)
    assert words([chunks[0].breadcrumb])[0] <= 32
    assert chunks[0].breadcrumb.endswith("…")
    assert chunks[-1].breadcrumb == "T > Short"
    assert "word299" in "".join(chunk.text for chunk in chunks)
    assert max(words([chunk.embedded_text for chunk in chunks])) <= 64


def test_a_title_longer_than_the_limit_is_shortened() -> None:
    chunks = split("body", title="word " * 500, size=64)
    assert [chunk.text for chunk in chunks] == ["body"]
    assert chunks[0].title.startswith("word word")
    assert chunks[0].title.endswith("…")


def test_a_breadcrumb_of_half_a_chunk_stays_as_it_is() -> None:
    title = " ".join(["word"] * 30)
    [chunk] = split("body", title=title, size=64)
    assert chunk.title == title


def test_a_path_of_very_many_levels_still_leaves_room_for_the_text() -> None:
    sections = (Section(tuple("abcdefgh" * 20), 0, 4),)
    document = Document("id", "body", "T", "source", sections=sections)
    [chunk] = Splitter(words, size=16, limit=16).split(document)
    assert chunk.text == "body"


def test_a_character_that_fits_no_chunk_makes_the_document_unreadable() -> None:
    def costly(texts: Sequence[str]) -> list[int]:
        return [100 if "x" in text else 2 for text in texts]

    with pytest.raises(UnreadableDocument, match="character at 2"):
        split("a x", measure=costly)


@pytest.mark.parametrize(("size", "limit"), [(15, 256), (257, 256), (0, 0)])
def test_a_size_that_cannot_hold_a_breadcrumb_or_exceeds_the_limit_is_refused(
    size: int, limit: int
) -> None:
    with pytest.raises(ValueError, match=f"size {size} .* limit {limit}"):
        Splitter(words, size=size, limit=limit)


def test_the_name_tells_size_and_limit() -> None:
    assert Splitter(words, size=100, limit=120).name == "packed:2:100/120"


@pytest.mark.factbook
def test_no_chunk_of_the_factbook_is_cut_by_the_real_embedder() -> None:
    if not FACTBOOK.is_dir():
        pytest.skip(f"no Factbook under {FACTBOOK}: `make data` fetches it")
    embedder = real_embedder()
    splitter = Splitter(embedder.count_tokens)
    longest = 0
    for file in factbook_files(FACTBOOK):
        document = file.read()
        chunks = splitter.split(document)
        longest = max(longest, *embedder.count_tokens([c.embedded_text for c in chunks]))
        assert all(document.text[c.start : c.end] == c.text for c in chunks)
        assert all(before.end <= after.start for before, after in pairwise(chunks))
        assert {chunk.title for chunk in chunks} == {document.title}
        assert covered(document, chunks), document.title
    assert 150 < longest <= embedder.input_limit == 256
