"""Any server with OpenAI's chat completions: vLLM, llama.cpp, OpenAI, Gemini and many others.

The one module that imports `openai`. Whatever the SDK raises leaves here as an error of ours with
the cause kept and no word of the server's text, see `openai_failures`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import openai
from pydantic import ValidationError

from chunking.errors import WindowfitError
from chunking.tokens import Message
from retrieval.loopback import is_loopback
from serve.backends.openai_address import (
    host_of,
    output_parameter,
    sendable_key,
    server_name,
)
from serve.backends.openai_events import LATE, LOST, ErrorInStream, read_events
from serve.backends.openai_facts import inspect_server
from serve.backends.openai_failures import ROOT_HINT, Refusals, retry_after_seconds
from serve.backends.openai_stream import StreamChunk, StreamedAnswer
from serve.backends.openai_wire import ChatReply, request_body
from serve.backends.protocol import Completion, CompletionRequest, ServerFacts
from serve.errors import UpstreamError, UpstreamTimeout, UpstreamWithheld

INSPECT_SECONDS: Final = 15.0
"""Deadline of an inspection: its routes count tokens and generate nothing."""

_STRAIGHT: Final = {"http://": None, "https://": None, "all://": None}
"""No proxy, whatever the environment names; certificates that it names still hold."""

_BEFORE_TRY: ContextVar[Callable[[], Awaitable[None]] | None] = ContextVar(
    "_BEFORE_TRY", default=None
)
"""What the call under way wants to be awaited before each of its tries."""

_Sent = TypeVar("_Sent")


class _Refused(openai.OpenAIError):
    """What was raised before a try; the SDK neither repeats nor wraps errors of its own kind."""

    def __init__(self, error: WindowfitError) -> None:
        self.error = error
        super().__init__(error.message)


@contextlib.contextmanager
def _looking(request: CompletionRequest) -> Iterator[None]:
    token = _BEFORE_TRY.set(request.before_try)
    try:
        yield
    finally:
        _BEFORE_TRY.reset(token)


async def _look(_: object) -> None:
    look = _BEFORE_TRY.get()
    try:
        if look is not None:
            await look()
    except WindowfitError as error:
        raise _Refused(error) from error


async def _chunk(events: AsyncGenerator[bytes]) -> StreamChunk | None:
    event = await anext(events, None)
    if event is None:
        return None
    chunk = StreamChunk.model_validate_json(event)
    if chunk.error:
        raise ErrorInStream(chunk.error)
    return chunk


@dataclass(frozen=True, slots=True)
class _Deadline:
    """A moment of the event loop's clock, and how far away it was."""

    seconds: float
    at: float

    @classmethod
    def after(cls, seconds: float) -> _Deadline:
        return cls(seconds, asyncio.get_running_loop().time() + seconds)


