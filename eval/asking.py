"""Makes one call of an arm, and accounts for it whether it is answered or not."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar

from chunking.errors import (
    CallLimitExceeded,
    CollectionChanged,
    ConfigurationError,
    ProfileMismatch,
    StoreError,
    WindowfitError,
)
from chunking.sensitivity import UNLABELLED, Sensitivity, highest
from eval.arms import ModelArm
from eval.cells import AskedQuestion
from eval.kept_cells import CellStore, Given, given_answer, given_failure, key_of
from eval.purse import Purse
from eval.shared_calls import SharedCalls
from serve.answer import Answer
from serve.context.prompt import SYSTEM_TEXT
from serve.cost import price_at_most
from serve.errors import (
    PolicyRefused,
    QueueFull,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamWithheld,
)
from serve.plan import Ask, Plan
from serve.profiles import ModelProfile

Stream = Callable[[Ask], AsyncGenerator[Plan | str | Answer]]
LabelOf = Callable[[Iterable[str]], Sensitivity]
_UNAVAILABLE = 4
"""Exit code of errors that say that a dependency is unavailable."""
_UNPAID = (UpstreamRateLimited, UpstreamRejected, QueueFull, PolicyRefused)
_UNSENT = (CollectionChanged, StoreError)
"""Errors of calls that were refused, or of one that was never made; any other may have come after a
part of an answer."""


@dataclass(slots=True)
class Asker:
    """Asks questions of arms, each once: what is kept is not asked again.

    Attributes:
        collection: what is asked.
        corpus: identifies the collection's content and how it was indexed.
        stream: answers a request piece by piece, as `serve.answer.stream_answer` does.
        sensitivity: the label of questions, which keeps them from a cloud that may not see it.
        label_of: returns the label that documents have by now. A question that was made from them
            quotes them, so that it has the higher of the two.
        calls: how many calls were made.
    """

    FAILURES_IN_A_ROW: ClassVar[int] = 3
    """So many failures of a server end a run: the rest would wait for it one by one."""

    collection: str
    corpus: str
    profiles: Mapping[str, ModelProfile]
    stream: Stream
    store: CellStore
    purse: Purse
    version: str
    sensitivity: Sensitivity = UNLABELLED
    label_of: LabelOf = lambda _: Sensitivity.PUBLIC
    calls: int = 0
    _failures: dict[str, int] = field(default_factory=dict)
    _answered: set[str] = field(default_factory=set)
    _shared: SharedCalls[Given] = field(default_factory=SharedCalls)

    def key(self, arm: ModelArm, question: AskedQuestion) -> str:
        """Return the key of a call: all that its answer depends on."""
        profile = self.profiles[arm.profile]
        facts = {
            name: getattr(profile, name)
            for name in "name backend model base_url model_file window input_limit tokenizer "
            "temperature system_role reranker".split()
        }
        asked: dict[str, Any] = {
            "question": question.question,
            "mode": arm.mode,
            "budget": arm.budget,
        }
        if arm.oracle:
            asked["documents"] = question.documents
        output = self.reserved_output(arm)
        about = {"corpus": self.corpus, "system": SYSTEM_TEXT, "version": self.version}
        return key_of({**about, **asked, "output": output, "profile": facts})

    def reserved_output(self, arm: ModelArm) -> int:
        """Return the most answer tokens of a call."""
        profile = self.profiles[arm.profile]
        return min(arm.max_output_tokens or profile.default_output, profile.output_limit)

    def kept(self, arm: ModelArm, question: AskedQuestion) -> Given | None:
        """Return what is kept of a call."""
        return self.store.get(self.key(arm, question))

    def request(self, arm: ModelArm, question: AskedQuestion) -> Ask:
        """Return the request that an arm makes of a question."""
        return Ask(
            question.question,
            self.collection,
            arm.profile,
            mode=arm.mode,
            max_context_tokens=arm.budget,
            max_output_tokens=arm.max_output_tokens,
            sensitivity=highest((self.sensitivity, self.label_of(question.documents))),
            where={"document": question.documents} if arm.oracle else None,
        )

    async def ask(self, arm: ModelArm, question: AskedQuestion) -> Given:
        """Return what an arm gives for a question, from what is kept or by a call.

        Questions with the same text share one call, also when they are asked at the same time.

        Raises:
            CallLimitExceeded: the purse holds too little for the call.
            ConfigurationError: no call of this arm can succeed: its key or its model is refused.
            ProfileMismatch: another profile answered than the arm's.
        """
        kept = self.kept(arm, question)
        if kept is not None:
            if kept.error is None:
                self._answered.add(arm.name)
            return kept
        return await self._shared.join(self.key(arm, question), partial(self._call, arm, question))

    async def _call(self, arm: ModelArm, question: AskedQuestion) -> Given:
        call = _Call(self, arm, question)
        try:
            async with contextlib.aclosing(self.stream(self.request(arm, question))) as items:
                async for item in items:
                    await call.take(item)
            given = await call.finish()
        except (ConfigurationError, CallLimitExceeded):
            raise
        except WindowfitError as error:
            given = await call.fail(error)
            if _is_rejected(error) and arm.name not in self._answered:
                # Nothing was ever answered: it is the key or the model, and no question.
                told = f"arm {arm.name!r}: {error.message}"
                raise ConfigurationError(told, hint=error.hint, param="arms") from error
            self._count_failure(arm, error)
            return given
        finally:
            # Whatever happened: others may wait for what was put aside.
            await call.close()
        self._failures.pop(arm.name, None)
        self._answered.add(arm.name)
        return given

    def _count_failure(self, arm: ModelArm, error: WindowfitError) -> None:
        if error.exit_code != _UNAVAILABLE:
            return
        self._failures[arm.name] = self._failures.get(arm.name, 0) + 1
        if self._failures[arm.name] >= self.FAILURES_IN_A_ROW:
            raise error


@dataclass(slots=True)
class _Call:
    """One call from its plan to its row.

    Attributes:
        place: where the store notes it as under way; None before it is made.
        reserved: what the purse has put aside for it, until that is settled.
    """

    asker: Asker
    arm: ModelArm
    question: AskedQuestion
    plan: Plan | None = None
    answer: Answer | None = None
    place: int | None = None
    reserved: Decimal | None = None
    started: float = field(default_factory=time.perf_counter)

    async def take(self, item: Plan | str | Answer) -> None:
        """Put the price aside at the plan, before the model is called; keep the answer."""
        if isinstance(item, Plan):
            self.plan = item
            at_most = usd_at_most(item)
            await self.asker.purse.reserve(at_most)
            self.reserved = at_most
            key = self.asker.key(self.arm, self.question)
            self.place = self.asker.store.begin(key, usd_at_most=at_most)
            self.asker.calls += 1
        elif isinstance(item, Answer):
            self.answer = item

    async def finish(self) -> Given:
        """Keep the answer."""
        if self.answer is None:
            raise ConfigurationError(f"arm {self.arm.name!r} ended without an answer")
        report = self.answer.report
        if report.model != self.arm.profile or report.route.fallback_used:
            raise ProfileMismatch(
                f"arm {self.arm.name!r} asks {self.arm.profile!r}, and {report.model!r} answered"
                f"{' as a fallback' if report.route.fallback_used else ''}",
                hint="compare arms without fallbacks, or declare a self-route",
            )
        return await self._keep(given_answer(self.answer))

    async def fail(self, error: WindowfitError) -> Given:
        """Account for a call that ended with an error.

        It is kept where the same call would end with it again; anything else is asked again, and
        so is what was refused for nothing, since keys, quotas and settings change between runs.
        """
        paid = self.place is not None and not _is_free(error, self.plan)
        usd = self.reserved if paid and self.reserved is not None else Decimal(0)
        seconds = time.perf_counter() - self.started
        given = given_failure(error, self.plan, self.arm.profile, usd=usd, seconds=seconds)
        if not (given.retryable or _is_rejected(error) or isinstance(error, PolicyRefused)):
            return await self._keep(given)
        # The row of a call that may have been paid stays, at its worst case.
        if self.place is not None and not paid:
            self.asker.store.forget(self.place)
        await self._settle(usd)
        return given

    async def close(self) -> None:
        """Count a call that was cut off at its worst case; nothing of any other."""
        if self.reserved is not None:
            await self._settle(self.reserved if self.place is not None else Decimal(0))

    async def _keep(self, given: Given) -> Given:
        key = self.asker.key(self.arm, self.question)
        place = 0 if self.place is None else self.place
        self.asker.store.end(place, key, given, arm=self.arm.name, question=self.question.id)
        await self._settle(given.cost.usd)
        return given

    async def _settle(self, usd: Decimal) -> None:
        if self.reserved is not None:
            reserved, self.reserved = self.reserved, None
            await self.asker.purse.settle(reserved, usd=usd)


def _is_rejected(error: WindowfitError) -> bool:
    """Return whether a server refused the key, the model or the request, unanswered."""
    return isinstance(error, UpstreamRejected) and not isinstance(error, UpstreamWithheld)


def _is_free(error: WindowfitError, plan: Plan | None) -> bool:
    """Return whether a call that ended with an error cost nothing: it was refused unanswered."""
    if isinstance(error, _UNSENT):
        return plan is None or plan.exhaustion is None
    return isinstance(error, _UNPAID) and not isinstance(error, UpstreamWithheld)


def usd_at_most(plan: Plan) -> Decimal:
    """Return what a request costs if every answer takes all its room, and no cache helps."""
    if plan.exhaustion is not None and plan.report.exhaustive is not None:
        return Decimal(str(plan.report.exhaustive.cost_at_most_usd))
    return price_at_most(plan.profile, plan.report.prompt_tokens, plan.report.reserved_output)
