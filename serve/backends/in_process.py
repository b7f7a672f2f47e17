"""A model that llama.cpp runs in this process, by the package `xllamacpp`: no server to start."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import secrets
import threading
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, Final

from chunking.errors import ConfigurationError, DependencyMissing, ProfileMismatch
from chunking.tokens import Message
from serve.backends.openai_compatible import OpenAICompatibleBackend
from serve.backends.protocol import Completion, CompletionRequest, ServerFacts
from serve.errors import UpstreamError, UpstreamTimeout

_ERRORS_ONLY: Final = 1
"""Above this llama.cpp may log what it reads."""
_PROMPT_CACHE_MEBIBYTES: Final = 512
"""For prompts that begin as an earlier one; by default it may grow to 8 GiB."""


class InProcessBackend:
    """Completes chat requests with a GGUF file, loaded by the first call.

    llama.cpp answers on a port of the loopback that the system chooses, with a key that is drawn
    anew and that this process alone knows; it is asked as every other server, see
    `OpenAICompatibleBackend`. One request has the whole window, so others wait for it.
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
            timeout_seconds: deadline of a whole call, the loading included.
            temperature: sampling temperature; None leaves it to llama.cpp.
            sha256: what the file must hash to; empty for any.

        Raises:
            ConfigurationError: there is no such file.
            DependencyMissing: xllamacpp is not installed.
        """
        if not file.is_file():
            raise ConfigurationError(
                f"model {model!r}: there is no file {file}",
                hint="set the profile's `model_file` to a GGUF file, absolute or in the folder of "
                "models",
                param="model_file",
            )
        try:
            self._llama: Any = importlib.import_module("xllamacpp")
        except ImportError as error:
            raise DependencyMissing(
                f"model {model!r} needs the package {error.name!r}",
                hint="pip install 'windowfit[local]'",
            ) from error
        self._file = file
        self._model = model
        self._window = window
        self._timeout_seconds = timeout_seconds
        self._temperature = temperature
        self._sha256 = sha256
        self._loading = threading.Lock()
        self._key: Final = secrets.token_urlsafe(32)
        self._server: Any = None
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
        """
        return await (await self._loaded()).inspect(probe)

    async def close(self) -> None:
        """Free the model; a second call does nothing."""
        if self._client is not None:
            await self._client.close()
        await asyncio.to_thread(self._unload)

    async def _loaded(self) -> OpenAICompatibleBackend:
        if self._client is not None:
            return self._client
        deadline = time.monotonic() + self._timeout_seconds
        try:
            # The thread goes on after the deadline: the next call finds the model loaded.
            loading = asyncio.to_thread(self._load)
            return await asyncio.wait_for(loading, deadline - time.monotonic())
        except TimeoutError as error:
            raise UpstreamTimeout(
                f"{self._file.name} was not loaded within {self._timeout_seconds:g} s"
            ) from error

    def _load(self) -> OpenAICompatibleBackend:
        with self._loading:
            if self._client is None:
                self._check_hash()
                self._server = self._started()
                self._client = OpenAICompatibleBackend(
                    f"{self._server.listening_address}/v1",
                    api_key=self._key,
                    model=self._model,
                    timeout_seconds=self._timeout_seconds,
                    temperature=self._temperature,
                    window=self._window,
                    proxied=False,
                )
            return self._client

    def _check_hash(self) -> None:
        """Refuse weights that nobody reviewed."""
        if not self._sha256:
            return
        with self._file.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self._sha256:
            raise ProfileMismatch(
                f"{self._file.name} has the sha256 {found}, its review names {self._sha256}",
                hint="fetch the file that was reviewed, or review this one",
                param="model_file",
            )

    def _started(self) -> Any:
        parameters: Any = self._llama.CommonParams()
        parameters.model.path = str(self._file)
        parameters.model_alias = {self._model}
        parameters.hostnames = ["127.0.0.1"]
        parameters.port = 0
        parameters.api_keys = [self._key]
        parameters.n_ctx = self._window
        parameters.n_parallel = 1  # the window is divided among the slots: one slot has all of it
        parameters.cache_ram_mib = _PROMPT_CACHE_MEBIBYTES
        parameters.verbosity = _ERRORS_ONLY
        parameters.ui = False
        parameters.endpoint_slots = False  # it would tell the prompts that are read
        try:
            return self._llama.Server(parameters)
        except (RuntimeError, ValueError) as error:
            raise UpstreamError(
                f"llama.cpp cannot load {self._file.name} with a window of {self._window} tokens",
                hint="check that it is a GGUF file of a model that llama.cpp knows, and that there "
                "is memory for it; its own words are in the log",
            ) from error

    def _unload(self) -> None:
        with self._loading:
            self._client, self._server = None, None
