"""The HTTP service: routes, headers and request ids; all decisions are made elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request, Response

from chunking.errors import WindowfitError
from serve.answer import answer
from serve.context.report import ContextReport
from serve.problems import add_problem_handlers, defect_response
from serve.runtime import Runtime
from serve.schema import (
    AnswerRequest,
    AnswerResponse,
    Health,
    ModelCard,
    ModelList,
    PreviewResponse,
    Problem,
)
from serve.settings import ServeSettings

_LOG = logging.getLogger("windowfit.serve")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "model": Problem,
        "description": description,
        "content": {"application/problem+json": {}},
    }
    for status, description in {
        400: "the request cannot fit the window, or is no text",
        404: "no such collection or model",
        409: "the collection was built with another embedder",
        422: "a field is wrong, or the body is no JSON",
        429: "the model server is rate limited",
        500: "a setting is wrong, or a defect",
        502: "the model server refused or silently cut the prompt",
        503: "store, tokenizer or model server unavailable",
        504: "the model server did not answer in time",
    }.items()
}


def create_app(runtime: Runtime, settings: ServeSettings) -> FastAPI:
    """Return the service over a runtime, which is closed when the service stops."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # Weights load on the first text: here, so that no request waits for them.
        await asyncio.to_thread(runtime.embedder.embed, ["warm up"])
        yield
        await runtime.close()

    app = FastAPI(
        title="Windowfit",
        version="0.1.0",
        summary="Fits what you know into the window you have, and tells you what it left out.",
        lifespan=lifespan,
    )
    add_problem_handlers(app)
    app.middleware("http")(_observe)
    _add_answers(app, runtime, settings)
    _add_facts(app, runtime, settings)
    return app


def _add_answers(app: FastAPI, runtime: Runtime, settings: ServeSettings) -> None:
    @app.post("/answer", responses=_PROBLEMS, tags=["answers"])
    async def post_answer(
        body: AnswerRequest, request: Request, response: Response
    ) -> AnswerResponse:
        """Answer a question from a collection; the receipt is under `context`."""
        given = await answer(body.ask(settings), runtime)
        _set_headers(request, response, given.report)
        return AnswerResponse.of(given, request_id=request.state.request_id)

    @app.post("/context/preview", responses=_PROBLEMS, tags=["answers"])
    async def post_preview(
        body: AnswerRequest, request: Request, response: Response
    ) -> PreviewResponse:
        """Return the receipt and the messages that would be sent; no model is called."""
        plan = await asyncio.to_thread(runtime.plan, body.ask(settings))
        _set_headers(request, response, plan.report)
        return PreviewResponse.of(plan, request_id=request.state.request_id)


def _add_facts(app: FastAPI, runtime: Runtime, settings: ServeSettings) -> None:
    @app.get("/v1/models", tags=["facts"])
    async def get_models() -> ModelList:
        """List the profiles a request may name."""
        return ModelList(data=tuple(ModelCard.of(item) for item in runtime.profiles.values()))

    @app.get("/livez", tags=["health"])
    async def get_livez() -> Health:
        """Say that the process runs."""
        return Health(status="ok")

    @app.get("/readyz", tags=["health"], responses={503: {"model": Health}})
    async def get_readyz(response: Response) -> Health:
        """Say whether the default collection can be searched and its model's tokens counted."""
        problems = await asyncio.to_thread(_problems, runtime, settings)
        if problems:
            response.status_code = 503
        return Health(status="unavailable" if problems else "ok", problems=problems)


def _problems(runtime: Runtime, settings: ServeSettings) -> tuple[str, ...]:
    try:
        runtime.searcher(settings.collection).index.chunk_count()
        runtime.counter(runtime.profiles[settings.model])
    except WindowfitError as error:
        return (f"{error.code}: {error.message}",)
    return ()


async def _observe(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    """Give every request an id and one log line without any text of question or documents."""
    given = request.headers.get("x-request-id", "")
    request.state.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    started = time.perf_counter()
    try:
        response = await call_next(request)
    except Exception as error:  # noqa: BLE001 - a defect too gets its id and its log line
        response = defect_response(request, error)
    response.headers["x-request-id"] = request.state.request_id
    fields = {
        "request_id": request.state.request_id,
        "method": request.method,
        "path": request.url.path,
        "status": response.status_code,
        "milliseconds": round((time.perf_counter() - started) * 1000, 1),
        "code": getattr(request.state, "error_code", None),
        **getattr(request.state, "log_fields", {}),
    }
    _LOG.info("request", extra={"fields": fields})
    return response


def _set_headers(request: Request, response: Response, report: ContextReport) -> None:
    dropped = sum(entry.fate == "dropped" for entry in report.entries)
    response.headers["x-context-window"] = str(report.window)
    response.headers["x-context-used"] = str(report.prompt_tokens)
    response.headers["x-context-truncated"] = str(report.truncated).lower()
    response.headers["x-context-dropped"] = str(dropped)
    response.headers["x-route"] = report.route.target
    request.state.log_fields = {
        "model": report.model,
        "prompt_tokens": report.prompt_tokens,
        "kept": report.coverage.kept,
        "dropped": dropped,
        "count": report.count,
    }