class OpenAICompatibleBackend:
    """Completes chat requests on a server with OpenAI's routes, each within one deadline."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None,
        model: str,
        timeout_seconds: float,
        temperature: float | None = None,
        window: int | None = None,
        max_retries: int = 2,
        proxied: bool = True,
    ) -> None:
        """Prepare the connection; nothing is sent.

        Args:
            base_url: root of the routes, such as `http://127.0.0.1:8000/v1`.
            api_key: the key; None where the server wants none.
            model: name sent to the server.
            timeout_seconds: deadline of a whole call, retries and their pauses included.
            temperature: sampling temperature; None leaves it to the server.
            window: what the profile says, for `check` and for messages.
            max_retries: how often a failed try is repeated, paced by the server's Retry-After.
            proxied: whether a proxy of the environment may carry the calls; none carries those to
                the loopback.

        Raises:
            ConfigurationError: the address or the key cannot be sent at all.
        """
        self._server = server_name(base_url)
        self._base_url = base_url
        self._room = output_parameter(base_url)
        self._model = model
        self._timeout_seconds = timeout_seconds
        self._temperature = temperature
        self._refusals = Refusals(self._server, model, window)
        self._client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=sendable_key(api_key),
            timeout=timeout_seconds,
            max_retries=max_retries,
            http_client=openai.DefaultAsyncHttpxClient(
                # A redirect would carry the prompt to a place that the profile does not name.
                follow_redirects=False,
                mounts=None if proxied and not is_loopback(host_of(base_url)) else _STRAIGHT,
                event_hooks={"request": [_look], "response": [self._refuse_long_waits]},
            ),
        )
        # The SDK reads these from the environment and would send them to whatever server.
        self._client.organization = None
        self._client.project = None

    async def complete(self, request: CompletionRequest) -> Completion:
        """Return the server's answer.

        Raises:
            ContextLengthExceeded: the server counts more tokens than its window holds.
            UpstreamError: or a child of it, for everything else that goes wrong.
        """
        sending = self._client.post("/chat/completions", cast_to=str, body=self._body(request))
        deadline, room = _Deadline.after(self._timeout_seconds), request.max_output_tokens
        with _looking(request):
            text = await self._until(deadline, sending, output_tokens=room)
        try:
            reply = ChatReply.model_validate_json(text)
        except ValidationError as error:
            raise UpstreamError(
                f"{self._server} sent an answer that is no chat completion", hint=ROOT_HINT
            ) from error
        if reply.withheld:
            raise self._withheld()
        return reply.completion()

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[str | Completion]:
        """Yield the answer as the server writes it, then the completion.

        The deadline is that of the whole answer, whoever reads it slowly included.

        Raises:
            ContextLengthExceeded: the server counts more tokens than its window holds.
            UpstreamError: or a child of it, for everything else, also in the middle of the answer.
        """
        deadline, room = _Deadline.after(self._timeout_seconds), request.max_output_tokens
        body = {**self._body(request), "stream": True, "stream_options": {"include_usage": True}}
        opening = self._client.post(
            "/chat/completions",
            cast_to=object,
            body=body,
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )
        with _looking(request):
            response = (await self._until(deadline, opening, output_tokens=room)).response
        answer = StreamedAnswer()
        try:
            async with contextlib.aclosing(read_events(response)) as events:
                while chunk := await self._next_chunk(events, deadline, output_tokens=room):
                    if piece := answer.add(chunk):
                        yield piece
        finally:
            await response.aclose()
        if answer.withheld:
            raise self._withheld()
        if answer.finish_reason is None:
            raise UpstreamError(f"{self._server} ended the answer before it was complete")
        yield answer.completion()

    async def inspect(self, probe: Sequence[Message]) -> ServerFacts:
        """Return what `/models` and the token routes of vLLM or llama.cpp say.

        Raises:
            UpstreamError: the server is away, refuses the key or sends no list of models.
        """
        deadline = _Deadline.after(min(INSPECT_SECONDS, self._timeout_seconds))
        try:
            return await inspect_server(
                partial(self._ask, deadline), self._base_url, self._model, probe
            )
        except ValidationError as error:
            raise UpstreamError(
                f"{self._server} sent something that is no list of models", hint=ROOT_HINT
            ) from error

    async def close(self) -> None:
        """Close the connections; a second call does nothing."""
        await self._client.close()

    def _body(self, request: CompletionRequest) -> dict[str, Any]:
        return request_body(
            request, model=self._model, temperature=self._temperature, room=self._room
        )

    async def _next_chunk(
        self, events: AsyncGenerator[bytes], deadline: _Deadline, *, output_tokens: int
    ) -> StreamChunk | None:
        try:
            return await self._until(deadline, _chunk(events), output_tokens=output_tokens)
        except ValidationError as error:  # no UTF-8, no JSON, or JSON of another shape
            raise UpstreamError(
                f"{self._server} sent a stream that is no chat completion", hint=ROOT_HINT
            ) from error

    async def _ask(
        self, deadline: _Deadline, url: str, body: object, unless: Collection[int]
    ) -> str | None:
        """Return what a route answers; None where it answers with one of these statuses."""
        options: Any = {"max_retries": 0}
        sending = (
            self._client.get(url, cast_to=str, options=options)
            if body is None
            else self._client.post(url, cast_to=str, body=body, options=options)
        )
        try:
            return await self._until(deadline, sending)
        except WindowfitError as error:
            if getattr(error.__cause__, "status_code", None) in unless:
                return None
            raise

    async def _refuse_long_waits(self, response: Any) -> None:
        """Stop the SDK from waiting past the deadline: the caller should learn the real reason."""
        seconds = retry_after_seconds(response.headers)
        if seconds is not None and seconds >= self._timeout_seconds:
            response.headers["x-should-retry"] = "false"  # the SDK obeys this header

    async def _until(
        self, deadline: _Deadline, sending: Awaitable[_Sent], *, output_tokens: int = 0
    ) -> _Sent:
        """Await a call until then, and turn whatever the SDK raises into an error of ours."""
        try:
            async with asyncio.timeout_at(deadline.at):
                return await sending
        except (TimeoutError, LATE, openai.APITimeoutError) as error:
            raise UpstreamTimeout(
                f"{self._server} gave no whole answer within {deadline.seconds:g} seconds"
            ) from error
        except _Refused as refused:
            raise refused.error from refused.__cause__
        except openai.APIStatusError as error:
            raise self._refusals.error(
                error.status_code,
                error.body,
                headers=error.response.headers,
                output_tokens=output_tokens,
            ) from error
        except (*LOST, openai.APIConnectionError) as error:
            raise UpstreamError(
                f"{self._server} cannot be reached or closed the connection"
            ) from error
        except ErrorInStream as error:
            raise self._refusals.error_in_stream(error.body, output_tokens=output_tokens) from error
        except openai.OpenAIError as error:
            raise UpstreamError(f"{self._server}: the SDK raised {type(error).__name__}") from error

    def _withheld(self) -> UpstreamWithheld:
        return UpstreamWithheld(f"a content filter at {self._server} withheld the answer")
