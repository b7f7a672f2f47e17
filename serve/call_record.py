"""Follows one call from its request to its end, and writes its row into the ledger."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from chunking.errors import CollectionChanged, StoreError, WindowfitError
from serve.account import Bill, Progress, bill_of, row_of
from serve.backends.protocol import Completion
from serve.errors import PolicyRefused, UpstreamError
from serve.ledger import Ledger, Outcome
from serve.plan import Plan
from serve.profiles import ModelProfile

_NO_ANSWER = Completion(text="", prompt_tokens=None, output_tokens=0)


@dataclass(frozen=True, slots=True)
class Origin:
    """The request that a call is made for; several calls for one request share it.

    Attributes:
        request_id: under which its calls stand in the ledger.
        at: when it was taken up; `started` is the same on the clock that measures.
    """

    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: float = field(default_factory=time.perf_counter)


class CallRecord:
    """The record of one call: entered around it, it has written its row when it is left.

    Attributes:
        text: what of the answer has arrived.
    """

    def __init__(
        self,
        ledger: Ledger | None,
        profile: ModelProfile | None,
        *,
        origin: Origin | None = None,
        streamed: bool = False,
    ) -> None:
        """Prepare the record.

        Args:
            ledger: where the row goes; None writes none.
            profile: of the model that was asked for, where there is one.
            origin: the request; one that begins now where there is none.
            streamed: whether the caller gets the answer piece by piece.
        """
        self.text = ""
        self._ledger = ledger
        origin = origin or Origin()
        self._started = origin.started
        self._called = time.perf_counter()
        self._progress = Progress(
            call=uuid.uuid4().hex,
            request_id=origin.request_id,
            began=origin.at,
            streamed=streamed,
            profile=profile,
        )

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write the row; an error of the call is raised after it, as it is."""
        await self.end(error)

    async def end(self, error: BaseException | None) -> None:
        """Write the row of a call that ended like this.

        For a request that was refused before it had a call, a new record can be ended at once.
        """
        now = time.perf_counter()
        progress = self._progress
        if progress.sent and progress.completion is None:
            progress = replace(progress, call_seconds=now - self._called)
            if _refused_here(error, progress):
                progress = replace(progress, sent=False, call_seconds=0.0)
        self._progress = replace(progress, total_seconds=now - self._started)
        # Shielded: a caller that cancels twice would take a row back that waits for its thread.
        await asyncio.shield(asyncio.to_thread(self._write, self._progress, *_ended(error)))

    def plan(self, plan: Plan) -> None:
        """Remember the plan of the call.

        Raises:
            ConfigurationError: the price list does not hold the model.
        """
        self._progress = replace(self._progress, plan=plan, profile=plan.profile)
        bill_of(plan, _NO_ANSWER, at=self._progress.began, seconds=0)

    async def send(self) -> None:
        """Say that the prompt is about to be handed to the model; of the cloud, in the ledger."""
        sent = replace(self._progress, sent=True)
        if sent.profile is not None and sent.profile.place == "cloud":
            await asyncio.to_thread(self._write, sent, "open", None)
        self._progress = sent
        self._called = time.perf_counter()

    def note_first_text(self) -> None:
        """Remember when the first text of the answer arrived; only the first counts."""
        if self._progress.first_token_seconds is None:
            seconds = time.perf_counter() - self._started
            self._progress = replace(self._progress, first_token_seconds=seconds)

    def complete(self, completion: Completion) -> Bill:
        """Remember the whole answer, and return what it cost."""
        self.note_first_text()
        plan = self._progress.plan
        assert plan is not None  # noqa: S101 - nothing completes that was not planned
        seconds = time.perf_counter() - self._called
        self._progress = replace(self._progress, completion=completion, call_seconds=seconds)
        return bill_of(plan, completion, at=self._progress.began, seconds=seconds)

    def _write(self, progress: Progress, outcome: Outcome, error_code: str | None) -> None:
        if self._ledger is None:
            return
        if progress.plan is not None and progress.completion is None and self.text:
            written = _count(progress.plan, self.text)
            progress = replace(progress, written_tokens=written)
        self._ledger.append(row_of(progress, outcome=outcome, error_code=error_code))


def _ended(error: BaseException | None) -> tuple[Outcome, str | None]:
    """Return how a call ended, and the code of its error."""
    if error is None:
        return "answered", None
    if isinstance(error, Exception):
        return "failed", error.code if isinstance(error, WindowfitError) else "internal_error"
    # Cancelled, or a generator that was closed: nobody waits for the answer any more.
    return "abandoned", None


def _refused_here(error: BaseException | None, progress: Progress) -> bool:
    """Return whether an error says that a call was refused on its way out, so that nothing left.

    A policy refuses all calls of a plan alike; a gate, or a label raised by then, may refuse one
    of several.
    """
    single = progress.plan is not None and progress.plan.exhaustion is None
    # The last look at the labels, and the store that it asks, come before the call.
    unlooked = isinstance(error, (CollectionChanged, StoreError))
    uncalled = unlooked or (isinstance(error, UpstreamError) and not error.called)
    return isinstance(error, PolicyRefused) or (uncalled and single)


def _count(plan: Plan, text: str) -> int:
    """Return the tokens of what had arrived; none where the server that counts is away."""
    try:
        return plan.counter.count(text)
    except WindowfitError:
        return 0
