"""Repetitions stand last, new editions before old ones, and nothing is lost or invented."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Chunk, Document
from chunking.sections import markdown_sections
from chunking.sketch import sketch_of
from retrieval.diversity import arrange, latest_first, part_repetitions
from retrieval.records import Hit
from retrieval.search import Searcher
from serve.plan import Ask, make_plan
from tests.serving import mistral, profile, small_searcher

WORDS = (
    "the committee reviewed the budget of the northern harbour and agreed to raise the fee for "
    "large vessels because maintenance of the outer pier was more expensive than planned"
)
QUESTION = "What did the committee agree on the fee of the harbour for large vessels?"


def hit(text: str, *, title: str = "Minutes", document: str = "", origin: str = "") -> Hit:
    chunk = Chunk(f"{title} {document} {text}", document or title, title, (), 0, 1, text, 0)
    return Hit(chunk, 0.5, sketch=sketch_of(chunk), origin=origin)


def edition(year: int, *, figure: int = 3, words: str = WORDS) -> Hit:
    return hit(f"In {year} {words} by {figure} per cent.", title=f"Report {year}")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("Apollo 11", "1969"), ("Apollo 17", "1972")),
        (("Product 1", "1950 g"), ("Product 2", "2040 g")),
    ],
)
def test_numbered_things_are_no_editions(first: tuple[str, str], second: tuple[str, str]) -> None:
    hits = [hit(f"{WORDS} {fact}", title=title) for title, fact in (first, second)]
    assert latest_first("What is known of it?", hits) == hits


class TestRepetitions:
    """What `part_repetitions` takes apart."""

    def test_copies_and_near_copies_stand_behind_all_others(self) -> None:
        first, other = hit(WORDS), hit("something else")
        exact, near = hit(WORDS, document="b"), hit(f"{WORDS} here")
        assert part_repetitions([first, exact, near, other]) == ([first, other], [exact, near])

    def test_a_document_under_another_name_repeats_what_it_is_a_copy_of(self) -> None:
        one, copy = (hit(WORDS, title=title, origin="a") for title in ("Minutes", "Protocol"))
        assert part_repetitions([one, copy]) == ([one], [copy])

    def test_the_same_words_about_another_thing_are_no_repetition(self) -> None:
        hits = [hit(WORDS, title="Minutes"), hit(WORDS, title="Protocol")]
        assert part_repetitions(hits) == (hits, [])

    def test_another_figure_is_no_repetition(self) -> None:
        hits = [hit(f"{WORDS} by {figure} per cent") for figure in (3, 4)]
        assert part_repetitions(hits) == (hits, [])

    def test_every_one_of_many_copies_is_known(self) -> None:
        copies = [hit(f"{WORDS}{' here' * (n % 2)}", document=f"d{n}") for n in range(400)]
        distinct, repeated = part_repetitions(copies)
        assert (distinct, len(repeated)) == (copies[:1], 399)


class TestEditions:
    """What `latest_first` orders."""

    def test_the_latest_edition_comes_first_and_takes_no_place_of_another(self) -> None:
        old, new, newest = edition(2021), edition(2023, figure=9), edition(2024)
        other = hit("something else")
        assert latest_first(QUESTION, [old, other, newest, new]) == [newest, other, new, old]

    def test_a_question_with_a_year_is_left_as_it_is(self) -> None:
        hits = [edition(2021), edition(2024)]
        assert latest_first("What was agreed in 2021?", hits) == hits

    @pytest.mark.parametrize(
        "others",
        [
            [edition(2024, words="a storm broke the pier in the night and nobody was hurt by it")],
            [hit(edition(2024).chunk.text, title="Another committee")],
            [hit(f"{WORDS} by 3 per cent.", title="Report 7")],
        ],
        ids=["other words", "another title", "no year"],
    )
    def test_what_is_no_edition_of_the_same_stays(self, others: list[Hit]) -> None:
        hits = [edition(2021), *others]
        assert latest_first(QUESTION, hits) == hits

    def test_parts_of_one_section_are_no_editions(self) -> None:
        hits = [hit(f"{WORDS} in {year}", document="one") for year in (2021, 2024)]
        assert latest_first(QUESTION, hits) == hits

    def test_sections_of_one_document_are_editions_where_their_headings_are_years(self) -> None:
        def section(heading: str, year: int) -> Hit:
            one = hit(f"{WORDS} in {year}", document="one")
            return replace(one, chunk=replace(one.chunk, path=(heading,)))

        years = [section("2021", 2021), section("2024", 2024)]
        assert latest_first(QUESTION, years) == years[::-1]
        parts = [section("Part 1", 2021), section("Part 2", 2024)]
        assert latest_first(QUESTION, parts) == parts

    def test_a_number_of_four_digits_in_a_longer_one_is_no_year(self) -> None:
        hits = [hit(f"{WORDS} by {n}", title=f"Report {k}") for k, n in ((1, 120210), (2, 120240))]
        assert latest_first(QUESTION, hits) == hits


@given(
    st.lists(
        st.builds(
            lambda year, words, copy: replace(edition(year, words=words), origin=copy),
            st.sampled_from([2019, 2021, 2024]),
            st.sampled_from([WORDS, f"{WORDS} here", "short"]),
            st.sampled_from(["", "a"]),
        ),
        max_size=12,
    )
)
def test_arranging_loses_nothing_and_invents_nothing(hits: list[Hit]) -> None:
    arranged = arrange(QUESTION, hits)
    assert sorted(map(id, arranged)) == sorted(map(id, hits))


def document(name: str, title: str, words: str, *, digest: str = "") -> Document:
    text = f"# Minutes\n{words}.\n"
    return Document(name, text, title, name, sections=markdown_sections(text), digest=digest)


@pytest.fixture(scope="module")
def searcher() -> Searcher:
    titles = ("Minutes", "Protocol", "Minutes (1)")
    copies = [document(f"copy{n}", titles[n % 3], WORDS, digest="the same") for n in range(150)]
    others = [
        document(f"other{n}", f"Letter {n}", f"The harbour fee for vessels in town {n}")
        for n in range(10)
    ]
    return small_searcher([*copies, *others], counter=mistral())


class TestCopiesInACollection:
    """A hundred and fifty copies of one document beside ten others."""

    def test_they_do_not_take_the_places_of_other_texts(self, searcher: Searcher) -> None:
        hits = searcher.search(QUESTION, limit=8)
        assert len({one.chunk.text for one in hits}) == 8

    def test_the_report_calls_them_duplicates_under_any_name(self, searcher: Searcher) -> None:
        ask = Ask(QUESTION, "small", "scripted", max_context_tokens=600)
        plan = make_plan(ask, profile=profile(), counter=mistral(), searcher=searcher)
        kept = [one.text for one in plan.context.chunks]
        assert len(kept) == len(set(kept))
        fates = {one.fate for one in plan.report.entries if one.document.startswith("copy")}
        assert "duplicate" in fates
        assert plan.report.coverage.candidates == len(plan.report.entries)
