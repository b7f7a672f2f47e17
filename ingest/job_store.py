"""Keeps the records of jobs in the ledger of a store, whatever the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Lock
from typing import Any
from uuid import uuid4

from chunking.errors import StoreError
from ingest.errors import JobInFlight, JobNotFound
from ingest.jobs import JOB_FIELDS, KEPT, Job, job_payload, read_job
from retrieval.ledger import LEDGER, open_ledger
from retrieval.points import Engine, Point, PointStore, Where
from retrieval.scope import TENANT, point_id, scoped

_KIND = "job"
_NEVER: Where = {"revision": ("",)}
"""The condition that no stored job meets: of many that insert one job, the first wins."""
_LISTED_FIELDS = tuple(name for name in JOB_FIELDS if name != "quarantined")


class JobStore:
    """The jobs of a store; safe to share among threads, and with other processes.

    Every change is held against the revision that it changes, so that of two processes that take
    up one job, one does. All methods raise `StoreError` where the store fails.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = Lock()
        self._points: PointStore | None = None

    @property
    def ledger(self) -> PointStore:
        """The ledger, made on first use."""
        with self._lock:
            if self._points is None:
                self._points = open_ledger(self._engine)
            return self._points

    def submit(self, job: Job, documents: Sequence[Mapping[str, Any]] = ()) -> Job:
        """Record a new job, and return the one that is recorded under its id.

        Of many that submit under one key, one finds its own revision in what is returned; the
        others find that one's job. It is durable with its documents on return.
        """
        self.ledger.upsert([_point(job, documents)], only_if=_NEVER)
        return self.find(job.id)

    def advance(self, job: Job, **changes: Any) -> Job:
        """Record a change of a job, and return the job as it is recorded.

        What was sent along is kept until the job is done.

        Raises:
            JobInFlight: another process changed the job since it was read.
        """
        after = replace(job, **changes, revision=uuid4().hex)
        documents = () if after.state == "done" else self.documents(job)
        self.ledger.upsert([_point(after, documents)], only_if={"revision": (job.revision,)})
        if self.find(job.id).revision != after.revision:
            raise JobInFlight(f"job {job.id} was taken up by another process")
        return after

    def find(self, job_id: str) -> Job:
        """Return the job of an id.

        Raises:
            JobNotFound: there is none.
        """
        for job in self._read({"id": (job_id,)}):
            return job
        raise JobNotFound(f"no job {job_id!r}", param="job_id")

    def jobs(self, collection: str | None = None) -> list[Job]:
        """Return the jobs of a collection, or of all, newest first.

        They come without their quarantined documents, which may be many; `find` gives those.
        """
        where: Where = {} if collection is None else {"collection": (collection,)}
        found = self._read(where, fields=_LISTED_FIELDS)
        return sorted(found, key=lambda job: (job.submitted, job.id), reverse=True)

    def documents(self, job: Job) -> list[Mapping[str, Any]]:
        """Return the documents that were sent along with a job and are still kept."""
        if not job.document_count:
            return []
        for point in self.ledger.scroll(where=_scope({"id": (job.id,)}), fields=("documents",)):
            return list(point.payload["documents"])
        return []

    def forget_old(self, jobs: Sequence[Job]) -> None:
        """Remove the records of jobs that ended long ago, except each collection's last one.

        Args:
            jobs: newest first.
        """
        last = {job.collection: job.id for job in reversed(jobs)}
        old = [job.id for job in jobs if job.age > KEPT and job.id != last[job.collection]]
        if old:
            self.ledger.delete([point_id(_KIND, name) for name in old])

    def _read(self, where: Where, *, fields: Sequence[str] = JOB_FIELDS) -> list[Job]:
        # A reader makes no ledger where no job was ever recorded.
        if self._points is None and LEDGER not in self._engine.collections():
            return []
        found = self.ledger.scroll(where=_scope(where), fields=fields)
        return [_job(point) for point in found]


def _scope(where: Where) -> Where:
    return {"tenant": (TENANT,), "kind": (_KIND,), **where}


def _point(job: Job, documents: Sequence[Mapping[str, Any]]) -> Point:
    payload = {**job_payload(job), "documents": [dict(one) for one in documents]}
    return Point(point_id(_KIND, job.id), scoped(_KIND, payload))


def _job(point: Point) -> Job:
    try:
        return read_job(point.payload)
    except (KeyError, TypeError) as error:
        raise StoreError(
            "the record of a job is damaged, or of another version of Windowfit",
            hint="run the ingestion again: it goes on where the collection stands",
        ) from error
