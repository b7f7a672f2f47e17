"""Takes jobs from callers of the service: one for each idempotency key, durable once accepted."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from chunking.errors import InputError, StoreLocked
from chunking.sensitivity import Sensitivity
from chunking.tokens import TokenCounter
from ingest.counting import load_counters
from ingest.errors import IdempotencyConflict, JobInFlight, JobNotFound, JobNotResumable
from ingest.job import Ingestion
from ingest.job_files import list_files
from ingest.job_store import JobStore
from ingest.jobs import Job, keyed_id, new_job
from ingest.source_folder import SourceFolder
from ingest.work import JobDeferred, Work, execute_job, prepare_ingestion, take_up
from ingest.worker import JobWorker, Watch
from retrieval.checks import check_collection_name
from retrieval.embed import Embedder
from retrieval.index import Index
from retrieval.points import Engine
from retrieval.providers import fingerprint_of, open_splitter
from retrieval.settings import IndexSettings
from retrieval.writer import IndexWriter

_LOG = logging.getLogger("windowfit.ingest")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job that was asked for.

    Attributes:
        replayed: whether it is that of an earlier request under the same key.
    """

    job: Job
    replayed: bool


class JobService:
    """Everything that the routes of jobs do; safe to share among threads.

    Args:
        engine: the store, which the service reads while jobs write.
        embedder: shared with the service, as a device has room for one.
        settings: those of the index.
    """

    def __init__(self, engine: Engine, embedder: Embedder, settings: IndexSettings) -> None:
        self.store = JobStore(engine)
        self.sources = SourceFolder(settings.job_sources)
        self.worker = JobWorker(self.store, self._execute)
        self._engine = engine
        self._embedder = embedder
        self._settings = settings
        self._splitter = open_splitter(settings, embedder)
        self._loaded: list[TokenCounter] | None = None

    def submit(
        self,
        *,
        collection: str,
        source: str | None,
        documents: Sequence[Mapping[str, Any]],
        prune: bool,
        key: str | None,
        sensitivity: Sensitivity | None = None,
    ) -> Accepted:
        """Record a job and have it run, or return the one that its key stands for.

        That one runs again where it was interrupted, or failed of what may pass.

        Raises:
            JobInFlight: the job of this key waits or runs.
            IdempotencyConflict: the key is that of another request.
            InputError: the collection cannot be named so, or the source not be read.
        """
        asked = {"collection": collection, "source": source, "prune": prune}
        if sensitivity is not None:
            asked["sensitivity"] = sensitivity.value
        request = _digest({**asked, "documents": list(documents)})
        check_collection_name(collection)
        if key and (earlier := self._earlier(key)) is not None:
            return self._again_by_key(earlier, request)
        place = self.sources.resolve(source) if source is not None else ""
        presence = self.worker.presence()
        job = new_job(
            collection=collection,
            source=place,
            prune=prune,
            origin="service",
            holder=presence.holder,
            presence=presence.name,
            key=key or "",
            request=request,
            document_count=len(documents),
            sensitivity=sensitivity,
        )
        stored = self.store.submit(job, documents)
        if stored.revision != job.revision:
            return self._again_by_key(stored, request)
        self.worker.add(job)
        return Accepted(job, replayed=False)

    def again(self, job_id: str, *, retry: bool) -> Job:
        """Have a job run again: the whole of it, or what it quarantined.

        Raises:
            JobNotFound, JobInFlight, JobNotResumable: see `take_up`.
            InputError: its source is not one that the service may read.
        """
        job = self.store.find(job_id)
        if job.rebuild and not retry:
            raise JobNotResumable(
                f"job {job.id} is a rebuild, which a service does not do",
                hint="go on with `windowfit ingest resume`",
            )
        if job.source:
            self._may_read(job)
        presence = self.worker.presence()
        queued = take_up(job, self.store, presence, retry=retry, origin="service")
        self.worker.add(queued)
        return queued

    def _earlier(self, key: str) -> Job | None:
        try:
            return self.store.find(keyed_id(key))
        except JobNotFound:
            return None

    def _again_by_key(self, job: Job, request: str) -> Accepted:
        """Return the job of a key: replayed where it ended, and where it did not, queued again."""
        if job.request != request:
            raise IdempotencyConflict(
                f"this Idempotency-Key is that of job {job.id}, which asks for something else",
                param="idempotency-key",
            )
        if job.in_flight:
            raise JobInFlight(f"job {job.id} of this Idempotency-Key is {job.state}")
        passing = job.error is not None and job.error.retryable
        if job.state == "interrupted" or (job.state == "failed" and passing):
            return Accepted(self.again(job.id, retry=False), replayed=False)
        return Accepted(job, replayed=True)

    def _may_read(self, job: Job) -> None:
        if job.source != "-":  # refused for another reason
            self.sources.check(job.source)

    def _execute(self, job: Job, watch: Watch) -> None:
        ended = execute_job(job, self.store, partial(self._prepare, job, watch)).job
        counts = asdict(ended.counts) if ended.counts is not None else None
        _log("job ended", ended, state=ended.state, attempt=ended.attempts, counts=counts)

    def _prepare(self, job: Job, watch: Watch) -> AbstractContextManager[Work]:
        within = self.sources.check(job.source) if job.source else None
        try:
            files = list_files(job, self.store, settings=self._settings, within=within)
        except InputError as error:
            raise InputError(
                f"source {self.sources.shown(job.source)!r} is not there, or holds no files",
                param="source",
            ) from error
        fingerprint = fingerprint_of(self._embedder, self._splitter)
        index = Index.create(self._engine, job.collection, fingerprint)
        counters = self._counters()  # before the collection is held, which a failure would leave so
        try:
            writer = IndexWriter(index)
        except StoreLocked as error:
            raise JobDeferred from error
        ingestion = Ingestion(
            writer,
            self._embedder,
            self._splitter,
            counters,
            batch_chunks=self._settings.batch_chunks,
        )
        _log("job begun", job, state="running", attempt=job.attempts + 1)
        return prepare_ingestion(files, job, ingestion, watch)

    def _counters(self) -> list[TokenCounter]:
        """Return the tokenizers that count, loaded with the first job."""
        if self._loaded is None:
            self._loaded = load_counters(self._settings)
        return self._loaded


def _log(event: str, job: Job, **fields: object) -> None:
    """Tell whoever runs the service of a job, by numbers: no text of a document, and no path."""
    told = {"job": job.id, "collection": job.collection, **fields}
    _LOG.info(event, extra={"fields": told})


def _digest(asked: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
