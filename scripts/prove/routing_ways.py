"""Every way in which text can come to a model: routes of the service, streams, and direct calls."""

from __future__ import annotations

import contextlib
import random
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import httpx

from chunking.errors import WindowfitError
from chunking.sensitivity import Sensitivity
from scripts.prove.routing_world import COLLECTION, make_body
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

    def ask(self, body: Body, *, named: bool = False) -> Ask:
        """Return a request; a named one names a model and no route."""
        if named:
            body = {name: value for name, value in body.items() if name != "route"}
            body["model"] = self.chance.choice(list(self.runtime.profiles))
        return AnswerRequest.model_validate(body).ask(self.settings)

    async def close(self) -> None:
        """Close clients and connections."""
        await self.client.aclose()
        await self.runtime.close()


async def _answer(world: World, body: Body) -> str | None:
    given = await answer_routed(world.ask(body), world.runtime)
    world.note(as_json(given.report.route))
    return given.text


async def _stream(world: World, body: Body) -> str | None:
    return await _read(world, stream_routed(world.ask(body), world.runtime))


async def _evaluate(world: World, body: Body) -> str | None:
    return (await answer(world.ask(body, named=True), world.runtime)).text


async def _evaluate_stream(world: World, body: Body) -> str | None:
    return await _read(world, stream_answer(world.ask(body, named=True), world.runtime))


async def _preview(world: World, body: Body) -> str | None:
    await plan_routed(world.ask(body), world.runtime)
    return None


async def _post(world: World, body: Body) -> str | None:
    return _take(world, await world.client.post("/answer", json=body), "answer")


async def _post_stream(world: World, body: Body) -> str | None:
    return _take(world, await world.client.post("/answer", json={**body, "stream": True}), None)


async def _chat(world: World, body: Body) -> str | None:
    given = dict(body)
    turns = [*given.pop("history", ()), {"role": "user", "content": given.pop("question")}]
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


async def _read(world: World, items: AsyncGenerator[Plan | str | Answer]) -> str | None:
    """Read a stream to its end, or leave it after a few pieces as clients do."""
    leaving = world.chance.choice((None, None, 1, 2, 3))
    async with contextlib.aclosing(items):
        count = 0
        async for item in items:
            count += 1
            if isinstance(item, Answer):
                world.note(as_json(item.report.route))
                return item.text
            if count == leaving:
                break
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
