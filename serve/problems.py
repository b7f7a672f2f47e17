"""Turns every failure of the service into one body: RFC 9457 with OpenAI's `error` inside."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from chunking.counters import well_formed
from chunking.errors import InputError, WindowfitError
from serve.schema import OpenAIError, Problem

_LOG = logging.getLogger("windowfit.serve")
_SERVER_ERROR = 500


class _Internal(WindowfitError):
    """A defect: whatever it was, its text stays in the log."""


def add_problem_handlers(app: FastAPI) -> None:
    """Make every error of the app answer with `application/problem+json`."""
    app.add_exception_handler(WindowfitError, _expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _routing)


def problem_response(request: Request, error: WindowfitError, *, status: int) -> JSONResponse:
    """Return the response for an expected error."""
    request.state.error_code = error.code
    request_id = str(getattr(request.state, "request_id", ""))
    kind = "invalid_request_error" if status < _SERVER_ERROR else "server_error"
    problem = Problem(
        type=f"urn:windowfit:error:{error.code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=error.message,
        code=error.code,
        hint=error.hint,
        retryable=error.retryable,
        request_id=request_id,
        error=OpenAIError(message=error.message, type=kind, param=error.param, code=error.code),
    )
    headers = {"x-should-retry": "true" if error.retryable else "false"}
    if error.retry_after_seconds is not None:
        headers["retry-after"] = str(error.retry_after_seconds)
    return JSONResponse(
        problem.model_dump(mode="json"),
        status_code=status,
        headers=headers,
        media_type="application/problem+json",
    )


def defect_response(request: Request, error: Exception) -> JSONResponse:
    """Return the response for anything unexpected, and log where it happened."""
    request_id = getattr(request.state, "request_id", "")
    _LOG.error("defect", exc_info=error, extra={"fields": {"request_id": request_id}})
    defect = _Internal(f"internal error, request {request_id}")
    return problem_response(request, defect, status=defect.status)


async def _expected(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, WindowfitError)  # noqa: S101 - the handler is registered for it
    return problem_response(request, error, status=error.status)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    problems = error.errors()
    told = [f"{'.'.join(_place(problem)) or 'body'}: {problem['msg']}" for problem in problems]
    invalid = InputError(
        well_formed("; ".join(told)), param=well_formed(next(iter(_place(problems[0])), "")) or None
    )
    return await _expected(request, invalid)


def _place(problem: Mapping[str, Any]) -> list[str]:
    """Return the path of the field at fault; of a body that is no JSON, none."""
    if problem["type"] == "json_invalid":
        return []
    return [str(part) for part in problem["loc"][1:]]


async def _routing(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    path = request.url.path
    unknown = InputError(f"{request.method} {path}: {error.detail}", hint="see /docs")
    return problem_response(request, unknown, status=error.status_code)
