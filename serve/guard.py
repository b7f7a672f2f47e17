"""The last door before a model's server: text above the cloud limit does not pass it.

Every call of a model goes through it, whoever makes it: the service, the command line, an
evaluation, the calls of mode `exhaustive`. It looks at the request itself, so that a route that was
decided wrongly, or never decided, sends nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace

from chunking.sensitivity import Sensitivity, highest
from chunking.tokens import Message
from serve.backends.protocol import ChatBackend, Completion, CompletionRequest, ServerFacts
from serve.errors import PolicyNoRoute
from serve.gate import Gate, GateLimits
from serve.profiles import ModelProfile
from serve.review import require_approved
from serve.routing import may_leave


class GuardedBackend:
    """A `ChatBackend` that refuses what may not go to its model, and passes on the rest.

    Attributes:
        inner: the backend behind the door; nothing else may call it.
        gate: lets a few calls through at a time, and none to a broken server.
    """

    def __init__(
        self,
        inner: ChatBackend,
        profile: ModelProfile,
        *,
        cloud_limit: Sensitivity,
        gate: Gate | None = None,
        recheck: Callable[[CompletionRequest], None] | None = None,
    ) -> None:
        """Stand before a backend.

        Args:
            cloud_limit: the highest label that may go to a cloud.
            recheck: raises where a request for a cloud is outdated by now; called in a thread.
        """
        self._recheck = recheck
        self.inner = inner
        self.gate = gate or Gate(profile.name, GateLimits())
        self._profile = profile
        self._cloud_limit = cloud_limit

    async def complete(self, request: CompletionRequest) -> Completion:
        """Return the answer to a planned prompt.

        Raises:
            PolicyNoRoute: the prompt holds text that may not go there.
            ModelUnapproved: nothing may go there.
            CollectionChanged: a label was raised since the prompt was planned; nothing was sent.
            QueueFull, UpstreamError: see `Gate.admitted`.
        """
        self._refuse(request)
        async with self.gate.admitted():
            looked = await self._look_again(request)
            return await self.inner.complete(looked)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[str | Completion]:
        """Yield the answer piece by piece, then the whole completion.

        Raises:
            PolicyNoRoute, ModelUnapproved, CollectionChanged, QueueFull: see `complete`; nothing
                was yielded.
        """
        self._refuse(request)
        async with self.gate.admitted():
            looked = await self._look_again(request)
            async with contextlib.aclosing(self.inner.stream(looked)) as pieces:
                async for piece in pieces:
                    yield piece

    async def inspect(self, probe: Sequence[Message]) -> ServerFacts:
        """Return what the server says of itself; the probe holds no text of anybody.

        A server that is down from the start never gets further than this, so that it counts here.

        Raises:
            QueueFull, UpstreamError: see `Gate.admitted`.
        """
        async with self.gate.admitted():
            return await self.inner.inspect(probe)

    async def close(self) -> None:
        """Release connections."""
        await self.inner.close()

    async def _look_again(self, request: CompletionRequest) -> CompletionRequest:
        """Look at the labels once more: the call may have waited, or others of its plan ran.

        The request that is returned has the backend look before each of its tries as well.
        """
        recheck = self._recheck
        if recheck is None or self._profile.place == "local":
            return request

        async def look() -> None:
            await asyncio.to_thread(recheck, request)

        await look()
        return replace(request, before_try=look)

    def _refuse(self, request: CompletionRequest) -> None:
        profile = self._profile
        require_approved(profile.name, profile.review)
        label = label_of(request)
        if profile.place != "local" and not may_leave(label, self._cloud_limit):
            raise PolicyNoRoute(
                f"the prompt holds {label} text, and {profile.name} is a {profile.place} model:"
                f" at most {self._cloud_limit} text may go there"
            )


def label_of(request: CompletionRequest) -> Sensitivity:
    """Return the highest label of all that a request holds: its own, and those of its sources."""
    return highest((request.sensitivity, *(chunk.sensitivity for chunk in request.sources)))
