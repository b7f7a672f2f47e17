"""A collection lies where the ledger says, and reading it writes nothing."""

from __future__ import annotations

import pytest

from chunking.errors import CollectionChanged, CollectionNotFound, InputError, StoreError
from retrieval.ledger import LEDGER, open_ledger
from retrieval.memory import MemoryEngine
from retrieval.places import (
    Switch,
    collection_names,
    find_place,
    next_place,
    open_place,
    other_places,
)
from retrieval.points import Point
from retrieval.scope import point_id, scoped


@pytest.fixture
def engine() -> MemoryEngine:
    return holding("a", "b")


def holding(*places: str) -> MemoryEngine:
    engine = MemoryEngine()
    for place in places:
        engine.create(place, dimension=2, indexed=())
    return engine


def move(engine: MemoryEngine, collection: str, place: str) -> None:
    engine.create(place, dimension=2, indexed=())
    Switch(engine, collection, find_place(engine, collection)).move(place)


def test_a_collection_that_was_never_rebuilt_lies_under_its_own_name(engine: MemoryEngine) -> None:
    assert find_place(engine, "a") == "a"
    assert open_place(engine, "a")[0] == "a"
    assert collection_names(engine) == ("a", "b")


def test_looking_for_a_place_creates_nothing(engine: MemoryEngine) -> None:
    find_place(engine, "a")
    collection_names(engine)
    other_places(engine, "a", "a")
    with pytest.raises(CollectionNotFound):
        open_place(engine, "c")
    assert engine.collections() == ("a", "b")


def test_one_switch_moves_one_collection(engine: MemoryEngine) -> None:
    move(engine, "a", "a@1")
    assert (find_place(engine, "a"), find_place(engine, "b")) == ("a@1", "b")


def test_lists_name_a_collection_once_and_neither_its_places_nor_the_ledger(
    engine: MemoryEngine,
) -> None:
    move(engine, "a", "a@1")
    engine.create("a@2", dimension=2, indexed=())
    engine.create("b@1", dimension=2, indexed=())
    assert LEDGER in engine.collections()
    assert collection_names(engine) == ("a", "b")


def test_what_a_rebuild_began_where_there_is_no_collection_is_not_listed() -> None:
    assert collection_names(holding("a@1")) == ()


def test_an_unknown_collection_is_refused_with_the_names_that_people_know(
    engine: MemoryEngine,
) -> None:
    move(engine, "a", "a@1")
    engine.drop("a")
    with pytest.raises(CollectionNotFound, match=r"'c'; existing collections: a, b$"):
        open_place(engine, "c")


def test_other_places_are_superseded_below_and_unfinished_above() -> None:
    engine = holding("a", "a@1", "a@2", "a@10", "ab", "ab@1")
    others = other_places(engine, "a", "a@2")
    assert others.superseded == ("a", "a@1")
    assert others.unfinished == ("a@10",)


def test_numbers_of_places_grow() -> None:
    assert [next_place(place) for place in ("a", "a@1", "a@9")] == ["a@1", "a@2", "a@10"]


def test_of_two_who_would_switch_the_later_one_does(engine: MemoryEngine) -> None:
    first = Switch(engine, "a", "a")
    second = Switch(engine, "a", "a")
    with pytest.raises(CollectionChanged, match="another job"):
        first.move("a@1")
    assert find_place(engine, "a") == "a"
    second.move("a@1")
    assert find_place(engine, "a") == "a@1"


def test_a_switch_is_used_once_and_from_where_the_collection_lies(engine: MemoryEngine) -> None:
    switch = Switch(engine, "a", "a")
    switch.move("a@1")
    with pytest.raises(CollectionChanged):
        switch.move("a@2")
    with pytest.raises(CollectionChanged):
        Switch(engine, "a", "a")
    assert find_place(engine, "a") == "a@1"


@pytest.mark.parametrize("name", ["a@1", LEDGER, "@1", ""])
def test_no_collection_is_called_like_a_place_or_the_ledger(
    engine: MemoryEngine, name: str
) -> None:
    with pytest.raises(InputError, match="collection name"):
        open_place(engine, name)


def test_a_damaged_ledger_is_named(engine: MemoryEngine) -> None:
    damaged = Point(point_id("place", "a"), scoped("place", {"collection": "a"}))
    open_ledger(engine).upsert([damaged])
    with pytest.raises(StoreError, match=LEDGER):
        find_place(engine, "a")
