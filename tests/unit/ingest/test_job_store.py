"""Of many that record or change one job, one does; and what ended long ago is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chunking.errors import InputError, StoreError
from ingest.changes import Quarantined
from ingest.errors import JobInFlight, JobNotFound
from ingest.job_store import JobStore
from ingest.presence import Presence
from retrieval.edge.engine import EdgeEngine
from retrieval.fingerprint import IndexFingerprint
from retrieval.index import Index
from retrieval.ledger import LEDGER
from retrieval.memory import MemoryEngine
from retrieval.places import collection_names
from retrieval.points import Engine
from tests.unit.ingest.jobs_bench import job_of, recorded

SENT = ({"id": "a", "text": "Peru"}, {"id": "b", "text": "Chad"})


@pytest.fixture(params=["memory", "edge"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    made: Engine = MemoryEngine() if request.param == "memory" else EdgeEngine(tmp_path / "store")
    yield made
    made.close()


@pytest.fixture
def presence(engine: Engine) -> Iterator[Presence]:
    with Presence(JobStore(engine).ledger) as shown:
        yield shown


def test_of_many_submissions_under_one_key_one_is_recorded(
    engine: Engine, presence: Presence
) -> None:
    store = JobStore(engine)
    jobs = [job_of(presence.holder, key="k", request=str(n)) for n in range(20)]

    with ThreadPoolExecutor(20) as threads:
        stored = list(threads.map(store.submit, jobs))

    assert len({job.revision for job in stored}) == 1
    assert stored[0] in jobs
    assert store.jobs() == [stored[0]]


def test_jobs_without_a_key_are_jobs_of_their_own(engine: Engine, presence: Presence) -> None:
    store = JobStore(engine)

    recorded(store, presence.holder)
    recorded(store, presence.holder)

    assert len(store.jobs()) == 2


def test_of_two_that_change_one_revision_the_second_is_told(
    engine: Engine, presence: Presence
) -> None:
    store = JobStore(engine)
    job = recorded(store, presence.holder)
    after = store.advance(job, state="running", attempts=1)

    with pytest.raises(JobInFlight, match=job.id):
        store.advance(job, state="done")
    assert store.find(job.id) == after


def test_documents_sent_along_are_kept_until_the_job_is_done(
    engine: Engine, presence: Presence
) -> None:
    store = JobStore(engine)
    job = store.submit(job_of(presence.holder, document_count=2), SENT)

    for state in ("running", "partial", "failed", "queued", "running"):
        job = store.advance(job, state=state)
        assert store.documents(job) == list(SENT)
    job = store.advance(job, state="done")

    assert store.documents(job) == []


def test_jobs_come_newest_first_and_without_their_quarantined(
    engine: Engine, presence: Presence
) -> None:
    store = JobStore(engine)
    bad = Quarantined("a", "unreadable_document", "a: empty", "remove it")
    days = [f"2026-01-0{day}T00:00:00+00:00" for day in (2, 1, 3)]
    for day in days:
        recorded(store, presence.holder, submitted=day, quarantined=(bad,))

    jobs = store.jobs()

    assert [job.submitted for job in jobs] == sorted(days, reverse=True)
    assert {job.quarantined for job in jobs} == {()}
    assert store.find(jobs[0].id).quarantined == (bad,)


def test_only_the_jobs_of_the_named_collection_are_listed(
    engine: Engine, presence: Presence
) -> None:
    store = JobStore(engine)
    recorded(store, presence.holder, collection="a")
    recorded(store, presence.holder, collection="b")

    assert [job.collection for job in store.jobs("b")] == ["b"]


def test_an_unknown_job_is_said_to_be_unknown(engine: Engine) -> None:
    with pytest.raises(JobNotFound):
        JobStore(engine).find("nothing")


def test_reading_makes_no_ledger(engine: Engine) -> None:
    assert JobStore(engine).jobs() == []
    assert engine.collections() == ()


def test_jobs_that_ended_long_ago_are_forgotten_but_for_the_last_of_a_collection(
    engine: Engine, presence: Presence
) -> None:
    store = JobStore(engine)
    times: list[dict[str, Any]] = [
        {"submitted": "2020-01-01T00:00:00+00:00", "ended": "2020-01-01T00:00:00+00:00"},
        {"submitted": "2020-01-02T00:00:00+00:00", "ended": "2020-01-02T00:00:00+00:00"},
        {"submitted": "2020-01-01T00:00:00+00:00"},
    ]
    first, last, open_job = (
        recorded(store, presence.holder, state="done" if "ended" in one else "running", **one)
        for one in times
    )

    store.forget_old(store.jobs())

    assert {job.id for job in store.jobs()} == {last.id, open_job.id}
    assert first.id not in {job.id for job in store.jobs()}


def test_a_damaged_record_is_an_error_with_a_way_out(engine: Engine, presence: Presence) -> None:
    store = JobStore(engine)
    recorded(store, presence.holder)
    for point in list(store.ledger.scroll(where={"kind": ("job",)})):
        damaged = {name: value for name, value in point.payload.items() if name != "attempts"}
        store.ledger.upsert([replace(point, payload=damaged)])

    with pytest.raises(StoreError, match="damaged"):
        store.jobs()


def test_the_ledger_is_no_collection_of_a_user(engine: Engine, presence: Presence) -> None:
    assert engine.collections() == (LEDGER,)
    assert collection_names(engine) == ()
    with pytest.raises(InputError, match=LEDGER):
        Index.create(engine, LEDGER, IndexFingerprint("hash:8", 8, "s"))


def test_a_presence_that_ended_leaves_nothing_behind(engine: Engine) -> None:
    store = JobStore(engine)
    with Presence(store.ledger):
        assert list(store.ledger.scroll(where={"kind": ("presence",)}))

    assert not list(store.ledger.scroll(where={"kind": ("presence",)}))
