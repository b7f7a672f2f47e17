"""Plans questions for windows of several sizes, and with their evidence at several places.

Nothing is touched but the index that the planner reads. Cases come one at a time: a prompt of a
long window with its report is large, and there are thousands of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from chunking.document import Chunk
from chunking.tokens import Message
from eval.cells import AskedQuestion
from eval.metrics import answer_in_context, holds
from eval.questions import Question
from serve.plan import Plan

Position = Literal["first", "middle", "last"]
POSITIONS: tuple[Position, ...] = ("first", "middle", "last")
DEFAULT_SIZES = (1024, 2048, 4096, 8192, 16384, 32768)
_FEWEST_OTHERS = 2
"""With fewer other chunks, first, middle and last are no three places."""

PlanFor = Callable[[str, int], Plan]
"""Plans a question's text for a window of so many tokens, as a request for the model would be."""


@dataclass(frozen=True, slots=True)
class WindowCase:
    """One question in a window of one size.

    Attributes:
        position: where the chunks with evidence were put; None where the search put them.
        prompt_tokens: of these messages, exact or estimated as the plan's count.
        in_context: whether all evidence stands in the prompt; None for a question without any.
    """

    question: AskedQuestion
    size: int
    position: Position | None
    messages: tuple[Message, ...]
    sources: tuple[Chunk, ...]
    prompt_tokens: int
    in_context: bool | None
    plan: Plan


def plan_cases(
    asked: Sequence[AskedQuestion],
    gold: Callable[[AskedQuestion], Question],
    sizes: Sequence[int],
    *,
    plan_for: PlanFor,
    placed_at: int | None,
) -> Iterator[WindowCase]:
    """Yield a case of every question and size, and those with the evidence moved at one size.

    Args:
        gold: the evidence of a question.
        placed_at: the size at which evidence is moved; None moves nothing.
    """
    for size in sizes:
        for question in asked:
            case = _case(question, gold(question), size, plan_for(question.question, size))
            yield case
            if size == placed_at:
                yield from _moved(case, gold(question))


def _moved(case: WindowCase, gold: Question) -> list[WindowCase]:
    """Return three cases with the same chunks and the evidence moved, or none.

    Nothing else differs: chunks, their number and the budget are those of the plan. None are made
    of a prompt without all evidence or with fewer than two other chunks, and where one of the three
    does not fit, since tokens do not add up across a join.
    """
    if not case.in_context:
        return []
    some = [_move(case, gold, position) for position in POSITIONS]
    moved = [one for one in some if one is not None]
    return moved if len(moved) == len(some) else []


def _case(question: AskedQuestion, gold: Question, size: int, plan: Plan) -> WindowCase:
    chunks = plan.context.chunks
    return WindowCase(
        question=question,
        size=size,
        position=None,
        messages=plan.context.messages,
        sources=chunks,
        prompt_tokens=plan.report.prompt_tokens,
        in_context=answer_in_context(gold, chunks) if gold.evidence else None,
        plan=plan,
    )


def _move(case: WindowCase, gold: Question, position: Position) -> WindowCase | None:
    """Return the case with the chunks that hold evidence moved; None where that cannot be."""
    holding = [any(holds(one, text) for text in gold.evidence) for one in case.sources]
    held = [chunk for chunk, holds_it in zip(case.sources, holding, strict=True) if holds_it]
    others = [chunk for chunk, holds_it in zip(case.sources, holding, strict=True) if not holds_it]
    if len(others) < _FEWEST_OTHERS:
        return None
    before = {"first": 0, "middle": len(others) // 2, "last": len(others)}[position]
    sources = (*others[:before], *held, *others[before:])
    messages = case.plan.prompt.messages(sources)
    tokens = case.plan.counter.count_messages(messages)
    if tokens > case.plan.budget.prompt_limit:
        return None
    return WindowCase(
        question=case.question,
        size=case.size,
        position=position,
        messages=messages,
        sources=sources,
        prompt_tokens=tokens,
        in_context=True,
        plan=case.plan,
    )
