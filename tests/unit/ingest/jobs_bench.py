"""What the tests of jobs share: records of jobs, and processes that died or run elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ingest.job_store import JobStore
from ingest.jobs import Job, new_job
from ingest.tally import IngestReport
from retrieval.lease import Holder
from retrieval.memory import MemoryEngine

AWAY = Holder("away", "elsewhere/pid:[1]", 7, "1")


def died(holder: Holder) -> Holder:
    """Return a holder of this machine whose process is gone."""
    return replace(holder, owner="gone", pid=2**22 + 1, started="1")


def job_of(holder: Holder, **changes: Any) -> Job:
    """Return a queued job of the collection `c`."""
    asked: dict[str, Any] = {"collection": "c", "source": "/s", "prune": False, "origin": "command"}
    names = ("key", "request", "collection", "source", "prune", "origin", "document_count")
    asked |= {name: changes.pop(name) for name in names if name in changes}
    job = new_job(**asked, holder=holder, presence=changes.pop("presence", "p"))
    return replace(job, **changes)


def recorded(store: JobStore, holder: Holder, **changes: Any) -> Job:
    """Record a job and return it."""
    return store.submit(job_of(holder, **changes))


def report_of(**changes: Any) -> IngestReport:
    """Return the report of a run over two files."""
    report = IngestReport(
        collection="c",
        files=2,
        written=2,
        unchanged=0,
        recounted=0,
        embedded_chunks=4,
        kept_chunks=0,
        removed_documents=0,
        removed_chunks=0,
        collection_documents=2,
        collection_chunks=4,
        quarantined=(),
        seconds=0.5,
    )
    return replace(report, **changes)


def states(engine: MemoryEngine) -> Sequence[str]:
    """Return the states of all jobs, newest first."""
    return [job.state for job in JobStore(engine).jobs()]
