"""What goes wrong with jobs; the tree of all errors is drawn in `chunking.errors`."""

from __future__ import annotations

from typing import ClassVar

from chunking.errors import InputError, WindowfitError


class JobNotFound(InputError):
    """No job of that id, or none that could be resumed or retried, is recorded."""

    code: ClassVar[str] = "job_not_found"
    status: ClassVar[int] = 404
    default_hint: ClassVar[str] = "`windowfit ingest status` names the last job of a collection"


class IdempotencyConflict(InputError):
    """The idempotency key belongs to another request."""

    code: ClassVar[str] = "idempotency_conflict"
    default_hint: ClassVar[str] = "send a new request under a new Idempotency-Key"


class JobInFlight(IdempotencyConflict):
    """The job of this idempotency key is still under way."""

    code: ClassVar[str] = "job_in_flight"
    status: ClassVar[int] = 409
    default_hint: ClassVar[str] = "ask GET /jobs/{id} for its state; the same request replays later"


class ClusterUnavailable(WindowfitError):
    """A cluster cannot be reached, is too small, or lost its workers; what was stored stays."""

    code: ClassVar[str] = "cluster_unavailable"
    status: ClassVar[int] = 503
    exit_code: ClassVar[int] = 4
    retryable: ClassVar[bool] = True
    default_hint: ClassVar[str] = "see to the cluster, then run the same again: it goes on"
    default_retry_after_seconds: ClassVar[int | None] = 5


class JobNotResumable(InputError):
    """The job cannot go on, or be retried, as it stands."""

    code: ClassVar[str] = "job_not_resumable"
    status: ClassVar[int] = 409
    default_hint: ClassVar[str] = "run the ingestion again: what is unchanged costs nothing"
