"""A job says where it stands, and which jobs are left to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ingest.changes import Quarantined
from ingest.job_store import JobStore
from ingest.jobs import Counts, Job, JobError, job_payload, read_job, to_resume, to_retry
from ingest.presence import Presence
from retrieval.memory import MemoryEngine
from tests.unit.ingest.jobs_bench import AWAY, died, job_of, report_of


@pytest.fixture
def presence() -> Iterator[Presence]:
    with Presence(JobStore(MemoryEngine()).ledger) as shown:
        yield shown


def test_a_job_reads_as_it_was_stored(presence: Presence) -> None:
    job = job_of(presence.holder, state="running", attempts=2, started="2026-01-01T00:00:00+00:00")
    full = replace(
        job,
        counts=Counts.of(report_of()),
        quarantined=(Quarantined("a", "unreadable_document", "a: empty", "remove it"),),
        error=JobError("store_locked", "held", "wait", retryable=True),
    )

    assert read_job(job_payload(full)) == full


def test_a_job_that_was_recorded_without_a_fingerprint_reads_all_the_same(
    presence: Presence,
) -> None:
    store = JobStore(MemoryEngine())
    job = store.submit(job_of(presence.holder))
    for point in list(store.ledger.scroll(where={"kind": ("job",)})):
        old = {name: value for name, value in point.payload.items() if name != "fingerprint"}
        store.ledger.upsert([replace(point, payload=old)])

    assert store.jobs() == [store.find(job.id)] == [job]


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_job_of_a_process_that_is_gone_reads_as_interrupted(
    presence: Presence, state: str
) -> None:
    payload = job_payload(job_of(died(presence.holder), state=state))

    assert read_job(payload).state == "interrupted"


def test_a_job_of_another_machine_reads_as_running_since_nobody_here_can_tell() -> None:
    job = read_job(job_payload(job_of(AWAY, state="running")))

    assert (job.state, job.away) == ("running", True)


@pytest.mark.parametrize("state", ["done", "partial", "failed"])
def test_a_job_that_ended_stays_what_it_is_whoever_is_gone(presence: Presence, state: str) -> None:
    assert read_job(job_payload(job_of(died(presence.holder), state=state))).state == state


def ended(presence: Presence, *states: str, **changes: object) -> list[Job]:
    """Return jobs of one source, newest first."""
    return [job_of(presence.holder, state=state, **changes) for state in states]


def test_what_broke_off_is_resumed_unless_a_later_job_covers_it(presence: Presence) -> None:
    assert [job.state for job in to_resume(ended(presence, "interrupted", "done"))] == [
        "interrupted"
    ]
    assert to_resume(ended(presence, "done", "interrupted")) == []
    assert to_resume(ended(presence, "done", "partial")) == []


def test_jobs_of_other_sources_or_collections_cover_nothing(presence: Presence) -> None:
    later = [
        job_of(presence.holder, state="done", source="/other"),
        job_of(presence.holder, state="done", collection="other"),
    ]
    [left] = ended(presence, "failed")

    assert to_resume([*later, left]) == [left]


def test_a_job_that_was_to_prune_is_not_covered_by_one_that_did_not(presence: Presence) -> None:
    [plain] = ended(presence, "done")
    [pruning] = ended(presence, "failed", prune=True)

    assert to_resume([plain, pruning]) == [pruning]
    assert to_resume([replace(pruning, state="done"), replace(plain, state="failed")]) == []


def test_jobs_with_documents_sent_along_are_told_apart_by_what_was_sent(presence: Presence) -> None:
    [later] = ended(presence, "done", source="", request="one", document_count=1)
    [other] = ended(presence, "failed", source="", request="two", document_count=1)

    assert to_resume([later, other]) == [other]
    assert to_resume([later, replace(other, request="one")]) == []


def test_the_oldest_job_is_resumed_first_so_that_the_last_word_is_the_newest(
    presence: Presence,
) -> None:
    [first] = ended(presence, "failed", source="/a")
    [second] = ended(presence, "interrupted", source="/b")

    assert to_resume([second, first]) == [first, second]


def test_only_the_last_job_of_a_source_is_retried(presence: Presence) -> None:
    partial, before = ended(presence, "partial", "partial")

    assert to_retry([partial, before]) == [partial]
    assert to_retry(ended(presence, "done", "partial")) == []


def test_the_counts_of_a_retry_add_up_to_all_files_of_the_job() -> None:
    first = Counts.of(
        report_of(files=5, written=3, quarantined=(Quarantined("a", "c", "r", "h"),) * 2)
    )
    again = Counts.of(report_of(files=2, written=1, quarantined=(Quarantined("a", "c", "r", "h"),)))

    after = first.retried(again)

    assert (after.files, after.written, after.quarantined) == (5, 4, 1)
    assert after.files == after.written + after.unchanged + after.quarantined
