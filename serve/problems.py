"""Turns every failure of the service into one body: RFC 9457 with OpenAI's `error` inside."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any, get_args, get_type_hints

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from chunking.counters import well_formed
from chunking.errors import ContextLengthExceeded, InputError, WindowfitError
from serve.facts import OpenAIError, Problem
from serve.live import ClientLeft

_LOG = logging.getLogger("windowfit.serve")
_SERVER_ERROR = 500
_CLIENT_LEFT = 499
"""Seen in the log only, under the number that nginx gave it."""


_STATUSES = {
    400: "the request cannot fit the window, or is no text",
    403: "a policy forbids it: the model is not approved, or the text may not go there",
    404: "no such collection, model or kept request",
    409: "the collection was built with another embedder",
    413: "the body is larger than the service reads",
    422: "a field is wrong, or the body is no JSON",
    429: "the model server is rate limited",
    500: "a setting is wrong, or a defect",
    501: "an optional package is needed and not installed",
    502: "the model server refused or silently cut the prompt",
    503: "store, tokenizer or model server unavailable",
    504: "the model server did not answer in time",
}


_OPENAI_OPENING = {ContextLengthExceeded.code: "Input tokens exceed the configured limit: "}
"""OpenAI's own words for a code, by which LangChain and LiteLLM know an overflow."""


class _Internal(WindowfitError):
    """A defect: whatever it was, its text stays in the log."""


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what the OpenAPI document says of these error statuses, or of all there are."""
    return {
        status: {
            "model": Problem,
            "description": _STATUSES[status],
            "content": {"application/problem+json": {}},
        }
        for status in statuses or _STATUSES
    }


def add_problem_handlers(app: FastAPI) -> None:
    """Make every error of the app answer with `application/problem+json`."""
    app.add_exception_handler(WindowfitError, _expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _routing)
    app.add_exception_handler(ClientLeft, _client_left)


def problem_response(request: Request, error: WindowfitError, *, status: int) -> JSONResponse:
    """Return the response for an expected error."""
    problem = _problem(request, error, status=status)
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
    defect = _defect(request, error)
    return problem_response(request, defect, status=defect.status)


def stream_failure(request: Request, error: Exception) -> Mapping[str, Any]:
    """Return the last event of a stream that fails: OpenAI's `error`, with what problems add."""
    known = error if isinstance(error, WindowfitError) else _defect(request, error)
    problem = _problem(request, known, status=known.status)
    added = {"hint", "retryable", "request_id", "status"}
    return {"error": {**problem.error.model_dump(), **problem.model_dump(include=added)}}


def _problem(request: Request, error: WindowfitError, *, status: int) -> Problem:
    request.state.error_code = error.code
    return Problem(
        type=f"urn:windowfit:error:{error.code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=error.message,
        code=error.code,
        hint=error.hint,
        retryable=error.retryable,
        request_id=str(getattr(request.state, "request_id", "")),
        error=OpenAIError(
            message=_OPENAI_OPENING.get(error.code, "") + error.message,
            type=_openai_type(status),
            param=_openai_param(request, error.param),
            code=error.code,
        ),
    )


def _openai_type(status: int) -> str:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "rate_limit_error"
    return "invalid_request_error" if status < _SERVER_ERROR else "server_error"


def _openai_param(request: Request, param: str | None) -> str | None:
    """Return the field at fault as OpenAI's route names it: there, the question is a message."""
    asked_by_messages = request.url.path == "/v1/chat/completions"
    return "messages" if asked_by_messages and param in {"question", "history"} else param


def _defect(request: Request, error: Exception) -> WindowfitError:
    request_id = getattr(request.state, "request_id", "")
    _LOG.error("defect", exc_info=error, extra={"fields": {"request_id": request_id}})
    return _Internal(f"internal error, request {request_id}")


async def _expected(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, WindowfitError)  # noqa: S101 - the handler is registered for it
    return problem_response(request, error, status=error.status)


async def _client_left(request: Request, error: Exception) -> Response:
    del request, error
    return Response(status_code=_CLIENT_LEFT)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    problems = error.errors()
    told = [f"{'.'.join(_place(problem)) or 'body'}: {_said(problem)}" for problem in problems]
    invalid = InputError(
        well_formed("; ".join(told)),
        hint=_hint(request, problems[0]),
        param=well_formed(next(iter(_place(problems[0])), "")) or None,
    )
    return await _expected(request, invalid)


def _hint(request: Request, problem: Mapping[str, Any]) -> str | None:
    """Return the way out of a problem: its own, or the known field nearest to an unknown one."""
    own: str | None = problem.get("ctx", {}).get("hint")
    if problem["type"] != "extra_forbidden":
        return own
    *path, name = _place(problem)
    known: Any = get_type_hints(request.scope["endpoint"]).get("body")
    for part in path:
        inside = known.model_fields.get(part) if _is_model(known) else None
        known = None if inside is None else _model_of(inside.annotation)
    if not _is_model(known):
        return own
    fields = list(known.model_fields)
    nearest = get_close_matches(name, fields, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"known fields: {', '.join(fields)}"


def _model_of(annotation: Any) -> Any:
    """Return the model of an optional field, or whatever else it holds."""
    return next((kind for kind in get_args(annotation) if _is_model(kind)), annotation)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _said(problem: Mapping[str, Any]) -> str:
    return "unknown field" if problem["type"] == "extra_forbidden" else str(problem["msg"])


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
