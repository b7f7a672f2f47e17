"""Every engine ranks by terms as the in-memory one does."""

from __future__ import annotations

import random
from math import isnan

import numpy as np
import pytest

from chunking.errors import CollectionNotFound
from retrieval.edge.engine import EdgeEngine
from retrieval.memory import MemoryEngine
from retrieval.points import Point, PointStore
from retrieval.scope import INDEXED_KEYS, scope_of, scoped
from retrieval.terms import Terms, question_terms
from tests.contract.workbench import Workbench, ids, point, point_id, unit

WORDS = [1, 2, 3, 7, 2**31, 2**32 - 1, *range(100, 160)]


def terms(**weights: float) -> Terms:
    """Return terms of indices that are written as w1, w2, …"""
    return Terms.of({int(name[1:]): weight for name, weight in weights.items()})


def random_terms(rng: random.Random, *, most: int) -> Terms:
    chosen = rng.sample(WORDS, rng.randint(1, most))
    return Terms.of({index: rng.uniform(0.1, 2.2) for index in chosen})


def random_points(count: int) -> list[Point]:
    rng = random.Random(11)
    return [
        point(
            number,
            unit(number % 4) if number % 3 else None,
            terms=random_terms(rng, most=30) if number % 5 else None,
            kind="odd" if number % 2 else "even",
        )
        for number in range(count)
    ]


def assert_ranks_alike(store: PointStore, exact: PointStore) -> None:
    rng = random.Random(12)
    for where in ({}, {"kind": ["odd"]}):
        for _ in range(20):
            question = random_terms(rng, most=6)
            found = store.query(question, limit=40, where=where)
            expected = exact.query(question, limit=40, where=where)
            assert ids(found) == ids(expected)
            np.testing.assert_allclose(
                [hit.score for hit in found], [hit.score for hit in expected], rtol=1e-4
            )


def test_all_engines_rank_by_terms_alike(bench: Workbench) -> None:
    store, exact = bench.create(), MemoryEngine().create("exact", dimension=4, indexed=())
    for target in (store, exact):
        target.upsert(random_points(600))
    assert_ranks_alike(store, exact)


def test_all_engines_rank_alike_after_points_were_replaced(bench: Workbench) -> None:
    store, exact = bench.create(), MemoryEngine().create("exact", dimension=4, indexed=())
    rng = random.Random(13)
    for target in (store, exact):
        target.upsert(random_points(400))
    replaced = [point(number, terms=random_terms(rng, most=9), kind="odd") for number in range(90)]
    for target in (store, exact):
        target.upsert(replaced)
        target.upsert([point(number, kind="odd") for number in range(90, 120)])
    assert_ranks_alike(store, exact)


def test_the_nearest_and_the_best_by_terms_are_found_at_once_and_alike(bench: Workbench) -> None:
    store, exact = bench.create(), MemoryEngine().create("exact", dimension=4, indexed=())
    rng, directions = random.Random(14), np.random.default_rng(14)
    stored = [
        point(
            number,
            directions.standard_normal(4).astype(np.float32) if number % 7 else None,
            terms=random_terms(rng, most=30) if number % 5 else None,
            kind="odd" if number % 2 else "even",
        )
        for number in range(400)
    ]
    for target in (store, exact):
        target.upsert(stored)
    for where in ({}, {"kind": ["odd"]}):
        for number in range(20):
            sought = directions.standard_normal(4).astype(np.float32)
            question = random_terms(rng, most=6)
            found = store.query(sought, limit=10 + number, where=where, terms=question)
            as_bare = isinstance(bench.engine, EdgeEngine)
            expected = exact.query(
                sought, limit=10 + number, where=where, terms=question, bare=as_bare
            )
            assert ids(found) == ids(expected)
            assert [hit.far for hit in found] == [hit.far for hit in expected]
            for one, other in zip(found, expected, strict=True):
                assert one.score == pytest.approx(other.score, abs=1e-5, nan_ok=True)
                assert (one.term_score is None) == (other.term_score is None)
                assert (one.term_score or 0) == pytest.approx(other.term_score or 0, rel=1e-4)
                assert one.payload == other.payload
            near = store.query(sought, limit=10 + number, where=where)
            worded = store.query(question, limit=10 + number, where=where)
            assert ids(found)[: 10 + number] == ids(near)
            assert {hit.id for hit in found if hit.term_score is not None} <= set(ids(worded))
            assert {hit.term_score for hit in near} == {None}
            bare = store.query(sought, limit=10 + number, where=where, terms=question, bare=True)
            scores = {hit.id: hit.score for hit in worded}
            assert ids(bare[: 10 + number]) == ids(near)
            assert {hit.id for hit in bare} == {*ids(near), *scores}
            assert {hit.id: hit.term_score for hit in bare if hit.term_score} == scores
            far = bare[10 + number :]
            assert all(isnan(hit.score) and hit.far for hit in far)
            assert not any(hit.far for hit in bare[: 10 + number])
            assert ids(far) == sorted(ids(far), key=lambda name: -scores[name])
            assert not any(hit.payload for hit in bare)


