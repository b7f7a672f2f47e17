"""Every engine keeps the promises of `Engine` and `PointStore`, the in-memory one included."""

from __future__ import annotations

import random
import threading
from typing import Any

import numpy as np
import pytest

from chunking.errors import CollectionNotFound
from retrieval.memory import MemoryEngine
from retrieval.terms import Terms
from tests.contract.workbench import (
    Workbench,
    ids,
    payloads,
    point,
    point_id,
    random_points,
    unit,
)

# a filter and the numbers of the points that it takes
FILTERS: list[tuple[dict[str, list[str]], list[int]]] = [
    ({}, [1, 2, 3, 4]),
    ({"kind": ["chunk"]}, [1, 2, 3]),
    ({"kind": ["chunk", "record"]}, [1, 2, 3, 4]),
    ({"kind": ["chunk"], "document": ["a", "b"]}, [1, 2, 3]),
    ({"kind": ["chunk"], "document": ["a"]}, [1, 2]),
    ({"kind": ["record"], "document": ["b"]}, []),
    ({"plain": ["x"]}, [1, 3]),
    ({"kind": []}, []),
    ({"absent": ["x"]}, []),
]


class TestEngine:
    """The contract."""

    def test_a_point_comes_back_as_it_was_stored(self, bench: Workbench) -> None:
        store = bench.create()
        payload: dict[str, Any] = {
            "text": "a",
            "nested": {"list": [1, 2.5, None, True]},
            "empty": [],
            "big": 2**53,
        }
        store.upsert([point(1, unit(0), **payload)])
        assert payloads(store) == {point_id(1): payload}
        [hit] = store.query(unit(0), limit=5, where={})
        assert (hit.id, hit.payload) == (point_id(1), payload)
        assert hit.score == pytest.approx(1.0, abs=1e-5)

    def test_payloads_keep_every_kind_of_text(self, bench: Workbench) -> None:
        texts = [
            "Côte d\u2019Ivoire",
            "한국",
            "😀 \u2028 \u0000 \t\r\n",
            "e\u0301 is not é",
            '"\\{}',
            "",
        ]
        store = bench.create()
        store.upsert([point(i, unit(0), kind=text, text=text) for i, text in enumerate(texts)])
        assert [found["text"] for found in payloads(store).values()] == texts
        assert [store.count(where={"kind": [text]}) for text in texts] == [1] * len(texts)

    def test_upsert_replaces_the_whole_point(self, bench: Workbench) -> None:
        store = bench.create()
        store.upsert([point(1, unit(0), kind="old", only="before"), point(2, unit(1), kind="old")])
        store.upsert([point(1, unit(3), kind="new")])
        assert payloads(store)[point_id(1)] == {"kind": "new"}
        assert ids(store.query(unit(3), limit=1, where={})) == [point_id(1)]
        assert (store.count(where={}), store.count(where={"kind": ["old"]})) == (2, 1)

    def test_the_last_of_two_points_with_one_id_wins(self, bench: Workbench) -> None:
        store = bench.create()
        store.upsert([point(1, unit(0), kind="first"), point(1, unit(1), kind="second")])
        assert payloads(store) == {point_id(1): {"kind": "second"}}

    def test_replacing_by_a_point_without_vector_takes_it_out_of_queries(
        self, bench: Workbench
    ) -> None:
        store = bench.create()
        store.upsert([point(1, unit(0)), point(2, unit(1))])
        store.upsert([point(1, kind="record")])
        assert ids(store.query(unit(0), limit=5, where={})) == [point_id(2)]

    def test_an_empty_upsert_and_an_empty_delete_change_nothing(self, bench: Workbench) -> None:
        store = bench.create()
        store.upsert([])
        store.delete([])
        assert store.count(where={}) == 0
        assert store.query(unit(0), limit=5, where={}) == []
        assert list(store.scroll(where={})) == []

    def test_delete_removes_the_named_and_ignores_the_unknown(self, bench: Workbench) -> None:
        store = bench.create()
        store.upsert([point(1, unit(0)), point(2, unit(1)), point(3)])
        store.delete([point_id(1), point_id(3), point_id(99)])
        assert list(payloads(store)) == [point_id(2)]
        assert ids(store.query(unit(0), limit=5, where={})) == [point_id(2)]

    def test_query_finds_what_exact_search_in_memory_finds(self, bench: Workbench) -> None:
        points = random_points(500, dimension=32)
        store = bench.create(dimension=32)
        exact = MemoryEngine().create("exact", dimension=32, indexed=())
        for target in (store, exact):
            target.upsert(points)
        for question in np.random.default_rng(8).standard_normal((20, 32), dtype=np.float32):
            found = store.query(question, limit=25, where={})
            expected = exact.query(question, limit=25, where={})
            assert ids(found) == ids(expected)
            np.testing.assert_allclose(
                [hit.score for hit in found], [hit.score for hit in expected], atol=1e-4
            )

    def test_the_length_of_a_vector_does_not_matter(self, bench: Workbench) -> None:
        store = bench.create()
        store.upsert([point(1, unit(0) * np.float32(100)), point(2, unit(1) * np.float32(0.01))])
        [first, second] = store.query(unit(1) * np.float32(7), limit=2, where={})
        assert (first.id, second.id) == (point_id(2), point_id(1))
        assert (first.score, second.score) == pytest.approx((1.0, 0.0), abs=1e-5)

    def test_equal_scores_are_in_the_order_of_ids(self, bench: Workbench) -> None:
        store = bench.create()
        numbers = random.Random(3).sample(range(50), 50)
        store.upsert([point(number, unit(0)) for number in numbers])
        assert ids(store.query(unit(0), limit=50, where={})) == [point_id(i) for i in range(50)]

    def test_points_without_vector_are_stored_and_never_found_by_query(
        self, bench: Workbench
    ) -> None:
        store = bench.create()
        store.upsert([point(1, kind="record"), point(2, unit(0), kind="chunk")])
        assert store.count(where={}) == 2
        assert ids(store.scroll(where={"kind": ["record"]})) == [point_id(1)]
        assert ids(store.query(unit(0), limit=10, where={})) == [point_id(2)]
        assert store.query(unit(0), limit=10, where={"kind": ["record"]}) == []

    def test_a_filter_takes_any_value_of_every_key(self, bench: Workbench) -> None:
        store = bench.create()
        store.upsert(
            [
                point(1, unit(0), kind="chunk", document="a", plain="x"),
                point(2, unit(0), kind="chunk", document="a", plain="y"),
                point(3, unit(0), kind="chunk", document="b", plain="x"),
                point(4, unit(0), kind="record", document="a"),
            ]
        )
        for where, expected in FILTERS:
            wanted = [point_id(number) for number in expected]
            assert ids(store.scroll(where=where)) == wanted, where
            assert ids(store.query(unit(0), limit=10, where=where)) == wanted, where
            assert store.count(where=where) == len(wanted), where

    def test_query_returns_at_most_the_limit_among_those_that_match(self, bench: Workbench) -> None:
        store = bench.create()
        store.upsert([point(i, unit(0), kind="odd" if i % 2 else "even") for i in range(40)])
        assert len(store.query(unit(0), limit=7, where={"kind": ["odd"]})) == 7
        assert len(store.query(unit(0), limit=100, where={"kind": ["odd"]})) == 20
        assert store.query(unit(0), limit=0, where={}) == []

    def test_scroll_yields_every_point_once_over_many_pages(self, bench: Workbench) -> None:
        store = bench.create()
        store.upsert([point(i, kind="odd" if i % 2 else "even") for i in range(2500)])
        assert ids(store.scroll(where={})) == [point_id(i) for i in range(2500)]
        odd = [point_id(i) for i in range(1, 2500, 2)]
        assert ids(store.scroll(where={"kind": ["odd"]})) == odd
        assert all(found.vector is None for found in store.scroll(where={}))

    def test_a_query_looks_at_the_points_of_given_ids_alone(self, bench: Workbench) -> None:
        store = bench.create()
        terms = Terms.of({7: 1.0})
        kinds = ("even", "odd")
        store.upsert(
            [point(i, unit(0), terms=terms, kind=kinds[i % 2], text="x") for i in range(300)]
        )
        sought = [point_id(i) for i in (201, 7, 8, 5000)]

        for by in (unit(0), terms):
            found = store.query(by, limit=9, where={}, ids=sought)
            assert [(hit.id, hit.payload) for hit in found] == [
                (point_id(i), {"kind": kinds[i % 2], "text": "x"}) for i in (7, 8, 201)
            ]
            matching = store.query(by, limit=9, where={"kind": ["even"]}, ids=sought)
            assert [(hit.id, hit.payload["kind"]) for hit in matching] == [(point_id(8), "even")]
            assert store.query(by, limit=9, where={}, ids=[]) == []

    def test_scroll_reads_the_points_of_given_ids_alone(self, bench: Workbench) -> None:
        store = bench.create()
        terms = Terms.of({7: 1.0})
        kinds = ("even", "odd")
        store.upsert(
            [point(i, unit(0), terms=terms, kind=kinds[i % 2], text="x") for i in range(1500)]
        )
        wanted = [point_id(i) for i in (*range(1400, 20, -1), 7, 7, 5000)]

        found = list(store.scroll(where={}, ids=wanted))
        assert ids(found) == [point_id(i) for i in (7, *range(21, 1401))]
        assert found[0].payload == {"kind": "odd", "text": "x"}
        assert (found[0].vector, found[0].terms) == (None, None)
        odd = store.scroll(where={"kind": ["odd"]}, ids=wanted[-5:], fields=["text"], vectors=True)
        [first, second] = odd
        assert (first.id, second.id) == (point_id(7), point_id(21))
        assert (first.payload, first.terms) == ({"text": "x"}, None)
        assert first.vector is not None
        assert first.vector.tolist() == unit(0).tolist()
        assert list(store.scroll(where={}, ids=[])) == []
        assert list(store.scroll(where={"kind": ["even"]}, ids=wanted[-2:])) == []

    def test_scroll_cuts_payloads_down_to_the_fields(self, bench: Workbench) -> None:
        store = bench.create()
        store.upsert([point(1, unit(0), kind="chunk", text="long", tokens=3), point(2, text="b")])
        found = {p.id: p.payload for p in store.scroll(where={}, fields=["kind", "tokens", "none"])}
        assert found == {point_id(1): {"kind": "chunk", "tokens": 3}, point_id(2): {}}
        assert [p.payload for p in store.scroll(where={}, fields=[])] == [{}, {}]

    def test_scroll_yields_vectors_of_length_one_when_asked(self, bench: Workbench) -> None:
        points = random_points(700, dimension=32)
        store = bench.create(dimension=32)
        store.upsert([*points, point(900, text="no vector"), point(901, np.zeros(32, np.float32))])
        found = {p.id: p.vector for p in store.scroll(where={}, fields=["place"], vectors=True)}
        assert list(found) == [*map(point_id, range(700)), point_id(900), point_id(901)]
        assert found[point_id(900)] is None
        zeros = found[point_id(901)]
        assert zeros is not None
        assert not zeros.any()
        for stored in points:
            vector = found[stored.id]
            assert stored.vector is not None
            assert vector is not None
            assert vector.dtype == np.float32
            expected = stored.vector / np.linalg.norm(stored.vector)
            np.testing.assert_allclose(vector, expected, atol=1e-6)

    def test_a_vector_that_came_back_is_stored_again_unchanged(self, bench: Workbench) -> None:
        store = bench.create(dimension=32)
        store.upsert(random_points(50, dimension=32))
        first = list(store.scroll(where={}, vectors=True))
        store.upsert(first)
        for before, after in zip(first, store.scroll(where={}, vectors=True), strict=True):
            assert (before.id, before.payload) == (after.id, after.payload)
            assert before.vector is not None
            assert after.vector is not None
            np.testing.assert_allclose(before.vector, after.vector, atol=1e-7)

    def test_a_conditional_write_replaces_only_what_matches_and_inserts_what_is_new(
        self, bench: Workbench
    ) -> None:
        store = bench.create()
        store.upsert(
            [
                point(1, unit(0), kind="chunk", document="a", version="1"),
                point(2, unit(0), kind="chunk", document="b", version="2"),
                point(3, kind="record", document="a"),
            ]
        )
        new = [point(number, unit(1), kind="new", document="n") for number in (1, 2, 3, 4)]
        store.upsert(new, only_if={"version": ["1", "3"], "kind": ["chunk"]})
        kinds = [found["kind"] for found in payloads(store).values()]
        assert kinds == ["new", "chunk", "record", "new"]
        assert payloads(store)[point_id(1)] == {"kind": "new", "document": "n"}
        assert ids(store.query(unit(1), limit=2, where={})) == [point_id(1), point_id(4)]
        assert store.count(where={"kind": ["new"]}) == 2

    @pytest.mark.parametrize(("where", "kind"), [({}, "new"), ({"kind": []}, "old")])
    def test_a_condition_that_all_or_none_can_meet_replaces_all_or_none(
        self, bench: Workbench, where: dict[str, list[str]], kind: str
    ) -> None:
        store = bench.create()
        store.upsert([point(1, kind="old")])
        store.upsert([point(1, kind="new"), point(2, kind="new")], only_if=where)
        assert [found["kind"] for found in payloads(store).values()] == [kind, "new"]

    def test_a_condition_is_held_against_what_was_stored_before_the_call(
        self, bench: Workbench
    ) -> None:
        store = bench.create()
        store.upsert([point(i, version="1") for i in range(600)])
        new = [point(i % 600, version="2", place=i // 600) for i in range(1200)]
        store.upsert(new, only_if={"version": ["1"]})
        found = payloads(store)
        assert len(found) == 600
        assert all(payload == {"version": "2", "place": 1} for payload in found.values())

    def test_exactly_one_of_100_threads_wins_each_round_of_compare_and_set(
        self, bench: Workbench
    ) -> None:
        store = bench.create()
        for version in range(5):
            winners: list[int] = []
            failures: list[BaseException] = []
            together = threading.Barrier(100)

            def compete(
                number: int,
                version: int = version,
                winners: list[int] = winners,
                failures: list[BaseException] = failures,
                together: threading.Barrier = together,
            ) -> None:
                try:
                    mine = point(1, unit(0), kind=str(version + 1), document=str(number))
                    together.wait()
                    # The point is missing in the first round: to insert it is to win.
                    store.upsert([mine], only_if={"kind": [str(version)]})
                    if store.count(where={"document": [str(number)]}):
                        winners.append(number)
                except BaseException as error:  # noqa: BLE001 - raised again below, in the test
                    failures.append(error)

            threads = [threading.Thread(target=compete, args=(number,)) for number in range(100)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert failures == []
            assert len(winners) == 1
            assert payloads(store)[point_id(1)] == {
                "kind": str(version + 1),
                "document": str(winners[0]),
            }

    def test_creating_twice_keeps_the_points(self, bench: Workbench) -> None:
        bench.create().upsert([point(1, unit(0), kind="chunk")])
        again = bench.create()
        assert payloads(again) == {point_id(1): {"kind": "chunk"}}

    def test_two_stores_of_one_collection_see_each_other(self, bench: Workbench) -> None:
        first = bench.create()
        second = bench.engine.open(bench.collection)
        first.upsert([point(1, unit(0))])
        assert ids(second.scroll(where={})) == [point_id(1)]

    def test_collections_are_listed_sorted(self, bench: Workbench) -> None:
        names = [f"{bench.collection}-{suffix}" for suffix in ("b", "a", "C.1_x")]
        for name in names:
            bench.engine.create(name, dimension=4, indexed=())
        found = [name for name in bench.engine.collections() if name in names]
        for name in names:
            bench.engine.drop(name)
        assert found == sorted(names)
        assert not set(names) & set(bench.engine.collections())

    def test_an_unknown_collection_is_refused_with_the_names_that_exist(
        self, bench: Workbench
    ) -> None:
        bench.create()
        with pytest.raises(CollectionNotFound, match=bench.collection) as caught:
            bench.engine.open("nowhere")
        assert "'nowhere'" in caught.value.message
        assert caught.value.param == "collection"

    def test_drop_removes_the_points_and_ignores_the_unknown(self, bench: Workbench) -> None:
        bench.create().upsert([point(1, unit(0))])
        bench.engine.drop(bench.collection)
        bench.engine.drop(bench.collection)
        assert bench.collection not in bench.engine.collections()
        with pytest.raises(CollectionNotFound):
            bench.engine.open(bench.collection)
        assert bench.create().count(where={}) == 0

    def test_who_holds_a_dropped_collection_is_told_that_it_is_gone(self, bench: Workbench) -> None:
        store = bench.create()
        store.upsert([point(1, unit(0))])
        bench.engine.drop(bench.collection)
        for use in (
            lambda: store.count(where={}),
            lambda: list(store.scroll(where={})),
            lambda: store.query(unit(0), limit=1, where={}),
            lambda: store.upsert([point(2, unit(0))]),
            lambda: store.delete([point_id(1)]),
        ):
            with pytest.raises(CollectionNotFound):
                use()

    def test_a_numbered_place_beside_a_collection_is_one_of_its_own(self, bench: Workbench) -> None:
        bench.create().upsert([point(1, unit(0))])
        place = f"{bench.collection}@1"
        beside = bench.engine.create(place, dimension=2, indexed=("kind",))
        beside.upsert([point(2, np.asarray((1, 0), dtype=np.float32))])
        assert ids(bench.engine.open(place).scroll(where={})) == [point_id(2)]
        bench.engine.drop(place)
        assert place not in bench.engine.collections()
        assert ids(bench.engine.open(bench.collection).scroll(where={})) == [point_id(1)]
