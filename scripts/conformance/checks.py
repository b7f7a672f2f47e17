"""What every Python client must do, whatever its interface; prints one JSON line for each check.

Runs in the environment of the client under test, so it needs nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import traceback
import urllib.request
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

QUESTION: Final = "What is the capital of Peru?"
STEADY: Final = "Lima is the capital of Peru [1]."
CANCEL_SECONDS: Final = 2.0
PATIENCE_SECONDS: Final = 20.0
CHECK_SECONDS: Final = 45.0
# Clients may round the seconds of Retry-After.
RETRY_SECONDS: Final = 0.9
LONG_QUESTION: Final = "Which country of all countries has Lima as its capital city? " * 20


@dataclass(frozen=True, slots=True)
class Call:
    """One request to make: where, of which model, and what is asked."""

    base_url: str
    model: str
    question: str
    retries: int = 2
    key: str = "any-key"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client shows at the end of an answer.

    Attributes:
        text: the whole answer.
        receipt: the context report; None where the client does not show it.
        prompt_tokens: of the usage; None where the client does not show it.
    """

    text: str
    receipt: Mapping[str, Any] | None
    prompt_tokens: int | None


@dataclass(frozen=True, slots=True)
class Failure:
    """What a client shows of an error."""

    kind: str
    status: int | None
    code: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Client:
    """A client as its users use it.

    Attributes:
        package: the distribution whose version is reported.
        answer: asks without a stream.
        stream: yields the deltas of an answer and, last, its reply.
        failure: reads an exception; raises it again where it is none of the client's own.
        overflow: the kind of its own error for a prompt that does not fit.
        receipt_at: where users find the receipt of an answer and of a stream; empty where the
            client does not show it.
        structure: asks for `{"country", "capital"}` by way of a tool; None where the client has no
            such thing.
        tools: has the model call a function and answer from its result; None as above.
    """

    package: str
    answer: Callable[[Call], Reply]
    stream: Callable[[Call], AsyncGenerator[str | Reply]]
    failure: Callable[[Exception], Failure]
    overflow: str
    receipt_at: tuple[str, str]
    structure: Callable[[Call], Mapping[str, Any]] | None = None
    tools: Callable[[Call], str] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one check; the note says what was seen, or what is wrong."""

    check: str
    passed: bool
    note: str


class Wrong(Exception):
    """A client did not show what it should."""


def main(client: Client) -> None:
    """Run every check against the service whose address is the first argument."""
    root = sys.argv[1]
    print(json.dumps({"version": version(client.package)}), flush=True)
    asyncio.run(_run(client, root))


async def _run(client: Client, root: str) -> None:
    checks: dict[str, Callable[[Client, str], Awaitable[str]]] = {
        "answer": _answer,
        "stream": _stream,
        "error": _refused,
        "busy": _busy,
        "broken": _broken,
        "cancel": _cancel_late,
        "cancel early": _cancel_early,
    }
    if client.structure:
        checks["structure"] = _structure
    if client.tools:
        checks["tools"] = _tools
    for name, check in checks.items():
        try:
            outcome = Outcome(
                name, True, await asyncio.wait_for(check(client, root), CHECK_SECONDS)
            )
        except Exception as error:  # noqa: BLE001 - any failure of a client is a result
            outcome = Outcome(name, False, _told(error))
            traceback.print_exc()
        print(json.dumps(asdict(outcome)), flush=True)


async def _answer(client: Client, root: str) -> str:
    reply = await asyncio.to_thread(client.answer, _call(client, root, "quote"))
    _expect("Lima" in reply.text, f"the answer is {reply.text!r}")
    _check_reply(reply, shown=bool(client.receipt_at[0]))
    return client.receipt_at[0]


async def _stream(client: Client, root: str) -> str:
    deltas, reply = await _listen(client, _call(client, root, "steady"))
    _expect(len(deltas) > 1, f"{len(deltas)} deltas")
    _expect("".join(deltas) == STEADY, f"the deltas join to {''.join(deltas)!r}")
    _expect(reply is not None, "the stream has no end")
    assert reply is not None
    _expect(reply.text in {STEADY, ""}, f"the stream ends with {reply.text!r}")
    _check_reply(reply, shown=bool(client.receipt_at[1]))
    same = _call(client, root, "quote")
    quoted, _ = await _listen(client, same)
    answered = await asyncio.to_thread(client.answer, same)
    _expect("".join(quoted) == answered.text, "stream and answer of the same question differ")
    return client.receipt_at[1]


async def _refused(client: Client, root: str) -> str:
    call = _call(client, root, "tiny", question=LONG_QUESTION)
    failure = await _failure(client, asyncio.to_thread(client.answer, call))
    _expect(failure.code == "context_length_exceeded", f"the code is {failure.code!r}")
    _expect(failure.kind == client.overflow, f"it is raised as {failure.kind}")
    _expect(failure.status == HTTPStatus.BAD_REQUEST, f"the status is {failure.status}")
    _expect("64" in failure.message, f"the message is {failure.message!r}")
    streamed = await _failure(client, _listen(client, call))
    _expect(streamed.code == failure.code, f"the code is {streamed.code!r} in a stream")
    return failure.kind


async def _busy(client: Client, root: str) -> str:
    call = _call(client, root, "busy", retries=0)
    failure = await _failure(client, asyncio.to_thread(client.answer, call))
    _expect(failure.status == HTTPStatus.TOO_MANY_REQUESTS, f"the status is {failure.status}")
    _expect(failure.code == "rate_limited", f"the code is {failure.code!r}")
    again = _call(client, root, "busy-once")
    started = time.perf_counter()
    reply = await asyncio.to_thread(client.answer, again)
    waited = time.perf_counter() - started
    _expect(reply.text == STEADY, f"after a retry the answer is {reply.text!r}")
    asked = (await _seen(root, again))["asked"]
    _expect(asked == len(("refused", "answered")), f"asked {asked} times, once refused")
    _expect(waited >= RETRY_SECONDS, f"tried again after {waited:.2f} s, told to wait 1 s")
    return failure.kind


async def _broken(client: Client, root: str) -> str:
    """A stream that breaks must not look like a short answer."""
    heard: list[str] = []
    call = _call(client, root, "breaks", retries=0)
    failure = await _failure(client, _listen(client, call, heard))
    _expect("".join(heard) == "Lima is the", f"heard {''.join(heard)!r} before the break")
    _expect(bool(failure.message), "the error has no message")
    return failure.kind


async def _cancel_late(client: Client, root: str) -> str:
    return await _cancel(client, _call(client, root, "slow"), root, after_deltas=1)


async def _cancel_early(client: Client, root: str) -> str:
    return await _cancel(client, _call(client, root, "silent"), root, after_deltas=0)


async def _cancel(client: Client, call: Call, root: str, *, after_deltas: int) -> str:
    """Leave as servers and notebooks do: by cancelling the task that listens."""
    heard: list[str] = []
    listening = asyncio.ensure_future(_listen(client, call, heard))
    begun = time.perf_counter()
    while len(heard) < after_deltas or not (await _seen(root, call))["asked"]:
        _expect(not listening.done(), "the stream ended before the client left")
        _expect(time.perf_counter() - begun < PATIENCE_SECONDS, "the model was never heard")
        await asyncio.sleep(0.05)
    listening.cancel()
    seconds = await _cancelled(root, call)
    await asyncio.wait([listening], timeout=PATIENCE_SECONDS)
    return f"{seconds:.1f} s"


async def _structure(client: Client, root: str) -> str:
    assert client.structure
    given = await asyncio.to_thread(client.structure, _call(client, root, "tool"))
    _expect(given == {"country": "Peru", "capital": "Lima"}, f"the structure is {given!r}")
    return "by a tool"


async def _tools(client: Client, root: str) -> str:
    assert client.tools
    text = await asyncio.to_thread(client.tools, _call(client, root, "tool"))
    _expect(text == STEADY, f"after the call the answer is {text!r}")
    return "called and answered"


async def _listen(
    client: Client, call: Call, heard: list[str] | None = None
) -> tuple[list[str], Reply | None]:
    deltas = [] if heard is None else heard
    reply = None
    async for piece in client.stream(call):
        if isinstance(piece, Reply):
            reply = piece
        elif piece:
            deltas.append(piece)
    return deltas, reply


async def _failure(client: Client, asking: Awaitable[Any]) -> Failure:
    try:
        given = await asyncio.wait_for(asking, PATIENCE_SECONDS)
    except Exception as error:  # noqa: BLE001 - which kind it may be is the client's to say
        return client.failure(error)
    raise Wrong(f"no error: {given!r}")


def _check_reply(reply: Reply, *, shown: bool) -> None:
    _expect((reply.receipt is not None) == shown, f"the receipt is {reply.receipt!r}")
    _expect(bool(reply.prompt_tokens), "there is no usage")
    if reply.receipt is not None:
        planned, used = reply.receipt["prompt_tokens"], reply.prompt_tokens
        _expect(planned == used, f"{used} prompt tokens in the usage, {planned} in the receipt")


async def _cancelled(root: str, call: Call) -> float:
    left = time.perf_counter()
    while (seconds := time.perf_counter() - left) <= CANCEL_SECONDS:
        if (await _seen(root, call))["cancelled"]:
            return seconds
        await asyncio.sleep(0.05)
    raise Wrong(f"the model still answers {CANCEL_SECONDS:g} s after the client has left")


async def _seen(root: str, call: Call) -> dict[str, int]:
    def fetch() -> dict[str, int]:
        name = call.question.rsplit(" ", 1)[-1]
        with urllib.request.urlopen(f"{root}/probe/{name}", timeout=5) as response:
            seen: dict[str, int] = json.load(response)
        return seen

    return await asyncio.to_thread(fetch)


def _call(
    client: Client, root: str, model: str, *, question: str = QUESTION, retries: int = 2
) -> Call:
    """Return a call whose probe no other call has."""
    probe = f"probe-{client.package}-{model}-{time.monotonic_ns()}"
    return Call(f"{root}/v1", model, f"{question} {probe}", retries)


def _expect(condition: bool, message: str) -> None:
    if not condition:
        raise Wrong(message)


def _told(error: Exception) -> str:
    words = str(error) or "no message"
    return words if isinstance(error, Wrong) else f"{type(error).__name__}: {words}"[:300]