def test_terms_beside_a_vector_find_what_is_far_from_it(bench: Workbench) -> None:
    store = bench.create()
    nearer = np.eye(4, dtype=np.float32)
    store.upsert([point(number, nearer[0] + number * nearer[2]) for number in range(9)])
    store.upsert([point(20, unit(1), terms=terms(w1=1)), point(21, terms=terms(w1=2))])
    hits = store.query(unit(0), limit=2, where={}, terms=terms(w1=1))
    near, far = hits[:2], {hit.id: hit for hit in hits[2:]}
    assert ids(near) == [point_id(0), point_id(1)]
    assert {hit.far for hit in far.values()} == {True}
    found = far.pop(point_id(20))
    assert found.score == 0.0 or isnan(found.score)
    assert found.term_score
    assert found.term_score > 0
    assert all(hit.id == point_id(21) and isnan(hit.score) for hit in far.values())
    assert ids(store.query(unit(0), limit=2, where={}, terms=terms(w5=1))) == ids(near)
    chosen = [point_id(3), point_id(20)]
    assert ids(store.query(unit(0), limit=1, where={}, ids=chosen, terms=terms(w1=1))) == chosen
    assert store.query(unit(0), limit=0, where={}, terms=terms(w1=1)) == []


def test_a_rare_term_counts_more_than_a_frequent_one(bench: Workbench) -> None:
    store = bench.create()
    store.upsert([point(number, terms=terms(w1=1)) for number in range(1, 9)])
    store.upsert([point(9, terms=terms(w1=1, w2=1)), point(10, terms=terms(w2=1))])
    assert ids(store.query(terms(w1=1, w2=1), limit=2, where={})) == [point_id(9), point_id(10)]


def test_what_shares_no_term_is_not_found(bench: Workbench) -> None:
    store = bench.create()
    store.upsert([point(1, unit(0), terms=terms(w1=1)), point(2, unit(0), terms=terms(w2=1))])
    assert ids(store.query(terms(w1=1), limit=9, where={})) == [point_id(1)]
    assert store.query(terms(w3=1), limit=9, where={}) == []
    assert store.query(Terms((), ()), limit=9, where={}) == []
    assert store.query(terms(w1=1), limit=0, where={}) == []


def test_points_without_terms_are_never_found_by_terms(bench: Workbench) -> None:
    store = bench.create()
    store.upsert([point(1, unit(0)), point(2), point(3, terms=Terms((), ()))])
    assert store.query(terms(w1=1), limit=9, where={}) == []
    store.upsert([point(4, terms=terms(w1=1))])
    assert ids(store.query(terms(w1=1), limit=9, where={})) == [point_id(4)]


def test_points_of_terms_alone_are_never_found_by_a_vector(bench: Workbench) -> None:
    store = bench.create()
    store.upsert([point(1, terms=terms(w1=1)), point(2, unit(0))])
    assert ids(store.query(unit(0), limit=9, where={})) == [point_id(2)]


def test_a_replaced_point_is_found_by_its_new_terms_only(bench: Workbench) -> None:
    store = bench.create()
    store.upsert([point(1, unit(0), terms=terms(w1=1)), point(2, unit(0), terms=terms(w1=1))])
    store.upsert([point(1, unit(0), terms=terms(w2=1))])
    assert ids(store.query(terms(w1=1), limit=9, where={})) == [point_id(2)]
    assert ids(store.query(terms(w2=1), limit=9, where={})) == [point_id(1)]
    store.upsert([point(1, unit(0))])
    assert store.query(terms(w2=1), limit=9, where={}) == []
    assert ids(store.query(unit(0), limit=9, where={})) == [point_id(1), point_id(2)]


def test_a_removed_point_is_not_found_by_its_terms(bench: Workbench) -> None:
    store = bench.create()
    store.upsert([point(1, terms=terms(w1=1)), point(2, terms=terms(w1=1))])
    store.delete([point_id(1)])
    assert ids(store.query(terms(w1=1), limit=9, where={})) == [point_id(2)]


def test_the_filter_of_a_tenant_holds_for_terms(bench: Workbench) -> None:
    store = bench.engine.create(bench.collection, dimension=4, indexed=INDEXED_KEYS)
    mine, theirs = scoped("chunk", {"document": "a"}), {"kind": "chunk", "tenant": "another"}
    store.upsert(
        [
            Point(point_id(1), mine, terms=terms(w1=1)),
            Point(point_id(2), {**theirs, "document": "a"}, terms=terms(w1=2)),
            Point(point_id(3), scoped("document", {"document": "a"}), terms=terms(w1=2)),
        ]
    )
    assert ids(store.query(terms(w1=1), limit=9, where=scope_of("chunk"))) == [point_id(1)]
    of_document = {**scope_of("chunk"), "document": ("b",)}
    assert store.query(terms(w1=1), limit=9, where=of_document) == []


def test_equal_scores_by_terms_are_in_the_order_of_ids(bench: Workbench) -> None:
    store = bench.create()
    numbers = random.Random(3).sample(range(50), 50)
    store.upsert([point(number, terms=terms(w1=1)) for number in numbers])
    assert ids(store.query(terms(w1=1), limit=50, where={})) == [point_id(i) for i in range(50)]


def test_terms_come_back_with_vectors_exactly_as_they_were_stored(bench: Workbench) -> None:
    store = bench.create()
    made = question_terms("The 1,284,000 people of Côte d'Ivoire, in 2025: a_name, 人口")
    stored = [
        point(1, unit(0), terms=made),
        point(2, terms=terms(w4294967295=0.1, w0=1.7)),
        point(3, unit(1)),
        point(4, unit(1), terms=Terms((), ())),
    ]
    store.upsert(stored)
    for _ in range(2):
        found = list(store.scroll(where={}, vectors=True))
        assert [one.terms for one in found] == [one.terms for one in stored]
        assert [one.vector is None for one in found] == [False, True, False, False]
        store.upsert(found)
    assert all(one.terms is None for one in store.scroll(where={}))


def test_who_holds_a_dropped_collection_is_told_when_asking_by_terms(bench: Workbench) -> None:
    store = bench.create()
    bench.engine.drop(bench.collection)
    with pytest.raises(CollectionNotFound):
        store.query(terms(w1=1), limit=1, where={})
