"""Every way in which text can come to a model: routes of the service, streams, and direct calls."""

from __future__ import annotations

import contextlib
import random
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import httpx

from chunking.errors import WindowfitError
from chunking.sensitivity import Sensitivity
from chunking.tokens import Message, Tool, ToolCall
from scripts.prove.routing_servers import TOOL
from scripts.prove.routing_world import COLLECTION, make_body, raise_labels, send_out
from serve.answer import Answer, answer, stream_answer
from serve.app import create_app
from serve.plan import Ask, Plan
from serve.routed import answer_routed, plan_routed, stream_routed
from serve.runtime import Runtime
from serve.schema import AnswerRequest, as_json
from serve.settings import ServeSettings

_HISTORY_LIMIT: Final = 50
_HALF: Final = 0.5

Body = dict[str, Any]


class World:
    """One runtime with its rules, and the service over it.

    Attributes:
        outcomes: what became of the requests.
        routes: how whole answers came about.
        history: questions with their answers, or with what was seen of those that were left.
        called: the arguments of calls of tools.
    """

    def __init__(
        self, runtime: Runtime, chance: random.Random, labels: Sequence[Sensitivity]
    ) -> None:
        """Mount the service; nothing listens.

        Args:
            labels: those of the documents, in their order.
        """
        self.runtime = runtime
        self.labels = labels
        self.chance = chance
        self.settings = ServeSettings(
            model=runtime.policy.default,
            collection=COLLECTION,
            keep_requests=False,
            grace_seconds=0.05,
        )
        transport = httpx.ASGITransport(create_app(runtime, self.settings))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://service", timeout=60)
        self.history = deque[tuple[str, str]](maxlen=_HISTORY_LIMIT)
        self.called = deque[str](maxlen=_HISTORY_LIMIT)
        self.outcomes: Counter[str] = Counter()
        self.routes: Counter[str] = Counter()

    def note(self, route: Mapping[str, Any]) -> None:
        """Count how an answer came about."""
        self.routes[f"answered by {route['target']}"] += 1
        self.routes["fell back"] += bool(route["fallback_used"])
        self.routes["escalated"] += bool(route["escalation"])
        self.routes["kept from a cloud"] += any(
            one["reason"] == "sensitivity" for one in route["passed"]
        )

    async def run(self, way: str) -> None:
        """Send one random request by that way and count what came of it."""
        body = make_body(self.chance, self.labels, tuple(self.history))
        try:
            text = await WAYS[way](self, body)
        except WindowfitError as error:
            self.outcomes[error.code] += 1
            return
        self.outcomes["no whole answer taken" if text is None else "answered"] += 1
        if text:
            self.history.append((body["question"], text))

    def leave(self, body: Body, seen: str) -> None:
        """Remember what a client saw of a stream before it left."""
        self.routes["left with text"] += bool(seen.strip())
        if seen.strip():
            self.history.append((body["question"], seen.rstrip()))

    def call(self, calls: Sequence[ToolCall]) -> None:
        """Remember the calls of tools that a model has asked for."""
        self.routes["called a tool"] += bool(calls)
        self.called.extend(one.arguments for one in calls)

    def raise_labels(self) -> None:
        """Make documents restricted, and so what was said of them before."""
        raise_labels(self.runtime.engine)

    def ask(self, body: Body, *, named: bool = False) -> Ask:
        """Return a request; a named one names a model and no route."""
        given = dict(body)
        system = given.pop("system", "")
        after: tuple[Message, ...] = ()
        tooled = given["mode"] != "exhaustive" and self.chance.random() < _HALF
        if tooled and self.called and self.chance.random() < _HALF:
            after = _after(self.chance.choice(self.called))
            send_out(given, self.chance, self.labels)
        if named:
            route = given.pop("route")
            known = route in self.runtime.profiles
            given["model"] = route if known else self.chance.choice(list(self.runtime.profiles))
        ask = replace(AnswerRequest.model_validate(given).ask(self.settings), system=system)
        return replace(ask, tools=(_TOOL,) if tooled else (), after=after)

    async def close(self) -> None:
        """Close clients and connections."""
        await self.client.aclose()
        await self.runtime.close()


