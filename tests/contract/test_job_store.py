"""Of many processes that record or change one job, one does: on each engine, over each wire."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from ingest.errors import JobInFlight
from ingest.job_store import JobStore
from ingest.jobs import Job, new_job
from ingest.presence import Presence
from retrieval.points import Engine
from tests.contract.workbench import Workbench

CALLERS = 16


@pytest.fixture
def engine(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The engine of the contract, with a ledger of this test's own, which is dropped with it."""
    monkeypatch.setattr("retrieval.ledger.LEDGER", bench.collection)
    monkeypatch.setattr("ingest.job_store.LEDGER", bench.collection)
    return bench.engine


@pytest.fixture
def presence(engine: Engine) -> Iterator[Presence]:
    with Presence(JobStore(engine).ledger) as shown:
        yield shown


def job_of(presence: Presence, *, key: str, request: str = "") -> Job:
    return new_job(
        collection="c",
        source="",
        prune=False,
        origin="service",
        holder=presence.holder,
        presence=presence.name,
        key=key,
        request=request,
        document_count=1,
    )


def test_of_many_submissions_under_one_key_one_is_recorded_with_its_own_documents(
    engine: Engine, presence: Presence
) -> None:
    stores = [JobStore(engine) for _ in range(CALLERS)]
    jobs = [job_of(presence, key="k", request=str(number)) for number in range(CALLERS)]
    sent = [[{"id": str(number), "text": "text"}] for number in range(CALLERS)]

    with ThreadPoolExecutor(CALLERS) as threads:
        stored = list(threads.map(lambda *one: one[0].submit(*one[1:]), stores, jobs, sent))

    [winner] = {job.revision for job in stored}
    number = [job.revision for job in jobs].index(winner)
    assert stored[0] == jobs[number]
    assert stores[0].documents(stored[0]) == sent[number]
    assert len(stores[0].jobs()) == 1


def test_of_many_that_take_one_revision_further_one_does(
    engine: Engine, presence: Presence
) -> None:
    store = JobStore(engine)
    job = store.submit(job_of(presence, key="k"))

    def advance(number: int) -> Job | None:
        try:
            return JobStore(engine).advance(job, state="running", attempts=number)
        except JobInFlight:
            return None

    with ThreadPoolExecutor(CALLERS) as threads:
        done = [one for one in threads.map(advance, range(1, CALLERS + 1)) if one is not None]

    assert done == [store.find(job.id)]


def test_as_much_text_as_a_request_holds_is_recorded_with_its_job(
    engine: Engine, presence: Presence
) -> None:
    store = JobStore(engine)
    sent = [{"id": str(number), "text": "\u20ac\n" * (1024 * 1024)} for number in range(4)]
    job = store.submit(replace(job_of(presence, key="k"), document_count=4), sent)

    running = store.advance(job, state="running")

    assert store.documents(running) == sent
