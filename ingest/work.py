"""Carries jobs out and records how they end, whatever runs the ingestion."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from chunking.errors import EmbeddingModelMismatch, StoreError, StoreLocked, WindowfitError
from chunking.sensitivity import Sensitivity
from ingest.errors import JobInFlight, JobNotResumable
from ingest.job import Ingestion, run_ingest
from ingest.job_files import JobFiles, absolute_source
from ingest.job_store import JobStore
from ingest.jobs import (
    QUARANTINED_LIMIT,
    RESUMABLE,
    Counts,
    Job,
    JobError,
    new_job,
    now,
    to_resume,
    to_retry,
)
from ingest.lines import STANDARD_INPUT
from ingest.presence import Presence, await_absence
from ingest.tally import IngestReport, Progress
from retrieval.fingerprint import IndexFingerprint

_LOG = logging.getLogger("windowfit.ingest")


class JobStopped(Exception):
    """Raised by what watches a run to stop it; the job is then left to be taken up."""


class JobDeferred(Exception):
    """Raised before a job is begun where another writer holds its collection; it waits on."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a job does, everything it needs being open.

    Attributes:
        ingest: does it, and reports.
        narrowed: whether it goes through quarantined files alone.
    """

    ingest: Callable[[], IngestReport]
    narrowed: bool = False


@dataclass(frozen=True, slots=True)
class JobRun:
    """A job that came to its end, and what its last attempt did."""

    job: Job
    report: IngestReport


@dataclass(frozen=True, slots=True)
class JobFailure:
    """A job that could not be carried out again, and why."""

    job: Job
    error: WindowfitError


@dataclass(frozen=True, slots=True)
class Repeated:
    """Jobs that were carried out again, why others could not be, and those of live processes."""

    runs: tuple[JobRun, ...] = ()
    failures: tuple[JobFailure, ...] = ()
    elsewhere: tuple[Job, ...] = ()


def record_job(
    store: JobStore,
    ingest: Callable[[], IngestReport],
    *,
    collection: str,
    source: str | None,
    prune: bool,
    rebuild: bool = False,
    fingerprint: IndexFingerprint | None = None,
    sensitivity: Sensitivity | None = None,
) -> JobRun:
    """Run an ingestion of a command as a job, the lease on its collection being held.

    Args:
        source: None where a collection is built anew from what it holds.
        fingerprint: that of what a rebuild is built by; it is resumed by no other.

    Raises:
        StoreError: the store failed; the job is recorded as failed, or reads as interrupted.
    """
    with Presence(store.ledger) as presence:
        job = new_job(
            collection=collection,
            source="" if source is None else absolute_source(source),
            prune=prune,
            rebuild=rebuild,
            fingerprint=_named(fingerprint) if rebuild and fingerprint else "",
            origin="command",
            holder=presence.holder,
            presence=presence.name,
            sensitivity=sensitivity,
        )
        job = store.submit(job)
        return execute_job(job, store, lambda: nullcontext(Work(ingest)))


def execute_job(
    job: Job, store: JobStore, prepare: Callable[[], AbstractContextManager[Work]]
) -> JobRun:
    """Carry out a queued job of this process, and record how it ends.

    It counts as begun when what it needs is open: its source listed, the lease on its collection
    held. What ends the process ends no job: it reads as interrupted then.

    Raises:
        WindowfitError: what the job failed of; recorded with it.
        JobStopped: it was stopped; it waits again.
        JobDeferred: it was not begun, and stays recorded as it is.
        JobInFlight: another process took it up.
    """
    try:
        with prepare() as work:
            job = store.advance(
                job, state="running", attempts=job.attempts + 1, started=now(), ended=None
            )
            report = work.ingest()
        job = store.advance(job, **_ended(job, report, narrowed=work.narrowed))
    except JobStopped:
        with suppress(StoreError):
            # No attempt that went wrong: a service that is stopped often is not to give it up.
            store.advance(job, state="queued", attempts=job.attempts - 1)
        raise
    except (JobDeferred, JobInFlight):
        raise
    except Exception as error:
        # Where the store cannot take it, the job reads as interrupted once this process is gone.
        with suppress(StoreError, JobInFlight):
            store.advance(job, state="failed", ended=now(), holder=None, error=_told(error))
        raise
    with suppress(StoreError):
        store.forget_old(store.jobs())
    return JobRun(job, report)


@contextmanager
def prepare_ingestion(
    files: JobFiles, job: Job, ingestion: Ingestion, on_progress: Callable[[Progress], None]
) -> Iterator[Work]:
    """Give the work of a job in this process; the lease on the collection is left at the end."""
    prune = job.prune and not job.retry
    with closing(ingestion.writer):
        ingest = partial(run_ingest, files.files, ingestion, prune=prune, on_progress=on_progress)
        yield Work(ingest, files.narrowed)


def take_up(
    job: Job,
    store: JobStore,
    presence: Presence,
    *,
    retry: bool = False,
    wait: Callable[[float], None] | None = None,
    **changes: Any,
) -> Job:
    """Queue a job again for this process: one that broke off, or failed, or quarantined documents.

    Args:
        retry: whether the documents that it quarantined are ingested again, and no others.
        wait: see `await_absence`; jobs in flight are refused where None.
        changes: of the record besides.

    Raises:
        JobInFlight: it waits or runs.
        JobNotResumable: there is nothing to do for it, or its source was standard input.
        StoreLocked: a process on another machine takes care of it.
    """
    job = store.find(job.id)
    if job.source == STANDARD_INPUT:
        raise JobNotResumable(
            f"job {job.id} read standard input, which is gone",
            hint="run the ingestion again with the same input: what is stored costs nothing",
        )
    if job.in_flight and not (wait and job.away):
        raise JobInFlight(f"job {job.id} is {job.state}")
    wanted: tuple[str, ...] = ("partial",) if retry else (*RESUMABLE, "queued", "running")
    if job.state not in wanted:
        raise JobNotResumable(f"job {job.id} is {job.state}", hint=_hint(job, retry=retry))
    if job.in_flight and wait:
        await_absence(store.ledger, job.presence, wait=wait)
    queued = {"state": "queued", "holder": presence.holder, "presence": presence.name}
    # A retry that broke off goes on as a retry.
    again = retry or job.retry
    return store.advance(job, **queued, retry=again, error=None, **changes)


def repeat_jobs(
    store: JobStore,
    prepare: Callable[[Job], AbstractContextManager[Work]],
    *,
    collection: str | None,
    retry: bool,
) -> Repeated:
    """Carry out again the jobs that were left, or retry what jobs quarantined, the oldest first.

    A job that fails keeps no other from running. One that a live process takes care of is left to
    it; whether a process of another machine lives takes up to half a minute to tell.

    Args:
        collection: all of them where None.
    """
    jobs = store.jobs(collection)
    runs: list[JobRun] = []
    failures: list[JobFailure] = []
    elsewhere: list[Job] = []
    left = to_retry(jobs) if retry else to_resume(jobs)
    if not left:
        return Repeated()
    with Presence(store.ledger) as presence:
        for job in left:
            try:
                queued = take_up(
                    job, store, presence, retry=retry, wait=time.sleep, origin="command"
                )
                runs.append(execute_job(queued, store, partial(prepare, queued)))
            except StoreLocked as error:
                # Elsewhere and alive: not left at all.
                if job.in_flight:
                    elsewhere.append(job)
                else:
                    failures.append(JobFailure(job, error))
            except WindowfitError as error:
                failures.append(JobFailure(job, error))
    return Repeated(tuple(runs), tuple(failures), tuple(elsewhere))


def check_settings(job: Job, fingerprint: IndexFingerprint) -> None:
    """Refuse to go on with a rebuild by other means than those it was begun with.

    Raises:
        EmbeddingModelMismatch: the embedder or the splitter is another.
    """
    if job.fingerprint not in {"", configured := _named(fingerprint)}:
        raise EmbeddingModelMismatch(
            f"the rebuild of collection {job.collection!r} was begun by {job.fingerprint}, "
            f"configured: {configured}",
            hint="resume it under the settings that it was begun with, or begin another: "
            "`windowfit ingest run SOURCE --collection NAME --rebuild`",
            param="collection",
        )


def _named(fingerprint: IndexFingerprint) -> str:
    return f"embedder {fingerprint.embedder}, splitter {fingerprint.splitter}"


def _ended(job: Job, report: IngestReport, *, narrowed: bool) -> dict[str, Any]:
    counts = Counts.of(report)
    return {
        "state": "partial" if report.quarantined else "done",
        "ended": now(),
        "holder": None,
        "retry": False,
        "counts": job.counts.retried(counts) if narrowed and job.counts else counts,
        "quarantined": report.quarantined[:QUARANTINED_LIMIT],
    }


def _told(error: Exception) -> JobError:
    if isinstance(error, WindowfitError):
        return JobError(error.code, error.message, error.hint, error.retryable)
    # The text of a defect may hold a document's.
    _LOG.error("defect", exc_info=error)
    defect = WindowfitError(f"internal error ({type(error).__name__})")
    return JobError(defect.code, defect.message, "report this with the job's id", retryable=False)


def _hint(job: Job, *, retry: bool) -> str:
    if retry:
        return "resume it" if job.state in RESUMABLE else "it quarantined no documents"
    return "retry what it quarantined" if job.state == "partial" else "it came to its end"