_TOOL: Final = Tool(TOOL, "Notes a text.", {"type": "object", "properties": {"text": {}}})


def _after(arguments: str) -> tuple[Message, ...]:
    """Return the turns after a question that a call of a tool has answered."""
    call = ToolCall("call00001", TOOL, arguments)
    return Message("assistant", "", (call,)), Message("tool", "noted", tool_call_id=call.id)


async def _answer(world: World, body: Body) -> str | None:
    given = await answer_routed(world.ask(body), world.runtime)
    world.note(as_json(given.report.route))
    world.call(given.completion.tool_calls)
    return given.text


async def _stream(world: World, body: Body) -> str | None:
    return await _read(world, body, stream_routed(world.ask(body), world.runtime))


async def _evaluate(world: World, body: Body) -> str | None:
    given = await answer(world.ask(body, named=True), world.runtime)
    world.call(given.completion.tool_calls)
    return given.text


async def _evaluate_stream(world: World, body: Body) -> str | None:
    return await _read(world, body, stream_answer(world.ask(body, named=True), world.runtime))


async def _preview(world: World, body: Body) -> str | None:
    await plan_routed(world.ask(body), world.runtime)
    return None


async def _post(world: World, body: Body) -> str | None:
    return _take(world, await world.client.post("/answer", json=_plain(body)), "answer")


async def _post_stream(world: World, body: Body) -> str | None:
    streamed = {**_plain(body), "stream": True}
    return _take(world, await world.client.post("/answer", json=streamed), None)


def _plain(body: Body) -> Body:
    """Return the request without instructions, which this route does not take."""
    return {name: value for name, value in body.items() if name != "system"}


async def _chat(world: World, body: Body) -> str | None:
    given = dict(body)
    turns = [*given.pop("history", ()), {"role": "user", "content": given.pop("question")}]
    if system := given.pop("system", ""):
        turns[:0] = [{"role": "system", "content": text} for text in ("Be brief.", system)]
    stream = world.chance.random() < _HALF
    chat = {
        "model": given.pop("route"),
        "messages": turns,
        "max_tokens": given.pop("max_output_tokens"),
        "stream": stream,
        "windowfit": given,
    }
    response = await world.client.post("/v1/chat/completions", json=chat)
    return _take(world, response, None if stream else "choices")


WAYS: Final[Mapping[str, Callable[[World, Body], Awaitable[str | None]]]] = {
    "answer": _answer,
    "stream": _stream,
    "evaluation": _evaluate,
    "evaluation, streamed": _evaluate_stream,
    "preview": _preview,
    "POST /answer": _post,
    "POST /answer, streamed": _post_stream,
    "POST /v1/chat/completions": _chat,
}


async def _read(world: World, body: Body, items: AsyncGenerator[Plan | str | Answer]) -> str | None:
    """Read a stream to its end, or leave it after a few pieces as clients do."""
    leaving = world.chance.choice((None, None, 1, 2, 3, 4))
    seen = ""
    async with contextlib.aclosing(items):
        count = 0
        async for item in items:
            count += 1
            if isinstance(item, Answer):
                world.note(as_json(item.report.route))
                world.call(item.completion.tool_calls)
                return item.text
            seen = "" if isinstance(item, Plan) else seen + item
            if count == leaving:
                break
    world.leave(body, seen)
    return None


def _take(world: World, response: httpx.Response, field: str | None) -> str | None:
    """Return the answer of a response, if it is whole and one."""
    if response.status_code != httpx.codes.OK:
        world.outcomes[f"HTTP {response.status_code}"] += 1
        return None
    if field is None:
        world.outcomes["stream broken" if '"error"' in response.text else "stream whole"] += 1
        return None
    world.note(response.json()["context"]["route"])
    found = response.json()[field]
    return str(found if isinstance(found, str) else found[0]["message"]["content"])
