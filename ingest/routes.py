"""The routes of jobs, to be mounted on the service: what they do is in `ingest.service`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Header, Query, Response

from ingest.job_schema import JobEntry, JobList, JobRequest, JobView
from ingest.service import JobService
from retrieval.embed import Embedder
from retrieval.points import Engine
from retrieval.settings import IndexSettings

Documented = Callable[..., dict[int | str, dict[str, Any]]]
"""Returns what the OpenAPI document says of error statuses."""

JOBS_SHOWN = 50
JOBS_LIMIT = 1000
"""Most jobs of one list."""

_STATUSES = {
    400: "the body is no text",
    404: "no such job",
    409: "a job of this key, or this job, waits or runs; or there is nothing to do for it",
    422: "a field is wrong, the source is not to be read, or the key is of another request",
}
_LOCATION = {"Location": {"description": "where the job is", "schema": {"type": "string"}}}
_REPLAYED = {"idempotency-replayed": {"description": "true", "schema": {"type": "string"}}}
_KEY = Header(
    alias="Idempotency-Key",
    pattern=r"^[ -~]{1,255}$",
    description="1 to 255 printable ASCII characters; of requests of one key, one becomes a job",
)


def mount_jobs(
    app: FastAPI,
    *,
    engine: Engine,
    embedder: Embedder,
    settings: IndexSettings,
    documented: Documented,
) -> Callable[[], Any]:
    """Add `/jobs` to a service, and return the context in which jobs are carried out.

    Args:
        documented: describes error statuses in the OpenAPI document.
    """
    service = JobService(engine, embedder, settings)

    def told(*statuses: int) -> dict[int | str, dict[str, Any]]:
        known = documented(*statuses)
        for status in statuses:
            if status in _STATUSES:
                known[status] = {**known[status], "description": _STATUSES[status]}
        return known

    _add_submission(app, service, told)
    _add_reading(app, service, told)
    _add_repeating(app, service, told)

    @asynccontextmanager
    async def working() -> AsyncIterator[None]:
        service.worker.start()
        try:
            yield
        finally:
            await asyncio.to_thread(service.worker.stop)

    return working


def _add_submission(app: FastAPI, service: JobService, told: Documented) -> None:
    accepted = {"description": "accepted, and durable", "headers": _LOCATION}
    replayed = {
        "model": JobView,
        "description": "the job of an earlier request under this key, which ended",
        "headers": {**_LOCATION, **_REPLAYED},
    }

    @app.post(
        "/jobs",
        status_code=202,
        response_model=JobView,
        responses={202: accepted, 200: replayed, **told(400, 409, 413, 422, 503)},
        tags=["jobs"],
    )
    async def post_job(
        body: JobRequest, response: Response, key: Annotated[str | None, _KEY] = None
    ) -> JobView:
        """Bring a collection up to date with a source or with documents sent along.

        The answer comes before the work; what was accepted survives the service.
        """
        given = await asyncio.to_thread(
            service.submit,
            collection=body.collection,
            source=body.source,
            documents=body.lines(),
            prune=body.prune,
            key=key,
            sensitivity=body.sensitivity,
        )
        response.headers["Location"] = f"/jobs/{given.job.id}"
        if given.replayed:
            response.status_code = 200
            response.headers["idempotency-replayed"] = "true"
        return JobView.of(given.job, service.sources)


def _add_reading(app: FastAPI, service: JobService, told: Documented) -> None:
    @app.get("/jobs", responses=told(422, 503), tags=["jobs"])
    async def get_jobs(
        collection: str | None = None,
        limit: Annotated[int, Query(ge=1, le=JOBS_LIMIT)] = JOBS_SHOWN,
    ) -> JobList:
        """List jobs, the newest first; those that commands run are among them."""
        jobs = await asyncio.to_thread(service.store.jobs, collection)
        shown = (JobEntry.of(job, service.sources) for job in jobs[:limit])
        return JobList(jobs=tuple(shown))

    @app.get("/jobs/{job_id}", responses=told(404, 503), tags=["jobs"])
    async def get_job(job_id: str) -> JobView:
        """Tell how far a job is, or how it ended, and what it quarantined."""
        job = await asyncio.to_thread(service.store.find, job_id)
        return JobView.of(job, service.sources)


def _add_repeating(app: FastAPI, service: JobService, told: Documented) -> None:
    async def again(job_id: str, response: Response, *, retry: bool) -> JobView:
        job = await asyncio.to_thread(service.again, job_id, retry=retry)
        response.headers["Location"] = f"/jobs/{job.id}"
        return JobView.of(job, service.sources)

    responses = {202: {"headers": _LOCATION}, **told(404, 409, 422, 503)}

    @app.post("/jobs/{job_id}/resume", status_code=202, responses=responses, tags=["jobs"])
    async def post_resume(job_id: str, response: Response) -> JobView:
        """Go on with a job that was interrupted or failed."""
        return await again(job_id, response, retry=False)

    @app.post("/jobs/{job_id}/retry", status_code=202, responses=responses, tags=["jobs"])
    async def post_retry(job_id: str, response: Response) -> JobView:
        """Ingest again the documents that a job quarantined, and no others; nothing is pruned."""
        return await again(job_id, response, retry=True)
