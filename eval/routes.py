"""Routes over two arms: what makes the first one's answer doubtful, and what the route then took.

A route makes no calls of its own. Its cells are computed from those of its arms: of a doubtful
question, tokens, cost and seconds of both calls are added, as they would have been spent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from eval.arms import Doubt, RouteArm
from eval.cells import Cell, Seconds, Spent, Tokens
from serve.escalation import Thresholds, decide_escalation, lacks_support

_UNASKED = "policy: unsupported"


def _policy(cell: Cell, thresholds: Thresholds) -> str:
    """Return why a service with these thresholds asks a better model; empty where it does not."""
    if lacks_support(cell.report.get("support"), thresholds=thresholds):
        return _UNASKED
    if cell.score.signals is None:
        return ""
    decided = decide_escalation(cell.score.signals, thresholds=thresholds)
    return f"policy: {decided.reason}" if decided.wanted else ""


def _told(name: Doubt, holds: Callable[[Cell], bool]) -> Callable[[Cell, Thresholds], str]:
    return lambda cell, _: name if holds(cell) else ""


_CHECKS: Mapping[Doubt, Callable[[Cell, Thresholds], str]] = {
    "policy": _policy,
    "error": _told("error", lambda cell: cell.error is not None),
    "insufficient_evidence": _told(
        "insufficient_evidence", lambda cell: cell.report.get("insufficient_evidence") is True
    ),
    "abstained": _told("abstained", lambda cell: cell.score.abstained),
    "ungrounded": _told("ungrounded", lambda cell: cell.score.grounded is False),
}
"""What can be known of an answer without knowing the right one; another check is one more line."""


def doubt_of(cell: Cell, route: RouteArm, *, thresholds: Thresholds) -> str:
    """Return the first of a route's doubts that holds of its first arm's cell; empty where none.

    Args:
        thresholds: those of the service, for the doubt `policy`.
    """
    found = (_CHECKS[doubt](cell, thresholds) for doubt in route.doubts)
    return next(filter(None, found), "")


def keep_first(route: RouteArm, first: Cell) -> Cell:
    """Return the route's cell of a question that the first arm answered."""
    return replace(first, arm=route.name)


def go_on(route: RouteArm, first: Cell, second: Cell, *, doubt: str) -> Cell:
    """Return the route's cell of a question that went on to the second arm.

    As in a service, the first arm is not called where the search alone decides, and its answer
    stands where the second arm can give none.
    """
    if doubt == _UNASKED:
        return replace(second, arm=route.name, doubt=doubt)
    one, other = first.tokens, second.tokens
    bases = dict.fromkeys((first.cost.basis, second.cost.basis))
    waited = first.seconds.total
    total = waited + second.seconds.total
    began = None if second.seconds.first is None else waited + second.seconds.first
    taken = second
    if first.error is None and second.error is not None and not second.retryable:
        taken, began = first, total
    return replace(
        taken,
        arm=route.name,
        doubt=doubt,
        tokens=Tokens(
            one.prompt + other.prompt,
            one.cached + other.cached,
            one.output + other.output,
            other.source if one.source == other.source else "planned",
        ),
        cost=Spent(
            first.cost.usd + second.cost.usd,
            "; ".join(bases),
            first.cost.hardware_usd + second.cost.hardware_usd,
        ),
        seconds=Seconds(began, total),
    )
