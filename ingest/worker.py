"""Carries out the jobs of a service, one after another, on a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from chunking.errors import InputError, StoreError, StoreLocked, WindowfitError
from ingest.errors import JobInFlight
from ingest.job_store import JobStore
from ingest.jobs import Job
from ingest.presence import Presence
from ingest.tally import Progress
from ingest.work import JobDeferred, JobStopped, take_up

ATTEMPTS_LIMIT = 3
"""How often a starting service takes up a job: one that ends its process each time is left."""
STOP_SECONDS = 10.0
"""How long a service waits for the slice that is being embedded when it is stopped."""
IDLE_SECONDS = 15.0
"""How often an idle service looks for jobs of its own that it does not know of."""
DEFER_SECONDS = 5.0
"""How long a job waits, whose collection another writer holds, until it is tried again."""
_RETRY_SECONDS = 5.0

_LOG = logging.getLogger("windowfit.ingest")

Watch = Callable[[Progress], None]
"""Told how far a job is; raises JobStopped to end it."""


class JobWorker:
    """Runs queued jobs until it is stopped; safe to share among threads.

    Args:
        store: where jobs are recorded.
        execute: carries out one job and records how it ends.
    """

    def __init__(self, store: JobStore, execute: Callable[[Job, Watch], object]) -> None:
        self._store = store
        self._execute = execute
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._busy = False
        self._deferred: list[tuple[float, Job]] = []
        self._stopping = threading.Event()
        self._presence: Presence | None = None
        self._entering = threading.Lock()
        self._threads = [
            threading.Thread(target=self._work, name="jobs", daemon=True),
            threading.Thread(target=self._take_up_all, name="jobs to take up", daemon=True),
        ]

    def start(self) -> None:
        """Begin with the jobs that another service left, and with those that are queued.

        Those that one leaves later are taken up, too, when there is nothing else to do.
        """
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End at the next slice; what is not done waits for the next service.

        A slice that takes longer than `STOP_SECONDS` is left to end with the process.
        """
        self._stopping.set()
        self._queue.put(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(STOP_SECONDS)
        with self._entering:
            if self._presence is not None:
                self._presence.close()
                self._presence = None

    def presence(self) -> Presence:
        """Return what shows that this service runs; entered with its first job.

        Raises:
            StoreError: the store failed, or the service is stopping.
        """
        with self._entering:
            if self._stopping.is_set():
                raise StoreError("the service is stopping", hint="send the request again")
            if self._presence is None:
                self._presence = Presence(self._store.ledger)
            return self._presence

    def add(self, job: Job) -> None:
        """Put a recorded job behind those that wait."""
        self._queue.put(job)

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._add_due()
            try:
                job = self._queue.get(timeout=self._idle_seconds())
            except Empty:
                with suppress(WindowfitError):
                    self._add_lost()
                continue
            self._busy = True
            if job is None or not self._carry_out(job):
                return
            self._busy = not self._queue.empty()

    def _carry_out(self, job: Job) -> bool:
        """Run one job, and return whether another may follow."""
        told = {"job": job.id, "collection": job.collection}
        try:
            self._execute(job, self._watch)
        except JobStopped:
            _LOG.info("job stopped", extra={"fields": {**told, "state": "queued"}})
            return False
        except JobDeferred:
            self._deferred.append((time.monotonic() + DEFER_SECONDS, job))
        except JobInFlight:
            pass  # another process took it up
        except WindowfitError as error:
            # Recorded with the job; the log says it to whoever runs the service.
            failed = {**told, "state": "failed", "code": error.code}
            _LOG.warning("job failed", extra={"fields": failed})
        except Exception as error:  # noqa: BLE001 - one defect must not end the thread
            failed = {**told, "state": "failed"}
            _LOG.error("job failed", exc_info=error, extra={"fields": failed})
        return True

    def _add_due(self) -> None:
        """Put the deferred jobs that waited long enough behind the others."""
        while self._deferred and self._deferred[0][0] <= time.monotonic():
            self.add(self._deferred.pop(0)[1])

    def _idle_seconds(self) -> float:
        """Return how long to wait for a job until there is something else to do."""
        if not self._deferred:
            return IDLE_SECONDS
        return min(max(self._deferred[0][0] - time.monotonic(), 0.0), IDLE_SECONDS)

    def _add_lost(self) -> None:
        """Add the jobs that are this service's by the store, though none waits or runs here.

        The store may have recorded a job, or kept one in flight, without being able to say so.
        """
        if self._presence is None:
            return
        deferred = {job.id for _, job in self._deferred}
        lost = [job for job in self._store.jobs() if job.presence == self._presence.name]
        for job in lost[::-1]:
            if job.in_flight and job.id not in deferred:
                self.add(self._store.find(job.id))

    def _watch(self, _: Progress) -> None:
        if self._stopping.is_set():
            raise JobStopped

    def _take_up_all(self) -> None:
        with suppress(JobStopped):
            while not self._stopping.is_set():
                try:
                    # Behind what waits here, a job would wait longer than with an idle service.
                    if not self._busy:
                        self._take_up_left()
                except StoreError:
                    self._wait(_RETRY_SECONDS)
                except WindowfitError as error:
                    _LOG.warning("no job taken up", extra={"fields": {"code": error.code}})
                    return
                else:
                    self._wait(IDLE_SECONDS)

    def _take_up_left(self) -> None:
        left = [job for job in self._store.jobs() if _is_left(job)]
        for job in left[::-1]:
            self._take_up(job)

    def _take_up(self, job: Job) -> None:
        # A job of another service that runs, or that another one was faster to take up.
        with suppress(StoreLocked, InputError):
            self.add(take_up(job, self._store, self.presence(), wait=self._wait))

    def _wait(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise JobStopped


def _is_left(job: Job) -> bool:
    """Return whether a service took care of a job and may be gone."""
    left = job.state == "interrupted" or job.away
    return job.origin == "service" and left and job.attempts < ATTEMPTS_LIMIT
