"""A model that llama.cpp runs in a process of its own, which the backend starts and ends."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from chunking.tokens import Message
from serve.backends.llama_child import LOAD_HINT, LlamaProcess
from serve.backends.model_file import check_hash, require_loadable
from serve.backends.openai_compatible import OpenAICompatibleBackend
from serve.backends.protocol import Completion, CompletionRequest, ServerFacts
from serve.errors import UpstreamError, UpstreamTimeout

_ENDING_SECONDS: Final = 1.0
"""A process closes its connections a while before the system calls it ended."""
_LOOK_SECONDS: Final = 0.02
_CRASH_HINT: Final = (
    "ask again, which starts it anew; where it ends again, check that there is memory for the "
    "model and its window; its own words are in the log"
)
_FAILURE_HINT: Final = "ask again; llama.cpp's own words are in the log"

_Brought = TypeVar("_Brought")
_Pieces = AsyncGenerator[str | Completion]


@dataclass(frozen=True, slots=True)
class _Turn:
    """Who is asked by a call, and until when on the event loop's clock."""

    client: OpenAICompatibleBackend
    deadline: float


class LlamaCppBackend:
    """Completes chat requests with a GGUF file, loaded by the first call.

    llama.cpp runs in a process of its own: loading holds nothing up, and what it does wrong ends
    that process alone. A call that it leaves without a word starts it anew and is sent once more,
    within its deadline; one that had begun to be answered fails, and the next starts it anew. After
    a call that timed out or was left, a process that says nothing any more is ended. It answers on
    a port of the loopback that the system chooses, with a key that is drawn anew and that the two
    processes alone know; it is asked as every other server, see `OpenAICompatibleBackend`. One
    request has the whole window, so others wait for it.
    """

    def __init__(
        self,
        file: Path,
        *,
        model: str,
        window: int,
        timeout_seconds: float,
        temperature: float | None = None,
        sha256: str = "",
    ) -> None:
        """Look whether the model could be loaded; nothing is loaded yet.

        Args:
            file: the GGUF file.
            model: what the model is called in requests.
            window: most tokens of prompt and answer.
            timeout_seconds: deadline of a whole call; where the model must be loaded first, waiting
                for that has the same deadline of its own.
            temperature: sampling temperature; None leaves it to llama.cpp.
            sha256: what the file must hash to; empty for any.

        Raises:
            ConfigurationError: there is no such file.
            DependencyMissing: xllamacpp is not installed.
        """
        require_loadable(model, file)
        self._file = file
        self._model = model
        self._window = window
        self._timeout_seconds = timeout_seconds
        self._temperature = temperature
        self._sha256 = sha256
        self._process = LlamaProcess(file.absolute(), model=model, window=window)
        self._starting: asyncio.Task[OpenAICompatibleBackend] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._client: OpenAICompatibleBackend | None = None

    async def complete(self, request: CompletionRequest) -> Completion:
        """Return the model's answer; see `OpenAICompatibleBackend.complete`."""
        _, completion = await self._sent(lambda client: client.complete(request))
        return completion

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[str | Completion]:
        """Yield the answer as it is written; see `OpenAICompatibleBackend.stream`."""
        turn, (pieces, piece) = await self._sent(lambda client: _opened(client.stream(request)))
        try:
            async with self._explained(turn):
                while piece is not None:
                    yield piece
                    async with asyncio.timeout_at(turn.deadline):
                        piece = await anext(pieces, None)
        finally:
            await pieces.aclose()

    async def inspect(self, probe: Sequence[Message]) -> ServerFacts:
        """Return what llama.cpp says of the model that it loaded.

        Raises:
            ProfileMismatch: the file is not the one that was reviewed.
            UpstreamError: it cannot be loaded.
            UpstreamTimeout: it was not loaded in time.
        """
        _, facts = await self._sent(lambda client: client.inspect(probe))
        return facts

    async def close(self) -> None:
        """End the process at once, also while it loads; a second call does nothing."""
        self._process.kill()
        begun = [task for task in (self._starting, self._asking) if task is not None]
        await asyncio.gather(*begun, return_exceptions=True)
        client, self._client = self._client, None
        if client is not None:
            await client.close()
        await asyncio.to_thread(self._process.wait)

    async def _sent(
        self, call: Callable[[OpenAICompatibleBackend], Awaitable[_Brought]]
    ) -> tuple[_Turn, _Brought]:
        """Return whom a call asked and what it brought; without a word from it, ask once more.

        A process that ended over it is started anew, and a connection that closed is opened anew.
        Only until the call brings something, so that no part of an answer comes twice.
        """
        turn = _Turn(await self._loaded(), _after(self._timeout_seconds))
        try:
            return turn, await self._tried(call, turn)
        except UpstreamError as error:
            if error.code != UpstreamError.code or _told_by_server(error.__cause__):
                raise
        turn = replace(turn, client=await self._loaded(turn.deadline))
        return turn, await self._tried(call, turn)

    async def _tried(
        self, call: Callable[[OpenAICompatibleBackend], Awaitable[_Brought]], turn: _Turn
    ) -> _Brought:
        async with self._explained(turn), asyncio.timeout_at(turn.deadline):
            return await call(turn.client)

    @asynccontextmanager
    async def _explained(self, turn: _Turn) -> AsyncIterator[None]:
        """Tell failures in words that hold here, as there is no base_url that could be checked."""
        try:
            yield
        except (asyncio.CancelledError, UpstreamTimeout):
            self._ask_whether_it_hangs(turn.client)
            raise
        except TimeoutError as error:
            self._ask_whether_it_hangs(turn.client)
            raise UpstreamTimeout(
                f"llama.cpp gave no whole answer from {self._file.name} within "
                f"{self._timeout_seconds:g} seconds"
            ) from error
        except UpstreamError as error:
            if error.code != UpstreamError.code:
                raise
            if not _told_by_server(error) and await self._ends(turn.client):
                told = f"llama.cpp ended while it ran {self._file.name}"
                raise UpstreamError(told, hint=_CRASH_HINT) from error
            raise UpstreamError(error.message, hint=_FAILURE_HINT) from error

    async def _ends(self, client: OpenAICompatibleBackend) -> bool:
        """Return whether the process of a client has ended, or does within a moment.

        One that still answers only closed a connection, as its server does with kept ones.
        """
        until = _after(_ENDING_SECONDS)
        while self._runs(client):
            if _after(0) > until or await asyncio.to_thread(self._process.responds):
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return True

    def _runs(self, client: OpenAICompatibleBackend) -> bool:
        """Return whether the process of a client has neither ended nor been replaced."""
        return self._client is client and self._process.running

    def _ask_whether_it_hangs(self, client: OpenAICompatibleBackend) -> None:
        """Ask the process of a call that waited in vain; the call itself does not wait for that."""
        if self._asking is None and self._runs(client):
            self._asking = asyncio.create_task(self._end_where_silent(client))
            self._asking.add_done_callback(self._forget_asking)

    async def _end_where_silent(self, client: OpenAICompatibleBackend) -> None:
        responds = await asyncio.to_thread(self._process.responds)
        if not responds and self._client is client:
            self._client = None
            self._process.end()
            await client.close()

    def _forget_asking(self, _: asyncio.Task[None]) -> None:
        self._asking = None

    async def _loaded(self, deadline: float | None = None) -> OpenAICompatibleBackend:
        """Return the client of a process that runs, which is started where there is none."""
        try:
            async with asyncio.timeout_at(deadline or _after(self._timeout_seconds)):
                if self._asking is not None:
                    await asyncio.wait({self._asking})
                if self._client is not None and self._process.running:
                    return self._client
                if self._starting is None:
                    self._starting = asyncio.create_task(self._start())
                    self._starting.add_done_callback(self._forget_start)
                # Shielded: it goes on after the deadline, and the next call finds it loaded.
                return await asyncio.shield(self._starting)
        except TimeoutError as error:
            raise UpstreamTimeout(
                f"{self._file.name} was not loaded within {self._timeout_seconds:g} s",
                hint="ask again, as it goes on loading, or raise the profile's timeout_seconds",
            ) from error

    async def _start(self) -> OpenAICompatibleBackend:
        ended, self._client = self._client, None
        if ended is not None:
            await ended.close()
        key = secrets.token_urlsafe(32)
        address = await asyncio.to_thread(self._load, key)
        self._client = OpenAICompatibleBackend(
            f"{address}/v1",
            api_key=key,
            model=self._model,
            timeout_seconds=self._timeout_seconds,
            temperature=self._temperature,
            window=self._window,
            max_retries=0,  # nobody listens any more where it ended: `_sent` asks again
            proxied=False,
        )
        return self._client

    def _load(self, key: str) -> str:
        try:
            check_hash(self._file, self._sha256, stopped=lambda: self._process.closed)
            return self._process.start(key)
        except OSError as error:
            raise UpstreamError(
                f"{self._file.name} cannot be read, or no process started for it", hint=LOAD_HINT
            ) from error

    def _forget_start(self, task: asyncio.Task[OpenAICompatibleBackend]) -> None:
        self._starting = None
        if not task.cancelled():
            task.exception()  # retrieved, as everybody who waited for it may have left


async def _opened(pieces: _Pieces) -> tuple[_Pieces, str | Completion | None]:
    """Return a stream and its first piece, so that a failure before that comes from here."""
    return pieces, await anext(pieces, None)


def _told_by_server(error: BaseException | None) -> bool:
    """Return whether a failure is what the server answered, and not that it answered nothing."""
    return hasattr(getattr(error, "__cause__", None), "status_code")


def _after(seconds: float) -> float:
    """Return the moment of the event loop's clock that is so far away."""
    return asyncio.get_running_loop().time() + seconds
