"""What one arm made of one question: the answer, how it scores, and what it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from serve.escalation import Signals

AnswerType = Literal["number", "string", "entity", "date", "set", "list", "abstain"]
Expected = str | tuple[str, ...] | None
"""What is right: a text, the members of a set or list, or None where nothing answers."""


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question of the run with what is right.

    Attributes:
        stale: what was right in another edition; None where the set does not know one.
        documents: the documents that its evidence stands in.
        tolerance: share of an expected number by which an answer may be off; None for the rule of
            `eval.scoring.quantities`.
    """

    id: str
    type: str
    question: str
    answer_type: AnswerType
    expected: Expected
    stale: Expected = None
    documents: tuple[str, ...] = ()
    tolerance: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """What rules say of an answer; shares are from 0 to 1.

    Attributes:
        correct: right, by the rule of the answer's type; saying that nothing answers is right where
            that is so, and wrong otherwise.
        reason: why, in a few words.
        f1: of sets and lists; 0 where the call failed.
        abstained: the answer says that it cannot be answered, or has no text at all.
        stale: it gives what was right in another edition; None where no such value is known.
        grounded: every number and known name of the answer stands in the prompt; None where there
            is none to check.
        ungrounded: those that do not.
        in_context: all evidence stood in the prompt; None for questions without evidence.
        truncated: candidates were dropped for lack of room.
        coverage_percent: characters of the corpus that stood in the prompt.
        signals: by which a service decides whether a better model is asked; None without an answer.
    """

    correct: bool
    reason: str
    abstained: bool
    truncated: bool
    coverage_percent: float
    f1: float | None = None
    stale: bool | None = None
    grounded: bool | None = None
    ungrounded: tuple[str, ...] = ()
    in_context: bool | None = None
    signals: Signals | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of a cell's calls; "planned" where the server did not say what it read."""

    prompt: int
    cached: int
    output: int
    source: Literal["server", "planned"]


@dataclass(frozen=True, slots=True)
class Spent:
    """What a cell's calls cost, and how that was computed.

    Attributes:
        usd: billed by the token, exact; what limits of money, sums and the break-even count.
        basis: of `usd`.
        hardware_usd: the measured seconds at the profile's cost of an hour; no part of `usd`, since
            the break-even sets the price of the hardware itself against it.
    """

    usd: Decimal
    basis: str
    hardware_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Seconds:
    """Measured from the question, search and planning included; `first` is None without an answer.

    Attributes:
        first: to the first piece of the answer; in a route, of the answer that was taken.
    """

    first: float | None
    total: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a language model says of an answer; never used in accuracy or gates."""

    correct: bool | None
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Cell:
    """What one arm made of one question.

    Attributes:
        answered_by: the arm whose answer this is: of a route, one of its two.
        doubt: why a route went on from its first arm; empty where it did not.
        answer: the text as given; empty where the call failed.
        report: the context report, as every response spells it; empty where nothing was planned.
        citations: the sources that the answer cites, likewise.
        finish_reason: "stop" or "length", as the server said it.
        error: code of the error that the call ended with; None where there is an answer. A cell
            without an answer counts as wrong.
        retryable: whether the same run will ask again.
        made_at: when it was asked; a cell of an earlier run keeps its day.
    """

    arm: str
    question: str
    answered_by: str
    answer: str
    score: Score
    tokens: Tokens
    cost: Spent
    seconds: Seconds
    report: Mapping[str, Any]
    citations: tuple[Mapping[str, Any], ...]
    made_at: datetime
    finish_reason: str = ""
    doubt: str = ""
    error: str | None = None
    retryable: bool = False
    verdict: Verdict | None = None
