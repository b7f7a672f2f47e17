"""What only the in-memory engine promises; the rest is in the contract of all engines."""

from __future__ import annotations

import numpy as np
import pytest

from chunking.errors import CollectionNotFound
from retrieval.memory import MemoryEngine
from retrieval.points import Point, collection_not_found

ONE = Point("01" * 16, {"kind": "chunk", "text": "a"}, np.array([1, 0], dtype=np.float32))


def test_two_engines_share_nothing() -> None:
    first, second = MemoryEngine(), MemoryEngine()
    first.create("c", dimension=2, indexed=())
    assert first.collections() == ("c",)
    assert second.collections() == ()


def test_closing_forgets_nothing() -> None:
    engine = MemoryEngine()
    engine.create("c", dimension=2, indexed=()).upsert([ONE])
    engine.close()
    assert engine.open("c").count(where={}) == 1


def test_an_iterator_of_points_may_be_read_while_its_points_are_deleted() -> None:
    store = MemoryEngine().create("c", dimension=2, indexed=())
    points = [Point(f"{number:032x}", {}) for number in range(5)]
    store.upsert(points)
    for found in store.scroll(where={}):
        store.delete([found.id])
    assert store.count(where={}) == 0


def test_cutting_a_payload_down_leaves_the_stored_one_whole() -> None:
    store = MemoryEngine().create("c", dimension=2, indexed=())
    store.upsert([ONE])
    [cut] = store.scroll(where={}, fields=["kind"])
    assert cut.payload == {"kind": "chunk"}
    [whole] = store.scroll(where={})
    assert whole.payload == ONE.payload


@pytest.mark.parametrize("vector", [[0, 0], [1, 0]])
def test_a_vector_of_zeros_is_similar_to_nothing(vector: list[float]) -> None:
    store = MemoryEngine().create("c", dimension=2, indexed=())
    store.upsert([Point("02" * 16, {}, np.zeros(2, dtype=np.float32))])
    [hit] = store.query(np.array(vector, dtype=np.float32), limit=1, where={})
    assert hit.score == 0.0


def test_a_missing_collection_names_those_that_exist() -> None:
    engine = MemoryEngine()
    with pytest.raises(CollectionNotFound, match="existing collections: none"):
        engine.open("c")
    assert "existing collections: a, b" in collection_not_found("c", ("a", "b")).message
