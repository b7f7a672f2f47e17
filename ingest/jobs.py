"""Jobs: what was asked to be ingested, how far that got, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self
from uuid import uuid4

from chunking.document import content_id
from chunking.sensitivity import Sensitivity, read_sensitivity
from ingest.changes import Quarantined
from ingest.tally import IngestReport
from retrieval.lease import Holder

State = Literal["queued", "running", "done", "partial", "failed", "interrupted"]
"""`partial`: done, but some documents were quarantined. `interrupted` is never written: it is what
a reader makes of `queued` and `running` where the process that took care of the job is gone."""
Origin = Literal["command", "service"]

IN_FLIGHT: tuple[State, ...] = ("queued", "running")
RESUMABLE: tuple[State, ...] = ("interrupted", "failed")
QUARANTINED_LIMIT = 10_000
"""Most quarantined documents that a job names: a record stays smaller than a store takes."""
KEPT = timedelta(days=30)
"""How long the record of a job that ended is kept, and with it its idempotency key."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a job did. `files == written + unchanged + quarantined`, always; see `IngestReport`."""

    files: int
    written: int
    unchanged: int
    recounted: int
    embedded_chunks: int
    kept_chunks: int
    removed_documents: int
    removed_chunks: int
    collection_documents: int
    collection_chunks: int
    quarantined: int
    seconds: float
    relabelled: int = 0

    @classmethod
    def of(cls, report: IngestReport) -> Self:
        """Return the counts of a run."""
        names = {one.name for one in fields(cls)} - {"quarantined"}
        told = {name: getattr(report, name) for name in names}
        return cls(**told, quarantined=len(report.quarantined))

    def retried(self, again: Self) -> Self:
        """Return the counts after some of the quarantined files were gone through again."""
        return replace(
            again,
            files=self.written + self.unchanged + again.files,
            written=self.written + again.written,
            unchanged=self.unchanged + again.unchanged,
            recounted=self.recounted + again.recounted,
            embedded_chunks=self.embedded_chunks + again.embedded_chunks,
            kept_chunks=self.kept_chunks + again.kept_chunks,
            removed_documents=self.removed_documents,
            removed_chunks=self.removed_chunks + again.removed_chunks,
            seconds=self.seconds + again.seconds,
            relabelled=self.relabelled + again.relabelled,
        )


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed, as its error tells it."""

    code: str
    message: str
    hint: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class Job:
    """One request to bring a collection up to date with a source, and what became of it.

    Attributes:
        id: 32 hexadecimal digits; made from the idempotency key where there is one.
        key: the idempotency key; empty for none.
        request: hash of what was asked; two requests under one key must be equal.
        source: a path from the root, `factbook`, `-`, or empty for documents that were sent along
            or, of a rebuild, for those of the collection.
        document_count: how many documents were sent along.
        rebuild: whether the collection is built anew beside the one that is read.
        origin: what took care of the job last; a service takes up its own when it starts.
        attempts: how often it was begun.
        retry: whether only what it had quarantined is ingested again; nothing is pruned then.
        submitted, started, ended: ISO 8601, UTC; started and ended of the last attempt.
        quarantined: the first `QUARANTINED_LIMIT` of them; `counts.quarantined` is their number.
        holder: the process that takes care of the job; None once it ended.
        presence: the name by which that process shows that it runs, see `ingest.presence`.
        revision: changes with every change of the record, which is how changes exclude each other.
        fingerprint: of a rebuild, the embedder and splitter that it is built by; empty otherwise.
        sensitivity: the label that was asked for the whole source; empty for none.
    """

    id: str
    key: str
    request: str
    collection: str
    source: str
    document_count: int
    prune: bool
    rebuild: bool
    origin: Origin
    state: State
    attempts: int
    retry: bool
    submitted: str
    started: str | None
    ended: str | None
    counts: Counts | None
    quarantined: tuple[Quarantined, ...]
    error: JobError | None
    holder: Holder | None
    presence: str
    revision: str
    fingerprint: str = ""
    sensitivity: str = ""

    @property
    def label(self) -> Sensitivity | None:
        """The label that was asked for the whole source; a damaged one reads as restricted."""
        return read_sensitivity(self.sensitivity) if self.sensitivity else None

    @property
    def in_flight(self) -> bool:
        """Whether the job waits or runs."""
        return self.state in IN_FLIGHT

    @property
    def away(self) -> bool:
        """Whether it waits or runs on another machine, which may be gone."""
        return self.in_flight and self.holder is not None and self.holder.elsewhere

    @property
    def age(self) -> timedelta:
        """How long ago the job ended; nothing for one that did not."""
        if self.ended is None:
            return timedelta()
        return datetime.now(UTC) - datetime.fromisoformat(self.ended)

    def covers(self, earlier: Job) -> bool:
        """Whether this job, once done, makes an earlier one needless: it asks for as much."""
        ours, theirs = (
            (one.collection, one.source, "" if one.source else one.request)
            for one in (self, earlier)
        )
        as_much = self.prune >= earlier.prune and self.rebuild >= earlier.rebuild
        # What was said of the label since stands; where nothing was, the earlier word does.
        labelled = bool(self.sensitivity) or not earlier.sensitivity
        return ours == theirs and as_much and labelled


def new_job(
    *,
    collection: str,
    source: str,
    prune: bool,
    origin: Origin,
    holder: Holder,
    presence: str,
    key: str = "",
    request: str = "",
    document_count: int = 0,
    rebuild: bool = False,
    fingerprint: str = "",
    sensitivity: Sensitivity | None = None,
) -> Job:
    """Return a queued job that is not recorded yet."""
    return Job(
        id=keyed_id(key) if key else uuid4().hex,
        key=key,
        request=request,
        collection=collection,
        source=source,
        document_count=document_count,
        prune=prune,
        rebuild=rebuild,
        origin=origin,
        state="queued",
        attempts=0,
        retry=False,
        submitted=now(),
        started=None,
        ended=None,
        counts=None,
        quarantined=(),
        error=None,
        holder=holder,
        presence=presence,
        revision=uuid4().hex,
        fingerprint=fingerprint,
        sensitivity="" if sensitivity is None else sensitivity.value,
    )


def keyed_id(key: str) -> str:
    """Return the id of the one job that an idempotency key stands for."""
    return content_id("windowfit", "job", key)


def now() -> str:
    """Return the time, as jobs state it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def to_resume(jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs that did not come to their end and that no later job made needless.

    Args:
        jobs: newest first.

    Returns:
        Oldest first, so that what was asked last has the last word.
    """
    left = [
        job
        for place, job in enumerate(jobs)
        if (job.state in RESUMABLE or job.away)
        and not any(later.covers(job) for later in jobs[:place])
    ]
    return left[::-1]


def to_retry(jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs that quarantined documents and that no later job of their source follows.

    Args:
        jobs: newest first.

    Returns:
        Oldest first.
    """
    left = [
        job
        for place, job in enumerate(jobs)
        if job.state == "partial" and not any(later.covers(job) for later in jobs[:place])
    ]
    return left[::-1]


def job_payload(job: Job) -> dict[str, Any]:
    """Return what is stored of a job."""
    return {**asdict(job), "quarantined": [asdict(one) for one in job.quarantined]}


def read_job(payload: Mapping[str, Any]) -> Job:
    """Return the job of a stored payload as it stands now.

    Raises:
        KeyError, TypeError: the payload is damaged, or of another version.
    """
    # Jobs that were recorded before there were any have no fingerprint and no label.
    stored = {"fingerprint": "", "sensitivity": "", **payload}
    values = {one.name: stored[one.name] for one in fields(Job) if one.name != "quarantined"}
    counts, error, holder = values["counts"], values["error"], values["holder"]
    values["counts"] = None if counts is None else Counts(**counts)
    values["error"] = None if error is None else JobError(**error)
    values["holder"] = held_by = None if holder is None else Holder(**holder)
    if values["state"] in IN_FLIGHT and (held_by is None or held_by.gone):
        values["state"] = "interrupted"
    quarantined = tuple(Quarantined(**one) for one in payload.get("quarantined") or ())
    return Job(**values, quarantined=quarantined)


JOB_FIELDS = tuple(one.name for one in fields(Job))
"""What a stored job has besides the documents that were sent along."""
