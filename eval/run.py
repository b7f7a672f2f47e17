"""Asks every question of every arm, in an order that servers like, and can stop and go on anywhere.

Arm after arm, so that one server works at a time; within an arm, questions about the same documents
follow each other, so that a server that remembers prompts reads each document once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from chunking.errors import WindowfitError
from eval.arms import Arm, ModelArm, RouteArm
from eval.asking import Asker, usd_at_most
from eval.cells import AskedQuestion, Cell
from eval.routes import doubt_of, go_on, keep_first
from eval.scored_cells import Scorer, make_cell
from serve.escalation import Thresholds
from serve.plan import Ask, Plan

_T = TypeVar("_T")
Watch = Callable[[str, Sequence[AskedQuestion]], Iterable[AskedQuestion]]
"""Yields the questions that an arm is asked, to show how far the run is."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the calls of an arm would take, planned and not measured; nothing is paid for it.

    Attributes:
        kept: questions that are answered already, in this run folder.
        calls: those that are not, of which several with the same text take one; of an arm that is
            only the second of a route, and of a judge, at most.
        prompt_tokens: as planned.
        output_tokens_at_most, usd_at_most: if every answer takes all its room, and no cache helps.
        refused: questions that cannot be asked, for instance because they do not fit.
    """

    arm: str
    questions: int
    kept: int
    calls: int
    prompt_tokens: int
    output_tokens_at_most: int
    usd_at_most: Decimal
    refused: int


def estimate_arm(
    arm: ModelArm,
    questions: Iterable[AskedQuestion],
    *,
    asker: Asker,
    plan: Callable[[Ask], Plan],
    seen: set[str],
) -> Estimate:
    """Return what it takes to ask an arm what is not kept yet; no model is called.

    Args:
        seen: keys of calls that are counted already; those of this arm are added.
    """
    kept = prompt = output = refused = asked = calls = 0
    usd = Decimal(0)
    for question in questions:
        asked += 1
        if asker.kept(arm, question) is not None:
            kept += 1
            continue
        key = asker.key(arm, question)
        if key in seen:
            continue
        seen.add(key)
        try:
            planned = plan(asker.request(arm, question))
        except WindowfitError:
            refused += 1
            continue
        calls += 1
        exhaustive = planned.report.exhaustive
        prompt += exhaustive.prompt_tokens_at_most if exhaustive else planned.report.prompt_tokens
        output += exhaustive.output_tokens_at_most if exhaustive else planned.report.reserved_output
        usd += usd_at_most(planned)
    return Estimate(arm.name, asked, kept, calls, prompt, output, usd, refused)


@dataclass(slots=True)
class Run:
    """Fills the cells of arms; cells of arms that are only parts of a route stay out of the result.

    Attributes:
        parts: every arm that is asked, by name.
        parallel: most calls at a time.
        thresholds: by which a service with the same settings escalates.
    """

    questions: Sequence[AskedQuestion]
    arms: Sequence[Arm]
    parts: dict[str, ModelArm]
    asker: Asker
    scorer: Scorer
    parallel: int = 1
    thresholds: Thresholds = field(default_factory=Thresholds)
    watch: Watch = field(default=lambda _, questions: questions)
    _cells: dict[tuple[str, str], Cell] = field(default_factory=dict)

    async def fill(self) -> tuple[Cell, ...]:
        """Return the cells of all arms, by arm and question.

        Raises:
            CallLimitExceeded: the purse is empty; the calls that were made are kept.
            WindowfitError: a server failed several times in a row, or an arm is set up wrongly.
        """
        for arm in self.arms:
            if isinstance(arm, ModelArm):
                await self._ask(arm, self.questions)
        cells = []
        for arm in self.arms:
            if isinstance(arm, RouteArm):
                cells += await self._follow(arm)
            else:
                cells += [self._cells[arm.name, question.id] for question in self.questions]
        return tuple(cells)

    async def _follow(self, route: RouteArm) -> list[Cell]:
        first, second = self.parts[route.first], self.parts[route.second]
        await self._ask(first, self.questions)
        one = {question.id: self._cells[first.name, question.id] for question in self.questions}
        doubts = {
            name: doubt_of(cell, route, thresholds=self.thresholds) for name, cell in one.items()
        }
        await self._ask(second, [question for question in self.questions if doubts[question.id]])
        return [
            go_on(route, one[name], self._cells[second.name, name], doubt=doubt)
            if doubt
            else keep_first(route, one[name])
            for name, doubt in doubts.items()
        ]

    async def _ask(self, arm: ModelArm, questions: Sequence[AskedQuestion]) -> None:
        missing = [one for one in questions if (arm.name, one.id) not in self._cells]
        waiting = iter(self.watch(arm.name, missing)) if missing else iter(())

        async def ask(question: AskedQuestion) -> None:
            given = await self.asker.ask(arm, question)
            score = await asyncio.to_thread(self.scorer.score, question, given)
            self._cells[arm.name, question.id] = make_cell(arm.name, question, given, score=score)

        await work_off(waiting, ask, parallel=self.parallel)


async def work_off(
    waiting: Iterable[_T],
    work: Callable[[_T], Coroutine[Any, Any, None]],
    *,
    parallel: int,
) -> None:
    """Work through what waits in its order, so many at a time.

    After an error no further one is begun, those under way are finished, and it is raised.
    """
    ahead = iter(waiting)
    failed: list[Exception] = []

    async def worker() -> None:
        for one in ahead:
            try:
                await work(one)
            except Exception as error:  # noqa: BLE001 - raised again when all workers have ended
                failed.append(error)
            if failed:
                return

    await asyncio.gather(*(worker() for _ in range(parallel)))
    if failed:
        raise failed[0]
