from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Chunk, Document
from chunking.tokens import Message
from serve.backends.passages import PASSAGE_LIMIT, find_passages
from serve.backends.protocol import Completion, CompletionRequest, ServerFacts
from serve.backends.quote import INTRODUCTION, NOTHING_FOUND, TOO_LITTLE_ROOM, QuoteBackend
from tests.pair_counter import PairCounter
from tests.unit.serve.context.cases import texts

COUNTER = PairCounter()
LINE = re.compile(r"- (?P<quoted>.+) \[(?P<marker>\d+)\]")


def chunk(text: str, *, title: str = "Peru", document: str | None = None) -> Chunk:
    whole = Document(id=document or title, text=text, title=title, source=title)
    return Chunk.of(whole, start=0, end=len(text), path=(), position=0)


PERU = chunk("Capital: Lima\nArea: 1,285,216 sq km\nPopulation: 34 million", title="Peru")
CHAD = chunk("Capital: N'Djamena\nArea: 1,284,000 sq km\nPopulation: 19 million", title="Chad")


def complete(question: str, *sources: Chunk, room: int = 512) -> Completion:
    request = CompletionRequest((Message("user", question),), room, question, sources)
    return asyncio.run(QuoteBackend(COUNTER).complete(request))


def quoted(completion: Completion) -> list[tuple[str, int]]:
    """Return the passages of an answer and their markers; any other line fails."""
    introduction, *lines = completion.text.split("\n")
    assert introduction == INTRODUCTION
    matches = [LINE.fullmatch(line) for line in lines]
    return [(match["quoted"], int(match["marker"])) for match in matches if match is not None]


def test_the_line_that_answers_is_quoted_with_its_source() -> None:
    answer = quoted(complete("What is the capital of Peru?", CHAD, PERU))

    assert answer[0] == ("Capital: Lima", 2)


def test_a_document_that_the_question_does_not_name_is_not_quoted_beside_one_that_it_does() -> None:
    answer = quoted(complete("What is the capital of Peru?", CHAD, PERU))

    assert {marker for _, marker in answer} == {2}


def test_a_comparison_quotes_both_documents() -> None:
    answer = quoted(complete("Which has the larger area, Peru or Chad?", PERU, CHAD))

    assert set(answer) == {("Area: 1,285,216 sq km", 1), ("Area: 1,284,000 sq km", 2)}


def test_a_question_in_a_script_without_spaces_is_answered() -> None:
    tokyo = chunk("面積: 2,194平方キロメートル\n人口: 1,400万人", title="東京都")
    osaka = chunk("面積: 1,905平方キロメートル\n人口: 880万人", title="大阪府")

    assert quoted(complete("東京都の人口はどのくらいですか", osaka, tokyo))[0] == (
        "人口: 1,400万人",
        2,
    )
    assert quoted(complete("人口が880万人なのはどこ", osaka, tokyo))[0] == ("人口: 880万人", 1)


def test_every_document_speaks_before_any_speaks_twice() -> None:
    better = chunk("Area: 1,285,216 sq km\nArea: 1,279,996 sq km of land", title="Peru")
    worse = chunk("Area, both land and water: 1,284,000 sq km", title="Chad")

    answer = quoted(complete("Which has the larger area, Peru or Chad?", better, worse))

    assert [marker for _, marker in answer] == [1, 2, 1]


def test_nothing_found_is_said_and_nothing_is_made_up() -> None:
    completion = complete("zebra migration", PERU, CHAD)

    assert completion.text == NOTHING_FOUND
    assert completion.finish_reason == "stop"


def test_without_sources_nothing_is_found() -> None:
    assert complete("What is the capital of Peru?").text == NOTHING_FOUND


def test_a_question_of_empty_words_finds_nothing() -> None:
    assert complete("What is it about?", PERU).text == NOTHING_FOUND


def test_it_says_that_no_model_answered() -> None:
    assert "No language model" in complete("capital of Peru", PERU).text
    assert "No language model" in NOTHING_FOUND


def test_nothing_was_called_so_no_usage_is_claimed() -> None:
    completion = complete("capital of Peru", PERU)

    assert (completion.prompt_tokens, completion.output_tokens) == (None, 0)


def test_an_answer_has_few_passages() -> None:
    many = chunk("\n".join(f"Capital number {number}: Lima" for number in range(50)))

    assert len(quoted(complete("capital", many, room=5000))) == PASSAGE_LIMIT


def test_a_passage_that_does_not_fit_is_left_out_and_the_answer_called_cut() -> None:
    long = "Capital: " + "landlocked " * 100
    room = COUNTER.count(INTRODUCTION) + 20

    completion = complete("capital", chunk(f"{long}\nCapital city: old"), room=room)

    assert [line for line, _ in quoted(completion)] == ["Capital city: old"]
    assert completion.finish_reason == "length"


def test_an_answer_with_every_passage_is_not_called_cut() -> None:
    assert complete("capital of Peru", PERU).finish_reason == "stop"


def test_passages_that_fit_nowhere_are_not_called_missing() -> None:
    completion = complete("capital of Peru", PERU, room=COUNTER.count(TOO_LITTLE_ROOM))

    assert completion.text == TOO_LITTLE_ROOM
    assert completion.finish_reason == "length"


@pytest.mark.parametrize("question", ["capital of Peru", "zebra migration"])
@pytest.mark.parametrize("room", [1, 5, 10, 20, 40])
def test_an_answer_stays_within_its_room_however_small(question: str, room: int) -> None:
    completion = complete(question, PERU, room=room)

    assert COUNTER.count(completion.text) <= room
    assert completion.text or completion.finish_reason == "length"


def test_there_is_no_server_to_tell_of_and_the_backend_may_be_closed() -> None:
    async def scenario() -> ServerFacts:
        backend = QuoteBackend(COUNTER)
        await backend.close()
        return await backend.inspect((Message("user", "Why?"),))

    assert asyncio.run(scenario()) == ServerFacts()


def test_a_stream_gives_the_answer_line_by_line() -> None:
    async def scenario() -> list[str | Completion]:
        request = CompletionRequest((), 512, "capital, area of Peru", (PERU,))
        return [piece async for piece in QuoteBackend(COUNTER).stream(request)]

    *lines, completion = asyncio.run(scenario())

    assert isinstance(completion, Completion)
    assert lines == completion.text.splitlines(keepends=True)
    assert len(lines) == 3


SOURCES = st.lists(
    st.builds(
        lambda text, title: chunk(text, title=title),
        texts(pieces=20, repeats=20),
        st.sampled_from(["Peru", "Chad", "capital"]),
    ),
    max_size=5,
)


@given(
    sources=SOURCES,
    question=st.sampled_from(["population of Peru", "capital", "Peru or Chad", "7 12,345.67", "é"]),
    room=st.integers(1, 300),
)
def test_whatever_the_sources_hold_every_passage_is_a_line_of_the_one_it_cites(
    sources: list[Chunk], question: str, room: int
) -> None:
    completion = complete(question, *sources, room=room)

    assert COUNTER.count(completion.text) <= room
    if completion.text.startswith(INTRODUCTION):
        expected = completion.text.removeprefix(INTRODUCTION)
        found = find_passages(question, sources)
        for passage in found:
            assert passage.text in sources[passage.marker - 1].text
            assert "\n" not in passage.text
        lines = [f"\n- {passage.text} [{passage.marker}]" for passage in found]
        for line in lines:
            expected = expected.replace(line, "", 1)
        assert expected == ""
    else:
        assert completion.text in {NOTHING_FOUND, TOO_LITTLE_ROOM, ""}
