"""Stands before every route: request ids, the size of bodies, one log line, and nothing of text."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Iterator

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chunking.errors import RequestTooLarge
from serve.problems import defect_response, problem_response

_LOG = logging.getLogger("windowfit.serve")
REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Observed:
    """An ASGI app whose requests have an id, a size limit and one log line each."""

    def __init__(self, app: ASGIApp, *, body_limit: int) -> None:
        """Stand before an app.

        Args:
            app: what answers.
            body_limit: most bytes of a request's body.
        """
        self._app = app
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; anything unexpected becomes a problem with the request's id."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        given = request.headers.get("x-request-id", "")
        request.state.request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        started = time.perf_counter()
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request.state.request_id
            await send(message)

        try:
            await self._answer(request, receive, send_marked)
        except Exception as error:
            response = defect_response(request, error)
            if status:  # half a response is out: the connection must not look complete
                raise
            await response(scope, receive, send_marked)
        finally:
            _log(request, status=status, seconds=time.perf_counter() - started)

    async def _answer(self, request: Request, receive: Receive, send: Send) -> None:
        try:
            body = await self._read(request, receive)
        except RequestTooLarge as error:
            response = problem_response(request, error, status=error.status)
            await response(request.scope, receive, send)
            return

        async def replay() -> Message:
            return next(body, None) or await receive()

        await self._app(request.scope, replay, send)

    async def _read(self, request: Request, receive: Receive) -> Iterator[Message]:
        """Return the messages of the body, read to its end.

        Raises:
            RequestTooLarge: before anything beyond the limit is kept.
        """
        announced = request.headers.get("content-length", "0")
        size = int(announced) if announced.isdecimal() else 0
        messages: list[Message] = []
        read = 0
        while size <= self._body_limit and read <= self._body_limit:
            messages.append(await receive())
            read += len(messages[-1].get("body", b""))
            if not messages[-1].get("more_body", False):
                break
        if max(size, read) > self._body_limit:
            raise RequestTooLarge(
                f"the body has {size if size > read else f'at least {read}'} bytes, "
                f"at most {self._body_limit} are read"
            )
        return iter(messages)


def _log(request: Request, *, status: int, seconds: float) -> None:
    fields = {
        "request_id": request.state.request_id,
        "method": request.method,
        "path": request.url.path,
        "status": status,
        "milliseconds": round(seconds * 1000, 1),
        "code": getattr(request.state, "error_code", None),
        **getattr(request.state, "log_fields", {}),
    }
    _LOG.info("request", extra={"fields": fields})
