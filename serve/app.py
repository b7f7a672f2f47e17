"""The HTTP service: its routes; all decisions are made elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from retrieval.embed import Embedder
from retrieval.points import Engine
from serve.answer import Answer
from serve.call_record import Origin
from serve.context.report import ContextReport
from serve.live import EventStream, Json, Pieces, while_connected
from serve.observe import Observed
from serve.openai_chat import ChunkWriter, ask_of, completion_of
from serve.openai_schema import ChatCompletion, ChatRequest
from serve.plan import Ask, Plan
from serve.problems import add_problem_handlers, documented, stream_failure
from serve.replay import keep_answer, keep_preview
from serve.routed import answer_routed, plan_routed, stream_routed
from serve.routes import add_facts, add_requests
from serve.runtime import Runtime
from serve.schema import AnswerRequest, AnswerResponse, PreviewResponse, answer_events
from serve.settings import ServeSettings
from serve.warming import tell_hindrances, warm_up

_DONE = b"data: [DONE]\n\n"


def _streaming(example: str) -> dict[int | str, dict[str, Any]]:
    # `itemSchema` as OpenAPI 3.2 has it: `schema` would say that each event is that.
    event = {"type": "object", "required": ["data"], "properties": {"data": {"type": "string"}}}
    stream = {"text/event-stream": {"itemSchema": event, "example": example}}
    return {200: {"content": stream}, **documented()}


class Mount(Protocol):
    """Adds the routes of another package to the service."""

    def __call__(
        self,
        app: FastAPI,
        *,
        engine: Engine,
        embedder: Embedder,
        documented: Callable[..., dict[int | str, dict[str, Any]]],
    ) -> Callable[[], AbstractAsyncContextManager[None]]:
        """Add the routes, and return the context that lasts as long as the service runs."""


def create_app(
    runtime: Runtime, settings: ServeSettings, *, mounts: Sequence[Mount] = ()
) -> FastAPI:
    """Return the service over a runtime, which is closed when the service stops.

    Args:
        mounts: what other packages add to it.
    """
    running: list[Callable[[], AbstractAsyncContextManager[None]]] = []

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # Weights load on the first text: here, so that no request waits for them.
        await asyncio.to_thread(runtime.embedder.embed, ["warm up"])
        async with contextlib.AsyncExitStack() as entered:
            entered.push_async_callback(runtime.close)
            for mounted in running:
                await entered.enter_async_context(mounted())
            tell_hindrances(runtime)
            # Beside the first requests: a model server that is away delays no start.
            warming = asyncio.ensure_future(warm_up(runtime)) if settings.warm_up else None
            yield
            if warming is not None:
                warming.cancel()
                await asyncio.gather(warming, return_exceptions=True)

    app = FastAPI(
        title="Windowfit",
        version="0.1.0",
        summary="Fits what you know into the window you have, and tells you what it left out.",
        lifespan=lifespan,
    )
    add_problem_handlers(app)
    app.add_middleware(Observed, body_limit=settings.body_limit_bytes)
    _add_answers(app, _Service(runtime, settings))
    _add_chat(app, _Service(runtime, settings))
    add_requests(app, runtime)
    add_facts(app, runtime, settings)
    running.extend(
        mount(app, engine=runtime.engine, embedder=runtime.embedder, documented=documented)
        for mount in mounts
    )
    return app


class _Service:
    """What the routes that answer share."""

    def __init__(self, runtime: Runtime, settings: ServeSettings) -> None:
        self.runtime = runtime
        self.settings = settings

    async def answer(self, ask: Ask, request: Request) -> Answer:
        """Return the answer, unless the client leaves."""
        check, request_id = self.settings.upstream_check, request.state.request_id
        work = answer_routed(ask, self.runtime, upstream_check=check, origin=Origin(request_id))
        given = await while_connected(request, work)
        await keep_answer(given, self.runtime, request_id=request_id)
        return given

    async def stream(
        self,
        ask: Ask,
        request: Request,
        *,
        events: Callable[[Plan | str | Answer], Iterable[Json]],
        last: bytes,
    ) -> Response:
        """Return the streamed answer; what fails within the grace raises instead."""
        pieces: Pieces[Plan | str | Answer] = Pieces(self._items(ask, request), request)
        try:
            plan = await anext(pieces)
            await pieces.arrives(self.settings.grace_seconds)
            while isinstance(pieces.arrived, Plan):  # the model before it failed
                plan = await anext(pieces)
                await pieces.arrives(self.settings.grace_seconds)
        except BaseException:
            await pieces.close()
            raise
        assert isinstance(plan, Plan)  # noqa: S101 - `stream_answer` yields it first
        response: EventStream[Plan | str | Answer] = EventStream(
            pieces,
            first=plan,
            events=events,
            failure=lambda error: stream_failure(request, error),
            last=last,
            keepalive_seconds=self.settings.keepalive_seconds,
        )
        _set_headers(request, response, plan.report)
        return response

    async def _items(self, ask: Ask, request: Request) -> AsyncGenerator[Plan | str | Answer]:
        check, request_id = self.settings.upstream_check, request.state.request_id
        live = stream_routed(ask, self.runtime, upstream_check=check, origin=Origin(request_id))
        async with contextlib.aclosing(live):
            async for item in live:
                if isinstance(item, Answer):
                    await keep_answer(item, self.runtime, request_id=request_id)
                yield item


def _add_answers(app: FastAPI, service: _Service) -> None:
    example = 'data: {"context":{…}}\n\ndata: {"delta":"Lima [1]."}\n\ndata: {"answer":…}\n\n'

    @app.post(
        "/answer", response_model=AnswerResponse, responses=_streaming(example), tags=["answers"]
    )
    async def post_answer(body: AnswerRequest, request: Request) -> Response:
        """Answer a question from a collection; the receipt is under `context`."""
        ask, request_id = body.ask(service.settings), request.state.request_id
        if body.stream:
            events = answer_events(request_id)
            return await service.stream(ask, request, events=events, last=b"")
        given = await service.answer(ask, request)
        return _respond(request, AnswerResponse.of(given, request_id=request_id), given.report)

    @app.post("/context/preview", responses=documented(), tags=["answers"])
    async def post_preview(
        body: AnswerRequest, request: Request, response: Response
    ) -> PreviewResponse:
        """Return the receipt and the messages that would be sent; no model is called."""
        work = plan_routed(body.ask(service.settings), service.runtime)
        plan = await while_connected(request, work)
        await keep_preview(plan, service.runtime, request_id=request.state.request_id)
        _set_headers(request, response, plan.report)
        return PreviewResponse.of(plan, request_id=request.state.request_id)


def _add_chat(app: FastAPI, service: _Service) -> None:
    example = 'data: {"object":"chat.completion.chunk","context":{…},…}\n\ndata: [DONE]\n\n'

    @app.post(
        "/v1/chat/completions",
        response_model=ChatCompletion,
        responses=_streaming(example),
        tags=["openai"],
    )
    async def post_chat(body: ChatRequest, request: Request) -> Response:
        """Answer as OpenAI's API does, from a collection; the receipt is under `context`."""
        ask = ask_of(body, service.settings, service.runtime.profiles)
        request_id = request.state.request_id
        if body.stream:
            usage = bool(body.stream_options and body.stream_options.include_usage)
            writer = ChunkWriter(model=body.model, request_id=request_id, include_usage=usage)
            return await service.stream(ask, request, events=writer.events, last=_DONE)
        given = await service.answer(ask, request)
        completion = completion_of(given, model=body.model, request_id=request_id)
        return _respond(request, completion, given.report)


def _respond(
    request: Request, body: AnswerResponse | ChatCompletion, report: ContextReport
) -> Response:
    response = JSONResponse(body.model_dump(mode="json"))
    _set_headers(request, response, report)
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
        "rule": report.route.rule,
    }
