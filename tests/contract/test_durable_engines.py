"""What holds of every engine that outlives its process."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from chunking.errors import CollectionNotFound, EmbeddingModelMismatch, InputError
from retrieval.points import Point
from tests.contract.engine_kinds import DURABLE
from tests.contract.workbench import Workbench, ids, point, point_id, random_points, unit


@pytest.mark.parametrize("bench", DURABLE, indirect=True)
class TestDurableEngine:
    """What holds of every engine that outlives its process."""

    def test_a_new_engine_on_the_same_data_finds_everything(self, bench: Workbench) -> None:
        store = bench.create()
        store.upsert([point(i, unit(i % 4), kind="chunk", document=f"d{i}") for i in range(700)])
        store.upsert([point(1000, kind="record")])
        store.delete([point_id(i) for i in range(100)])
        reopened = bench.reopen()
        assert bench.engine.collections().count(bench.collection) == 1
        assert reopened.count(where={}) == 601
        assert reopened.count(where={"document": ["d99", "d100", "d699"]}) == 2
        assert len(reopened.query(unit(0), limit=1000, where={})) == 600

    def test_reads_go_on_while_points_are_written(self, bench: Workbench) -> None:
        store = bench.create(dimension=32)
        points = random_points(3000, dimension=32)
        store.upsert(points[:100])
        written = threading.Event()
        failures: list[BaseException] = []

        def read() -> None:
            counted = 0
            try:
                while not written.is_set():
                    before, counted = counted, store.count(where={})
                    assert counted >= before
                    assert len(store.query(unit(0, dimension=32), limit=5, where={})) == 5
                    assert len(set(ids(store.scroll(where={}, fields=[])))) >= counted
            except BaseException as error:  # noqa: BLE001 - raised again below, in the test
                failures.append(error)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for start in range(100, len(points), 100):
            store.upsert(points[start : start + 100])
        written.set()
        for reader in readers:
            reader.join()
        assert failures == []
        assert store.count(where={}) == len(points)

    def test_several_threads_may_write(self, bench: Workbench) -> None:
        store = bench.create()

        def write(first: int) -> None:
            for start in range(first, first + 500, 50):
                store.upsert([point(i, unit(i % 4)) for i in range(start, start + 50)])

        writers = [threading.Thread(target=write, args=(n * 500,)) for n in range(4)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert ids(store.scroll(where={})) == [point_id(i) for i in range(2000)]

    def test_a_vector_of_another_dimension_is_refused_before_any_point_is_written(
        self, bench: Workbench
    ) -> None:
        store = bench.create()
        wrong = np.ones(5, dtype=np.float32)
        with pytest.raises(EmbeddingModelMismatch, match="dimension 4"):
            store.upsert([point(1, unit(0)), point(2, wrong)])
        with pytest.raises(EmbeddingModelMismatch, match="dimension 4"):
            store.query(wrong, limit=1, where={})
        assert store.count(where={}) == 0

    def test_a_vector_that_is_not_finite_is_refused(self, bench: Workbench) -> None:
        store = bench.create()
        with pytest.raises(InputError, match="finite"):
            store.upsert([point(1, unit(0) * np.float32("nan"))])
        assert store.count(where={}) == 0

    @pytest.mark.parametrize(
        "wrong", [Point("not-hex", {}), point(1, text="\ud800"), point(1, text=object())]
    )
    def test_a_point_that_cannot_be_stored_is_refused(self, bench: Workbench, wrong: Point) -> None:
        store = bench.create()
        with pytest.raises(InputError, match="cannot write 1 points") as caught:
            store.upsert([wrong])
        assert caught.value.__cause__ is not None
        assert store.count(where={}) == 0

    @pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "é", "x" * 129, "a\n"])
    def test_a_collection_name_that_is_not_plain_is_refused(
        self, bench: Workbench, name: str
    ) -> None:
        for refused in (
            lambda: bench.engine.create(name, dimension=4, indexed=()),
            lambda: bench.engine.open(name),
            lambda: bench.engine.drop(name),
        ):
            with pytest.raises(InputError, match="collection name") as caught:
                refused()
            assert not isinstance(caught.value, CollectionNotFound)
