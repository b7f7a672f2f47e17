"""The worker of a service runs job after job, takes up what was left, and can be stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chunking.errors import StoreError
from ingest import worker as worker_module
from ingest.job_store import JobStore
from ingest.jobs import Job
from ingest.presence import Presence
from ingest.tally import Progress
from ingest.worker import ATTEMPTS_LIMIT, JobWorker, Watch
from retrieval.memory import MemoryEngine
from tests.unit.ingest.jobs_bench import AWAY, died, recorded

SECONDS = 5


@pytest.fixture
def store() -> JobStore:
    return JobStore(MemoryEngine())


class Recorder:
    """Carries out jobs by noting them, and ends them as done."""

    def __init__(self, store: JobStore) -> None:
        self.store = store
        self.seen: list[Job] = []
        self.came = threading.Event()

    def __call__(self, job: Job, watch: Watch) -> None:
        self.seen.append(job)
        self.store.advance(job, state="done", holder=None)
        self.came.set()


@contextmanager
def working(store: JobStore, execute: Callable[[Job, Watch], object]) -> Iterator[JobWorker]:
    worker = JobWorker(store, execute)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def left(store: JobStore, **changes: Any) -> Job:
    """Record a job that a service left when it died."""
    with Presence(store.ledger) as presence:
        asked = {"origin": "service", "state": "running", "presence": presence.name, **changes}
        holder = asked.pop("holder", died(presence.holder))
        return recorded(store, holder, **asked)


@pytest.mark.parametrize("state", ["queued", "running"])
def test_what_a_dead_service_left_is_taken_up_at_the_start(store: JobStore, state: str) -> None:
    job = left(store, state=state)
    recorder = Recorder(store)

    with working(store, recorder):
        assert recorder.came.wait(SECONDS)

    assert [one.id for one in recorder.seen] == [job.id]
    assert store.find(job.id).state == "done"


def test_what_a_service_leaves_later_is_taken_up_by_one_that_is_idle(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "IDLE_SECONDS", 0.05)
    recorder = Recorder(store)

    with working(store, recorder):
        time.sleep(0.2)
        job = left(store)
        assert recorder.came.wait(SECONDS)

    assert [one.id for one in recorder.seen] == [job.id]


def test_what_a_service_on_another_machine_left_is_taken_up_once_its_beat_is_gone(
    store: JobStore,
) -> None:
    job = left(store, holder=AWAY)
    recorder = Recorder(store)

    with working(store, recorder):
        assert recorder.came.wait(SECONDS)

    assert [one.id for one in recorder.seen] == [job.id]


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": "command"},
        {"state": "failed"},
        {"state": "done"},
        {"attempts": ATTEMPTS_LIMIT},
    ],
)
def test_what_was_meant_to_end_or_ends_its_service_is_left(
    store: JobStore, changes: dict[str, Any]
) -> None:
    left(store, **changes)
    recorder = Recorder(store)

    with working(store, recorder):
        time.sleep(0.2)

    assert recorder.seen == []


def test_a_job_of_a_live_service_is_left_to_it(store: JobStore) -> None:
    recorder = Recorder(store)
    with Presence(store.ledger) as other:
        recorded(store, other.holder, origin="service", presence=other.name)
        with working(store, recorder):
            time.sleep(0.2)

    assert recorder.seen == []


def test_two_services_that_start_at_once_take_up_a_job_once(store: JobStore) -> None:
    left(store)
    one, other = Recorder(store), Recorder(store)

    with working(store, one), working(store, other):
        time.sleep(0.3)

    assert len(one.seen) + len(other.seen) == 1


def test_one_job_that_fails_or_has_a_defect_does_not_keep_the_next_from_running(
    store: JobStore,
) -> None:
    recorder = Recorder(store)
    failures: list[Exception] = [StoreError("down"), RuntimeError("a defect")]

    def execute(job: Job, watch: Watch) -> None:
        if failures:
            raise failures.pop()
        recorder(job, watch)

    with working(store, execute) as worker:
        holder = worker.presence().holder
        for _ in range(3):
            worker.add(recorded(store, holder, origin="service"))
        assert recorder.came.wait(SECONDS)

    assert len(recorder.seen) == 1


def test_a_running_job_is_stopped_at_its_next_slice(store: JobStore) -> None:
    running, stopped = threading.Event(), threading.Event()

    def execute(job: Job, watch: Watch) -> None:
        running.set()
        try:
            while True:
                watch(Progress(1, 0, 0))
                time.sleep(0.01)
        finally:
            stopped.set()

    with working(store, execute) as worker:
        worker.add(recorded(store, worker.presence().holder, origin="service"))
        assert running.wait(SECONDS)

    assert stopped.is_set()
    assert [job.state for job in store.jobs()] == ["interrupted"]


def test_a_slice_that_does_not_end_keeps_no_service_from_stopping(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "STOP_SECONDS", 0.1)
    running, release = threading.Event(), threading.Event()

    def execute(job: Job, watch: Watch) -> None:
        running.set()
        release.wait(SECONDS)

    with working(store, execute) as worker:
        worker.add(recorded(store, worker.presence().holder, origin="service"))
        assert running.wait(SECONDS)
        started = time.monotonic()
    seconds = time.monotonic() - started
    release.set()

    assert seconds < 2
    assert [job.state for job in store.jobs()] == ["interrupted"]


def test_a_service_that_is_stopping_takes_no_job(store: JobStore) -> None:
    with working(store, Recorder(store)) as worker:
        pass

    with pytest.raises(StoreError, match="stopping") as caught:
        worker.presence()
    assert caught.value.retryable


def test_a_service_without_jobs_writes_nothing() -> None:
    engine = MemoryEngine()
    store = JobStore(engine)

    with working(store, Recorder(store)):
        time.sleep(0.1)

    assert engine.collections() == ()
