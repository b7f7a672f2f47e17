"""What a search brings, in which order, and by which step."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Chunk, Document
from chunking.errors import InputError
from chunking.sections import markdown_sections
from chunking.split import Splitter
from retrieval import index, search
from retrieval.embed import HashEmbedder
from retrieval.headings import heading_of
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.points import Vector
from retrieval.providers import fingerprint_of
from retrieval.records import Hit
from retrieval.search import Searcher
from retrieval.turns import take_turns
from retrieval.writer import IndexWriter

EMBEDDER = HashEmbedder(dimension=512)
SPLITTER = Splitter(EMBEDDER.count_tokens, size=24, limit=32)
SECTIONS = {
    "Geography": "climate rain desert rivers mountains lakes",
    "People": "population young people age structure languages",
    "Economy": "income exports unemployment company business trade",
    "Communications": "mobile network telephones internet users broadcast",
}


def text_of(title: str) -> str:
    lines = []
    for heading, words in SECTIONS.items():
        lines.append(f"# {heading}")
        lines += [f"The {word} of {title} is told about here." for word in words.split()]
    return "\n".join(lines) + "\n"


def write(index: Index, title: str, *, aliases: tuple[str, ...] = ()) -> None:
    text = text_of(title)
    sections = markdown_sections(text)
    document = Document(
        title.lower(), text, title, f"{title}.md", sections=sections, aliases=aliases
    )
    chunks = SPLITTER.split(document)
    vectors = EMBEDDER.embed([chunk.embedded_text for chunk in chunks])
    with IndexWriter(index, grace_seconds=0) as writer:
        writer.write(document, chunks, vectors)


def another(known: Index) -> Index:
    """Return the collection as another process sees it."""
    return Index(known.name, known.points, known.fingerprint)


@pytest.fixture
def searcher() -> Searcher:
    index = Index.create(MemoryEngine(), "c", fingerprint_of(EMBEDDER, SPLITTER))
    for title in ("Chad", "India", "Peru", "World", "Oman"):
        write(index, title, aliases=("Tchad",) if title == "Chad" else ())
    return Searcher(index, EMBEDDER)


def titles(hits: list[Hit]) -> list[str]:
    return [hit.chunk.title for hit in hits]


# --- taking turns


def hit(name: str, via: str = "question") -> Hit:
    return Hit(Chunk(name, "d", "D", (), 0, 1, name, 0), 1.0, via)


def streams_of(*streams: str) -> list[list[Hit]]:
    return [[hit(name, via=stream) for name in stream] for stream in streams]


@pytest.mark.parametrize(
    ("streams", "limit", "merged"),
    [
        (["abc", "xyz"], 9, "axbycz"),
        (["a", "xyz"], 9, "axyz"),
        (["abc", "bcd"], 9, "abcd"),
        (["abc", "xyz"], 3, "axb"),
        (["abc", "", "x"], 9, "axbc"),
        (["abc"], 0, ""),
        ([], 5, ""),
    ],
)
def test_rankings_take_turns(streams: list[str], limit: int, merged: str) -> None:
    found = take_turns(streams_of(*streams), limit=limit)
    assert "".join(each.chunk.id for each in found) == merged


def test_what_a_planner_names_is_searched_for_as_the_question_is(searcher: Searcher) -> None:
    searches = ["climate of Chad", "exports of Peru"]
    found = searcher.search("How do they compare?", limit=12, searches=searches)

    for title, text in zip(("Chad", "Peru"), searches, strict=True):
        [named] = [one for one in found if one.via == f"search: {text} > named: {title}"][:1]
        assert named.chunk.title == title
    assert len({one.chunk.id for one in found}) == len(found) == 12


def test_a_document_without_a_hit_leads_nowhere(searcher: Searcher) -> None:
    with IndexWriter(searcher.index, grace_seconds=0) as writer:
        writer.write(Document("niger", "", "Niger", "Niger.md"), (), EMBEDDER.embed([]))
    searcher.index.forget()

    question = "Which countries that border Niger have the largest area?"
    assert searcher.search(question, limit=5)
    assert searcher.search(question, limit=0) == []


def test_what_is_found_does_not_depend_on_what_was_asked_before() -> None:
    text = "\n".join(f"# Section {n}\nTale {n} is told here." for n in range(260))
    document = Document("hub", text, "Hub", "hub.md", sections=markdown_sections(text))
    questions = ["Tell tale 3 and tale 4 of Hub", "Tell section 250 and section 7 of Hub"]
    found = []
    for order in (questions, questions[::-1]):
        index = Index.create(MemoryEngine(), "c", fingerprint_of(EMBEDDER, SPLITTER))
        chunks = SPLITTER.split(document)
        vectors = EMBEDDER.embed([chunk.embedded_text for chunk in chunks])
        with IndexWriter(index, grace_seconds=0) as writer:
            writer.write(document, chunks, vectors)
        one = Searcher(index, EMBEDDER)
        answers = {q: [hit.chunk.id for hit in one.search(q, limit=30)] for q in order}
        found.append([answers[q] for q in questions])
    assert found[0] == found[1]


def test_searches_see_no_more_than_the_filter_lets_them(searcher: Searcher) -> None:
    found = searcher.search(
        "rain", limit=9, where={"document": ("oman",)}, searches=["exports of Peru"]
    )
    assert set(titles(found)) == {"Oman"}


def test_a_chunk_keeps_the_step_that_brought_it_first() -> None:
    found = take_turns([[hit("a", "one"), hit("b", "one")], [hit("b", "two")]], limit=9)
    assert [(each.chunk.id, each.via) for each in found] == [("a", "one"), ("b", "two")]


@given(st.lists(st.text("abcdef", max_size=6), max_size=4), st.integers(0, 10))
def test_turns_repeat_nothing_and_lose_nothing(streams: list[str], limit: int) -> None:
    found = [each.chunk.id for each in take_turns(streams_of(*streams), limit=limit)]
    everything = set("".join(streams))
    assert len(found) == len(set(found)) == min(limit, len(everything))
    assert set(found) <= everything


# --- a question that names nothing


def test_a_question_that_names_nothing_is_ranked_by_likeness(searcher: Searcher) -> None:
    hits = searcher.search("telephones and internet users", limit=5)
    assert {each.via for each in hits} == {"question"}
    assert [each.score for each in hits] == sorted((h.score for h in hits), reverse=True)
    assert {heading_of(each) for each in hits} == {"Communications"}


@pytest.mark.parametrize("limit", [0, 1, 7, 1000])
def test_there_are_at_most_as_many_hits_as_asked_for(searcher: Searcher, limit: int) -> None:
    for question in ("rivers", "rivers of Chad", ""):
        hits = searcher.search(question, limit=limit)
        assert len(hits) <= limit
        assert len({each.chunk.id for each in hits}) == len(hits)
    total = searcher.index.chunk_count()
    assert len(searcher.search("rivers of Chad", limit=limit)) == min(limit, total)


# --- a question that names documents


def test_a_named_document_is_searched_on_its_own(searcher: Searcher) -> None:
    hits = searcher.search("What is the unemployment of Peru?", limit=6)
    assert (hits[0].chunk.title, hits[0].via) == ("Peru", "named: Peru")
    assert "unemployment" in hits[0].chunk.text


def test_an_alias_names_its_document(searcher: Searcher) -> None:
    assert searcher.search("rivers of Tchad", limit=1)[0].via == "named: Chad"


def test_every_document_of_a_comparison_gets_its_share(searcher: Searcher) -> None:
    found = titles(searcher.search("Compare the exports of Chad and Oman", limit=10))
    assert found.count("Chad") >= 4
    assert found.count("Oman") >= 4
    assert found[:2] == ["Chad", "Chad"] or set(found[:3]) >= {"Chad", "Oman"}


def test_a_name_in_passing_takes_no_share(searcher: Searcher) -> None:
    hits = searcher.search("Which rivers in the world are in Peru?", limit=8)
    assert not any(each.via == "named: World" for each in hits)


def test_a_broad_question_about_one_document_spreads_over_its_sections(searcher: Searcher) -> None:
    question = (
        "Can you create a business plan for a new mobile network company in India, "
        "specifically for young people?"
    )
    hits = [each for each in searcher.search(question, limit=8) if each.chunk.title == "India"]
    assert {heading_of(each) for each in hits} >= {"Economy", "People", "Communications"}
    assert any(each.via.startswith("aspect: ") for each in hits)


def test_every_step_is_recorded(searcher: Searcher) -> None:
    hits = searcher.search("Give the rivers, the exports and the mother tongues of Chad", limit=40)
    steps = {each.via.partition(":")[0] for each in hits}
    assert steps == {"named", "aspect", "section", "question"}
    for each in hits:
        if each.via.startswith("section: "):
            assert heading_of(each) == each.via.removeprefix("section: ")
        if each.via != "question":
            assert each.chunk.title == "Chad"


def test_an_aspect_that_a_line_answers_needs_no_section(searcher: Searcher) -> None:
    hits = searcher.search("Give the rivers, the exports and the languages of Chad", limit=40)
    assert {each.via.partition(":")[0] for each in hits} == {"named", "aspect", "question"}


def test_a_plain_question_is_embedded_alone_and_once(
    searcher: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []
    embed = HashEmbedder.embed

    def count(self: HashEmbedder, texts: Sequence[str]) -> Vector:
        calls.append(list(texts))
        return embed(self, texts)

    monkeypatch.setattr(HashEmbedder, "embed", count)
    question = "What is the unemployment of Peru?"
    searcher.search(question, limit=6)
    assert calls == [[question]]


def test_only_so_many_named_documents_are_searched(
    searcher: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "NAMED_LIMIT", 2)
    hits = searcher.search("rivers of Chad, Peru, Oman and India", limit=40)
    assert {h.via for h in hits if h.via.startswith("named")} == {"named: Chad", "named: Peru"}


# --- a question that leads on

PACKAGES = {
    "Kettle": ("Ada Byron", "Teapot 2.1; Samovar 3", 700),
    "Teapot": ("Grace Hopper", "nothing", 200),
    "Samovar": ("Alan Kay", "nothing", 900),
    "Larder": ("Mary Shaw", "Kettle 1.0", 300),
    "Pantry": ("Jean Sammet", "Kettle 1.0", 400),
}


@pytest.fixture
def packages() -> Searcher:
    index = Index.create(MemoryEngine(), "p", fingerprint_of(EMBEDDER, SPLITTER))
    for title, (keeper, needs, size) in PACKAGES.items():
        text = (
            f"# Overview\nPeople: kept by {keeper} since long ago.\n"
            f"Requirements: needs {needs}.\n# Files\nWheel - size: {size} kB\n"
            "Colour of the box: green, of the lid: grey.\nLicence: MIT, as is, no warranty.\n"
        )
        document = Document(
            title.lower(), text, title, f"{title}.md", sections=markdown_sections(text)
        )
        chunks = SPLITTER.split(document)
        vectors = EMBEDDER.embed([chunk.embedded_text for chunk in chunks])
        with IndexWriter(index, grace_seconds=0) as writer:
            writer.write(document, chunks, vectors)
    return Searcher(index, EMBEDDER)


def sizes(hits: list[Hit], via: str) -> list[str]:
    return [each.chunk.title for each in hits if each.via == via and "kB" in each.chunk.text]


def test_a_name_that_is_no_documents_leads_to_the_document_that_holds_it(
    packages: Searcher,
) -> None:
    hits = packages.search("In the package kept by Grace Hopper, how large is the wheel?", limit=6)
    # What holds the name is the best of all as well, and keeps that place.
    assert (hits[0].chunk.title, hits[0].via) == ("Teapot", "question")
    assert "Grace Hopper" in hits[0].chunk.text
    assert (hits[1].chunk.title, hits[1].via) == ("Teapot", "bridge: Grace Hopper")
    assert any("200 kB" in each.chunk.text for each in hits[:3])


def test_a_name_that_no_text_holds_leads_nowhere(packages: Searcher) -> None:
    hits = packages.search("In the package kept by Edsger Dijkstra, how large is it?", limit=6)
    assert {each.via for each in hits} == {"question"}


def test_a_name_that_the_named_document_explains_leads_nowhere_else(packages: Searcher) -> None:
    hits = packages.search("Since when is Kettle kept by Ada Byron?", limit=9)
    assert not any(each.via.startswith("bridge") for each in hits)


def test_a_comparison_of_a_set_reads_what_it_compares_in_each_member(packages: Searcher) -> None:
    question = "Of the packages that Kettle needs, which one has the largest wheel?"
    hits = packages.search(question, limit=8)
    assert sizes(hits, "hop: Kettle > Teapot") == ["Teapot"]
    assert sizes(hits, "hop: Kettle > Samovar") == ["Samovar"]
    assert "Requirements" in hits[0].chunk.text
    assert hits == packages.search(question, limit=8)


def test_a_set_may_be_those_whose_texts_name_the_document(packages: Searcher) -> None:
    hits = packages.search("Which package that needs Samovar has the largest wheel?", limit=8)
    assert sizes(hits, "hop: Samovar > Kettle") == ["Kettle"]


def test_two_hops_are_the_most(packages: Searcher) -> None:
    question = "Among the packages needed by the one of Ada Byron, which has the largest wheel?"
    steps = {each.via for each in packages.search(question, limit=20)}
    assert {"bridge: Ada Byron", "hop: Kettle > Teapot", "hop: Kettle > Samovar"} <= steps
    assert not any(step.startswith("hop: Teapot") for step in steps)


def test_a_hop_stays_within_the_filter(packages: Searcher) -> None:
    question = "Of the packages that Kettle needs, which one has the largest wheel?"
    where = {"document": ["kettle", "teapot"]}
    assert {h.chunk.title for h in packages.search(question, limit=20, where=where)} == {
        "Kettle",
        "Teapot",
    }


def test_a_comparison_of_two_named_documents_hops_nowhere(packages: Searcher) -> None:
    hits = packages.search("Which has the larger wheel, Kettle or Pantry?", limit=20)
    assert not any(each.via.startswith("hop") for each in hits)


# --- filters


def test_a_filter_by_document_holds_for_named_documents_too(searcher: Searcher) -> None:
    hits = searcher.search("rivers of Chad and Peru", limit=40, where={"document": ["peru"]})
    assert set(titles(hits)) == {"Peru"}


@pytest.mark.parametrize("where", [{"title": ["Oman"]}, {"source": ["Oman.md"]}])
def test_any_filter_holds_for_every_step(searcher: Searcher, where: dict[str, list[str]]) -> None:
    hits = searcher.search("rivers, exports and languages of Chad", limit=40, where=where)
    assert set(titles(hits)) == {"Oman"}


def test_a_filter_that_matches_nothing_finds_nothing(searcher: Searcher) -> None:
    assert searcher.search("rivers, exports of Chad", limit=5, where={"document": ["x"]}) == []


def test_a_search_that_a_filter_left_empty_does_not_change_the_next(searcher: Searcher) -> None:
    question = "rivers, exports and languages of Chad"
    expected = Searcher(searcher.index, EMBEDDER).search(question, limit=40)
    assert searcher.search(question, limit=40, where={"title": ["none"]}) == []
    assert searcher.search(question, limit=40) == expected


def test_a_filter_that_is_not_allowed_is_refused(searcher: Searcher) -> None:
    for question in ("rivers", "rivers of Chad"):
        with pytest.raises(InputError, match="allowed keys"):
            searcher.search(question, limit=5, where={"kind": ["document"]})


# --- the catalog


def test_a_document_that_another_process_adds_is_found_when_the_lease_ends(
    searcher: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Mali" not in {r.title for r in searcher.catalog().records.values()}
    write(another(searcher.index), "Mali")
    assert searcher.search("rivers of Mali", limit=1)[0].via == "question"
    monkeypatch.setattr(index, "LEASE_SECONDS", -1.0)
    assert searcher.search("rivers of Mali", limit=1)[0].via == "named: Mali"


def test_a_document_that_goes_while_it_is_searched_for_breaks_nothing(
    searcher: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    searcher.catalog()
    with IndexWriter(another(searcher.index), grace_seconds=0) as writer:
        writer.remove(["chad"])
    hits = searcher.search("rivers, exports and languages of Chad", limit=9)
    assert "Chad" not in titles(hits)
    monkeypatch.setattr(index, "LEASE_SECONDS", -1.0)
    assert "Chad" not in titles(searcher.search("rivers, exports of Chad", limit=9))


def test_an_empty_collection_has_no_hits() -> None:
    index = Index.create(MemoryEngine(), "c", fingerprint_of(EMBEDDER, SPLITTER))
    assert Searcher(index, EMBEDDER).search("rivers of Chad", limit=5) == []


def test_many_threads_find_what_one_finds(searcher: Searcher) -> None:
    questions = [f"rivers, exports and languages of {t}" for t in ("Chad", "India", "Peru")] * 8
    expected = [searcher.search(question, limit=9) for question in questions]
    fresh = Searcher(searcher.index, EMBEDDER)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda question: fresh.search(question, limit=9), questions))
    assert found == expected
