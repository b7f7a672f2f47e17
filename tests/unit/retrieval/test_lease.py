"""One writer at a time changes a collection, and a dead one stands in nobody's way."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

import retrieval.lease
from chunking.errors import StoreError, StoreLocked
from retrieval import lease as lease_module
from retrieval.lease import BEAT_SECONDS, PATIENCE_SECONDS, Lease, holder_name
from retrieval.memory import MemoryPointStore
from retrieval.points import Point

SCOPE = {"kind": "lease", "tenant": "default"}
POINT_ID = "a" * 32


@pytest.fixture
def store() -> MemoryPointStore:
    return MemoryPointStore(dimension=2)


def no_wait(_: float) -> None:
    pytest.fail("waited")


def take(store: MemoryPointStore, wait: Callable[[float], None] = no_wait) -> Lease:
    return Lease(store, scope=SCOPE, point_id=POINT_ID, wait=wait)


@pytest.fixture
def held(store: MemoryPointStore) -> Iterator[Lease]:
    lease = take(store)
    yield lease
    lease.release()


def rewrite(store: MemoryPointStore, **changes: object) -> None:
    point = store.points[POINT_ID]
    store.upsert([replace(point, payload={**point.payload, **changes})])


def test_a_second_writer_is_told_who_holds_the_collection(
    store: MemoryPointStore, held: Lease
) -> None:
    with pytest.raises(StoreLocked, match=f"process {os.getpid()} on ") as caught:
        take(store)
    assert caught.value.retryable
    held.check()


def test_a_released_lease_is_free_for_the_next(store: MemoryPointStore) -> None:
    take(store).release()
    free = dict(store.points[POINT_ID].payload)
    take(store).release()
    assert store.points[POINT_ID].payload == free


def test_of_many_that_want_it_at_once_exactly_one_has_it(store: MemoryPointStore) -> None:
    barrier = threading.Barrier(16)

    def attempt(_: int) -> Lease | None:
        barrier.wait()
        try:
            return take(store)
        except StoreLocked:
            return None

    with ThreadPoolExecutor(16) as pool:
        winners = [lease for lease in pool.map(attempt, range(16)) if lease]
    assert len(winners) == 1
    winners[0].release()


def test_a_writer_whose_process_ended_is_replaced_at_once(store: MemoryPointStore) -> None:
    take(store).release()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    lease = take(store)
    rewrite(store, pid=ended.pid, started="1")
    second = take(store)
    with pytest.raises(StoreError, match="another writer took over"):
        lease.check()
    lease.release()
    second.check()
    second.release()


def test_a_beat_that_is_not_fresh_is_asked_for_before_a_write(
    store: MemoryPointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = take(store)
    rewrite(store, owner="another", beat="another")
    lease.confirm()
    late = retrieval.lease._clock() + PATIENCE_SECONDS
    monkeypatch.setattr("retrieval.lease._clock", lambda: late)
    with pytest.raises(StoreError, match="another writer took over"):
        lease.confirm()
    with pytest.raises(StoreError, match="another writer took over"):
        lease.confirm()
    lease.release()


def test_a_number_that_another_process_has_now_is_not_taken_for_the_old_one(
    store: MemoryPointStore, held: Lease
) -> None:
    rewrite(store, started="1")
    take(store).release()


def test_of_a_stored_lease_only_a_holder_that_may_be_alive_is_told(
    store: MemoryPointStore, held: Lease
) -> None:
    alive = holder_name(store.points[POINT_ID])
    rewrite(store, host="elsewhere/1")
    elsewhere = holder_name(store.points[POINT_ID])
    rewrite(store, host=held.holder.host, pid=2**22 + 1, started="1")
    gone = holder_name(store.points[POINT_ID])

    assert alive is not None
    assert alive.startswith(f"process {os.getpid()} on ")
    assert elsewhere == f"process {os.getpid()} on elsewhere"
    assert gone is None


def test_a_beat_that_stands_still_elsewhere_is_given_time_and_then_taken_over(
    store: MemoryPointStore, held: Lease
) -> None:
    rewrite(store, host="elsewhere/1")
    waits: list[float] = []
    lease = take(store, waits.append)
    assert sum(waits) >= PATIENCE_SECONDS
    lease.release()


def test_a_beat_that_moves_elsewhere_is_waited_for_no_longer(
    store: MemoryPointStore, held: Lease
) -> None:
    rewrite(store, host="elsewhere/1")
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        rewrite(store, beat=str(len(waits)))

    with pytest.raises(StoreLocked, match=r"process \d+ on elsewhere$"):
        take(store, wait)
    assert sum(waits) < BEAT_SECONDS


def test_a_holder_shows_that_it_is_alive(
    store: MemoryPointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "BEAT_SECONDS", 0.01)
    lease = take(store)
    first = store.points[POINT_ID].payload["beat"]
    for _ in range(500):
        threading.Event().wait(0.01)
        if store.points[POINT_ID].payload["beat"] != first:
            break
    else:
        pytest.fail("the beat stood still")
    lease.release()


def test_a_store_that_cannot_be_reached_holds_no_lease_against_this_process() -> None:
    class Unreachable(MemoryPointStore):
        down = False

        def upsert(self, points: list[Point], **options: object) -> None:  # type: ignore[override]
            if self.down:
                raise StoreError("the store is down")
            super().upsert(points, **options)  # type: ignore[arg-type]

    store = Unreachable(dimension=2)
    lease = take(store)
    store.down = True
    lease.release()
    store.down = False
    take(store).release()
