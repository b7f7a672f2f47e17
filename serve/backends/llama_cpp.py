"""A model that llama.cpp runs in a process of its own, which the backend starts and ends."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from chunking.tokens import Message
from serve.backends.llama_child import LOAD_HINT, LlamaProcess
from serve.backends.model_file import check_hash, require_loadable
from serve.backends.openai_compatible import OpenAICompatibleBackend
from serve.backends.protocol import Completion, CompletionRequest, ServerFacts
from serve.errors import UpstreamError, UpstreamTimeout


class LlamaCppBackend:
    """Completes chat requests with a GGUF file, loaded by the first call.

    llama.cpp runs in a process of its own: loading holds nothing up, and what it does wrong ends
    that process alone, which the next call starts anew. It answers on a port of the loopback that
    the system chooses, with a key that is drawn anew and that the two processes alone know; it is
    asked as every other server, see `OpenAICompatibleBackend`. One request has the whole window,
    so others wait for it.
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
        self._client: OpenAICompatibleBackend | None = None

    async def complete(self, request: CompletionRequest) -> Completion:
        """Return the model's answer; see `OpenAICompatibleBackend.complete`."""
        return await (await self._loaded()).complete(request)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[str | Completion]:
        """Yield the answer as it is written; see `OpenAICompatibleBackend.stream`."""
        pieces = (await self._loaded()).stream(request)
        try:
            async for piece in pieces:
                yield piece
        finally:
            await pieces.aclose()

    async def inspect(self, probe: Sequence[Message]) -> ServerFacts:
        """Return what llama.cpp says of the model that it loaded.

        Raises:
            ProfileMismatch: the file is not the one that was reviewed.
            UpstreamError: it cannot be loaded.
            UpstreamTimeout: it was not loaded in time.
        """
        return await (await self._loaded()).inspect(probe)

    async def close(self) -> None:
        """End the process at once, also while it loads; a second call does nothing."""
        self._process.kill()
        if self._starting is not None:
            await asyncio.gather(self._starting, return_exceptions=True)
        client, self._client = self._client, None
        if client is not None:
            await client.close()
        await asyncio.to_thread(self._process.wait)

    async def _loaded(self) -> OpenAICompatibleBackend:
        """Return the client of a process that runs, which is started where there is none."""
        if self._client is not None and self._process.running:
            return self._client
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
            self._starting.add_done_callback(self._forget_start)
        try:
            # Shielded: it goes on after the deadline, and the next call finds the model loaded.
            starting = asyncio.shield(self._starting)
            return await asyncio.wait_for(starting, self._timeout_seconds)
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
