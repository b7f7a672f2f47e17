"""`windowfit ask`, `windowfit replay` and `windowfit serve`."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import urllib.error
import urllib.request
import uuid
from functools import partial
from pkgutil import resolve_name
from typing import Annotated, Any
from urllib.parse import quote

import typer
import uvicorn
from pydantic import ValidationError
from rich.console import Console

from chunking.errors import InputError, StoreError
from chunking.sensitivity import Sensitivity
from retrieval.settings import IndexSettings
from serve.app import create_app
from serve.call_record import Origin
from serve.errors import UpstreamError, UpstreamRejected
from serve.logs import configure_logs
from serve.picture import draw_answer, draw_preview, draw_replay
from serve.plan import Ask, Mode, Order, Truncation
from serve.replay import ReplayResponse, find_kept, keep_answer, keep_preview
from serve.replay import replay as rebuild
from serve.routed import answer_routed, plan_routed
from serve.runtime import Runtime
from serve.schema import AnswerRequest, AnswerResponse, PreviewResponse
from serve.settings import ServeSettings

_DEADLINE_SECONDS = 600
_GATE_FAILED = 5
# A proxy of the environment would carry the question to a third party.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

_Filters = Annotated[
    list[str] | None,
    typer.Option(
        "--filter", help="KEY=VALUE of document, sensitivity, source or title; repeatable."
    ),
]
_Searches = Annotated[
    list[str] | None,
    typer.Option("--search", help="What else to search for; repeatable, 4 at most."),
]
_Route = Annotated[
    str | None, typer.Option(help="auto by the rules, local, cloud, or a model profile.")
]
_Label = Annotated[
    Sensitivity | None, typer.Option(help="Label of the question: how far it may travel.")
]


def ask(
    question: Annotated[str, typer.Argument(help="The question.")],
    *,
    collection: Annotated[str | None, typer.Option(help="Collection to ask.")] = None,
    model: Annotated[str | None, typer.Option(help="Model profile to answer.")] = None,
    route: _Route = None,
    sensitivity: _Label = None,
    mode: Annotated[Mode, typer.Option(help="retrieve, full, exhaustive or auto.")] = "retrieve",
    truncation: Annotated[Truncation, typer.Option(help="auto or disabled.")] = "auto",
    max_context_tokens: Annotated[int | None, typer.Option(help="Cap on retrieved text.")] = None,
    max_output_tokens: Annotated[int | None, typer.Option(help="Room for the answer.")] = None,
    order: Annotated[Order | None, typer.Option(help="relevance or document.")] = None,
    trim: Annotated[bool, typer.Option(help="Cut the best chunk left out, to fit.")] = False,
    filters: _Filters = None,
    searches: _Searches = None,
    call_limit: Annotated[
        int | None, typer.Option(help="Most model calls of mode exhaustive (default 32).")
    ] = None,
    cost_limit_usd: Annotated[
        float | None, typer.Option(help="Most US dollars that mode exhaustive may cost.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan; no model is called.")
    ] = False,
    url: Annotated[
        str | None, typer.Option(help="Ask a running service instead of opening the store.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole response.")] = False,
) -> None:
    """Answer one question and show what the model saw."""
    fields = {
        "question": question,
        "collection": collection,
        "model": model,
        "route": route,
        "sensitivity": sensitivity,
        "mode": mode,
        "truncation": truncation,
        "max_context_tokens": max_context_tokens,
        "max_output_tokens": max_output_tokens,
        "order": order,
        "trim": trim or None,
        "filter": _filter(filters),
        "searches": searches,
        "call_limit": call_limit,
        "cost_limit_usd": cost_limit_usd,
    }
    body = {name: value for name, value in fields.items() if value is not None}
    if url:
        response = _call_service(url, "/context/preview" if dry_run else "/answer", body)
    else:
        response = asyncio.run(_ask_here(body, dry_run=dry_run))
    draw = draw_preview if dry_run else draw_answer
    if as_json:
        sys.stdout.write(json.dumps(response, ensure_ascii=False) + "\n")
    else:
        Console(highlight=False).print(draw(response))


def replay(
    request_id: Annotated[str, typer.Argument(help="Id of a kept request.")],
    *,
    url: Annotated[
        str | None, typer.Option(help="Ask a running service instead of opening the store.")
    ] = None,
    messages: Annotated[bool, typer.Option("--messages", help="Print the prompt too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole response.")] = False,
) -> None:
    """Rebuild the prompt of a kept request and compare it.

    Ends with 0 when it is the planned prompt byte for byte, with 5 when a document changed since.
    """
    if url:
        done = _call_service(url, f"/requests/{quote(request_id, safe='')}/prompt")
    else:
        done = _replay_here(request_id)
    if as_json:
        sys.stdout.write(json.dumps(done, ensure_ascii=False) + "\n")
    else:
        Console(highlight=False).print(draw_replay(done, messages=messages))
    if not done["identical"]:
        raise typer.Exit(_GATE_FAILED)


def serve(
    ctx: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one.")] = None,
    model: Annotated[str | None, typer.Option(help="Profile used by default.")] = None,
) -> None:
    """Run the HTTP service until it is interrupted.

    Prints one line with its address on standard output, and one JSON line per request on standard
    error; neither holds any text of a question or a document.
    """
    settings = ServeSettings.load(host=host, port=port, model=model)
    index_settings = IndexSettings.load()
    mounts = [partial(resolve_name(name), settings=index_settings) for name in ctx.obj or ()]
    with _listen(settings) as listener:
        configure_logs()
        runtime = Runtime.open(index_settings, settings, secrets=os.environ)
        address = f"http://{settings.host}:{listener.getsockname()[1]}"
        sys.stdout.write(f"listening on {address} (model {settings.model}; {address}/docs)\n")
        sys.stdout.flush()
        app = create_app(runtime, settings, mounts=mounts)
        config = uvicorn.Config(app, log_config=None, access_log=False)
        uvicorn.Server(config).run(sockets=[listener])


def _listen(settings: ServeSettings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port))
    except OSError as error:
        raise StoreError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}",
            hint="choose another port with --port, or 0 for a free one",
            param="port",
        ) from error


def _filter(pairs: list[str] | None) -> dict[str, list[str]] | None:
    """Return the values of each key; a key that comes twice allows both of its values."""
    values: dict[str, list[str]] = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise InputError(
                f"--filter takes KEY=VALUE, not {pair!r}",
                hint="for example --filter title=Peru",
                param="filter",
            )
        values.setdefault(key, []).append(value)
    return values or None


async def _ask_here(body: dict[str, Any], *, dry_run: bool) -> dict[str, Any]:
    settings = ServeSettings.load()
    try:
        request = AnswerRequest.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "question"
        raise InputError(f"{where}: {first['msg']}", param=where) from None
    runtime = Runtime.open(IndexSettings.load(), settings, secrets=os.environ)
    respond = _preview if dry_run else _answer
    try:
        return await respond(request.ask(settings), runtime, settings)
    finally:
        await runtime.close()


async def _answer(ask: Ask, runtime: Runtime, settings: ServeSettings) -> dict[str, Any]:
    request_id = uuid.uuid4().hex
    check = settings.upstream_check
    given = await answer_routed(ask, runtime, upstream_check=check, origin=Origin(request_id))
    await keep_answer(given, runtime, request_id=request_id)
    return AnswerResponse.of(given, request_id=request_id).model_dump(mode="json")


async def _preview(ask: Ask, runtime: Runtime, _: ServeSettings) -> dict[str, Any]:
    request_id = uuid.uuid4().hex
    plan = await plan_routed(ask, runtime)
    await keep_preview(plan, runtime, request_id=request_id)
    return PreviewResponse.of(plan, request_id=request_id).model_dump(mode="json")


def _replay_here(request_id: str) -> dict[str, Any]:
    runtime = Runtime.open(IndexSettings.load(), ServeSettings.load(), secrets=os.environ)
    try:
        done = rebuild(find_kept(request_id, runtime), runtime)
    finally:
        asyncio.run(runtime.close())
    return ReplayResponse.of(done).model_dump(mode="json")


def _call_service(url: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    if not url.startswith(("http://", "https://")):
        raise InputError(f"{url!r} is no http address", param="url")
    try:
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
            f"{url.rstrip('/')}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        with _OPENER.open(request, timeout=_DEADLINE_SECONDS) as response:
            answered: dict[str, Any] = json.load(response)
            return answered
    except urllib.error.HTTPError as error:
        raise _refusal(url, error) from error
    except (OSError, ValueError) as error:
        raise UpstreamError(
            f"no service answers at {url}", hint="start one with `windowfit serve`"
        ) from error


def _refusal(url: str, error: urllib.error.HTTPError) -> UpstreamRejected:
    try:
        problem = json.load(error)
        return UpstreamRejected(f"{problem['code']}: {problem['detail']}", hint=problem["hint"])
    except (ValueError, KeyError, TypeError):
        return UpstreamRejected(
            f"{url} answered HTTP {error.code}, and not as Windowfit does",
            hint="give the address that `windowfit serve` prints",
        )
