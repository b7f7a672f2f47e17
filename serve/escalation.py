"""Decides whether an answer of a local model is good enough, or a better model is asked; pure.

The decision costs no call: it goes by what the answer itself and the search before it tell. Whether
the text may leave at all is not decided here, see the rules of routing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from retrieval.support import SUFFICIENT
from serve.grounding import Grounding

EscalationReason = Literal["ungrounded", "unsupported", "declined", "trusted", "no_evidence"]
"""Why an answer is escalated (the first three) or stays."""


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of an answer without its truth.

    Attributes:
        grounding: share of its numbers and names that stand in the context, see `serve.grounding`.
        declined: whether it says that the sources do not hold what was asked.
        support: how far the context bears on the question, see `retrieval.support`; None where
            nothing was searched for, as with whole documents.
    """

    grounding: float
    declined: bool
    support: float | None


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where answers are parted; `eval.thresholds` fits them on labelled answers.

    Attributes:
        grounding: answers with a smaller share are escalated; 0 escalates none for that.
        support: answers with less are escalated; 0 escalates none for that.
        declined_support: an answer that declines is escalated where the support is at least this:
            evidence is there and was not found in it. Above 1 escalates none for that.
    """

    grounding: float = 0.5
    support: float = 0.0
    declined_support: float = SUFFICIENT


@dataclass(frozen=True, slots=True)
class Escalation:
    """Whether a better model is asked, and why or why not."""

    wanted: bool
    reason: EscalationReason


def read_signals(grounding: Grounding, *, support: float | None) -> Signals:
    """Return the signals of an answer whose numbers and names were checked; see `Signals`."""
    return Signals(grounding.share, grounding.insufficient, support)


def lacks_support(support: float | None, *, thresholds: Thresholds) -> bool:
    """Return whether the search found too little for any answer: then no first model is called."""
    return support is not None and support < thresholds.support


def decide_escalation(signals: Signals, *, thresholds: Thresholds) -> Escalation:
    """Return whether an answer is escalated: the same signals always decide the same.

    An answer that declines is judged by the support alone: where the corpus hardly bears on the
    question, declining is right and a better model would do the same. Without a search, declining
    is always escalated. Less grounding never makes an answer trusted that was not.
    """
    if signals.declined:
        found = signals.support is None or signals.support >= thresholds.declined_support
        return Escalation(wanted=found, reason="declined" if found else "no_evidence")
    if signals.grounding < thresholds.grounding:
        return Escalation(wanted=True, reason="ungrounded")
    if lacks_support(signals.support, thresholds=thresholds):
        return Escalation(wanted=True, reason="unsupported")
    return Escalation(wanted=False, reason="trusted")


def rate_confidence(signals: Signals) -> float:
    """Return from 0 to 1 how far an answer is trusted: an order of answers, and no probability."""
    support = 1.0 if signals.support is None else signals.support
    return 1.0 - support if signals.declined else signals.grounding * support
