from __future__ import annotations

from dataclasses import replace

import pytest

from chunking.errors import StoreError
from chunking.sensitivity import Sensitivity
from retrieval.memory import MemoryEngine
from retrieval.search import Searcher
from serve.context.report import Candidate
from serve.gather import Gathering, corpus_tokens, share_read
from serve.plan import Ask, make_plan
from tests.serving import (
    CHAD,
    DOCUMENTS,
    EMBEDDER,
    PERU,
    fill,
    mistral,
    profile,
    small_searcher,
)

QUESTION = "What is the capital of Chad?"


def gathering(searcher: Searcher) -> Gathering:
    return Gathering(searcher, searcher.catalog(), mistral(), QUESTION, 4000, None)


def test_whole_documents_come_without_text_where_they_were_counted() -> None:
    found = gathering(small_searcher(counter=mistral())).documents()

    assert found[0].chunk.document == CHAD.id
    assert {one.chunk.text for one in found} == {""}
    assert all(one.units is not None for one in found)


def test_loading_gives_every_document_its_text() -> None:
    there = gathering(small_searcher(counter=mistral()))

    loaded = there.load([one.chunk for one in there.documents()])

    assert {chunk.document: chunk.text for chunk in loaded} == {d.id: d.text for d in DOCUMENTS}


def test_a_document_that_changed_meanwhile_is_an_error_to_try_again() -> None:
    engine = MemoryEngine()
    index = fill(engine, counter=mistral())
    searcher = Searcher(index, EMBEDDER)
    there = gathering(searcher)
    chunks = [one.chunk for one in there.documents()]
    fill(engine, [replace(PERU, text=f"{PERU.text}More.\n")], counter=mistral())

    with pytest.raises(StoreError, match="changed or removed"):
        there.load(chunks)
    again = gathering(searcher)
    assert len(again.load([one.chunk for one in again.documents()])) == len(DOCUMENTS)


def test_candidates_carry_labels_and_one_that_was_raised_meanwhile_is_planned_anew() -> None:
    engine = MemoryEngine()
    searcher = Searcher(fill(engine, counter=mistral()), EMBEDDER)
    there = gathering(searcher)
    found = [*there.documents(), *there.hits(), *there.everything()]
    assert {one.chunk.sensitivity for one in found} == {Sensitivity.INTERNAL}
    chunks = [one.chunk for one in there.documents()]
    fill(engine, [replace(PERU, sensitivity=Sensitivity.RESTRICTED)], counter=mistral())

    with pytest.raises(StoreError, match="changed or removed"):
        there.load(chunks)
    again = gathering(searcher)
    for found in (again.documents(), again.hits(), again.everything()):
        labels = {one.chunk.document: one.chunk.sensitivity for one in found}
        assert labels[PERU.id] is Sensitivity.RESTRICTED
        assert labels[CHAD.id] is Sensitivity.INTERNAL


def test_the_counts_of_the_plan_are_those_of_the_sent_messages() -> None:
    for mode in ("full", "retrieve"):
        plan = make_plan(
            Ask(QUESTION, "small", "scripted", mode=mode),
            profile=profile(),
            counter=mistral(),
            searcher=small_searcher(counter=mistral()),
        )
        assert plan.report.prompt_tokens == mistral().count_messages(plan.context.messages)
        assert plan.report.segments.retrieved > 0


def test_what_was_not_read_is_listed_in_corpus_order() -> None:
    room = next(
        one.units or 0
        for one in gathering(small_searcher(counter=mistral())).documents()
        if one.chunk.document == CHAD.id
    )

    plan = make_plan(
        Ask(QUESTION, "small", "scripted", mode="full", max_context_tokens=room + 30),
        profile=profile(),
        counter=mistral(),
        searcher=small_searcher(counter=mistral()),
    )

    assert [chunk.document for chunk in plan.context.chunks] == [CHAD.id]
    unread = sorted(document.id for document in DOCUMENTS if document != CHAD)
    assert list(plan.report.coverage.unread) == unread
    share = len(CHAD.text) / sum(len(document.text) for document in DOCUMENTS)
    assert plan.report.coverage.percent == pytest.approx(100 * share, abs=0.01)


def test_everything_is_hundred_percent_and_nothing_is_none() -> None:
    searcher = small_searcher(counter=mistral())
    plan = make_plan(
        Ask(QUESTION, "small", "scripted", mode="full"),
        profile=profile(),
        counter=mistral(),
        searcher=searcher,
    )

    assert plan.report.coverage.percent == 100
    assert plan.report.coverage.unread == ()
    assert share_read((), searcher.catalog().records) == 0


def test_all_chunks_come_in_corpus_order() -> None:
    found = gathering(small_searcher(counter=mistral())).everything()

    def place(one: Candidate) -> tuple[int, int]:
        return one.place, one.chunk.start

    assert found == sorted(found, key=place)
    assert {one.chunk.document for one in found} == {document.id for document in DOCUMENTS}


def test_the_corpus_has_no_size_where_a_document_was_not_counted() -> None:
    searcher = small_searcher(counter=mistral())
    total = corpus_tokens(searcher.catalog(), mistral())
    assert total is not None
    assert total > sum(mistral().count(document.text) for document in DOCUMENTS)
