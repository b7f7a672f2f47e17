"""Routes over two arms: what makes the first one's answer doubtful, and what the route then took.

A route makes no calls of its own. Its cells are computed from those of its arms: of a doubtful
question, tokens, cost and seconds of both calls are added, as they would have been spent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from eval.arms import Doubt, RouteArm
from eval.cells import Cell, Seconds, Spent, Tokens

_CHECKS: Mapping[Doubt, Callable[[Cell], bool]] = {
    "error": lambda cell: cell.error is not None,
    "insufficient_evidence": lambda cell: cell.report.get("insufficient_evidence") is True,
    "abstained": lambda cell: cell.score.abstained,
    "ungrounded": lambda cell: cell.score.grounded is False,
}
"""What can be known of an answer without knowing the right one; another check is one more line."""


def doubt_of(cell: Cell, route: RouteArm) -> Doubt | None:
    """Return the first of a route's doubts that holds of its first arm's cell."""
    return next((doubt for doubt in route.doubts if _CHECKS[doubt](cell)), None)


def keep_first(route: RouteArm, first: Cell) -> Cell:
    """Return the route's cell of a question that the first arm answered."""
    return replace(first, arm=route.name)


def go_on(route: RouteArm, first: Cell, second: Cell, *, doubt: Doubt) -> Cell:
    """Return the route's cell of a question that went on to the second arm."""
    one, other = first.tokens, second.tokens
    bases = dict.fromkeys((first.cost.basis, second.cost.basis))
    waited = first.seconds.total
    began = second.seconds.first
    return replace(
        second,
        arm=route.name,
        doubt=doubt,
        tokens=Tokens(
            one.prompt + other.prompt,
            one.cached + other.cached,
            one.output + other.output,
            other.source if one.source == other.source else "planned",
        ),
        cost=Spent(first.cost.usd + second.cost.usd, "; ".join(bases)),
        seconds=Seconds(None if began is None else waited + began, waited + second.seconds.total),
    )
