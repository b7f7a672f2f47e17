"""Tells from scored cases how long a context a model uses well; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from eval.statistics import Difference, Mean, compare, summarize
from eval.window.cases import POSITIONS, Position

_LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class ScoredCase:
    """One question in a window of one size, and whether the answer was right."""

    question: str
    type: str
    size: int
    position: Position | None
    correct: bool
    in_context: bool | None
    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class SizeScore:
    """How well a model answers in a window of one size.

    Attributes:
        accuracy: over all questions, those that nothing answers included.
        in_context: share of the questions with evidence whose prompt holds all of it.
        given_evidence: accuracy over these alone; None where there are none.
        prompt_tokens: of a prompt, on average.
        difference: accuracy less that of the best smaller size, on the same questions; None for
            the smallest.
        best_before: that size.
    """

    size: int
    accuracy: Mean
    in_context: Mean | None
    given_evidence: Mean | None
    prompt_tokens: float
    difference: Difference | None = None
    best_before: int | None = None


@dataclass(frozen=True, slots=True)
class WindowSummary:
    """The useful window of a model on a set of questions.

    Attributes:
        positions: accuracy by the place of the evidence, on the same questions, at `placed_at`.
        moved: accuracy with the evidence in the middle and at the end, less that at the beginning.
        useful: the largest size before the first that is lower.
        lower: the first size whose accuracy is lower than the best before it, with its 95 %
            interval all below 0 and McNemar's exact p below 0.05; None where there is none.
        doubtful: the first size, before that, of which the interval says so and the test does not,
            as with few questions; None where there is none.
        sentence: the same for people.
    """

    model: str
    questions: int
    sizes: tuple[SizeScore, ...]
    placed_at: int | None
    positions: Mapping[str, Mean]
    moved: Mapping[str, Difference]
    useful: int
    lower: SizeScore | None
    doubtful: SizeScore | None
    sentence: str


def summarize_window(scored: Sequence[ScoredCase], *, model: str, seed: int = 0) -> WindowSummary:
    """Return what the cases of one model tell; every size has the same questions.

    Each size is held against the best smaller one, by pairs of the same questions. Where several
    sizes are compared, one of twenty differs by chance.
    """
    # In one order, so that answers that come in another give the same intervals.
    ordered = sorted(scored, key=lambda case: (case.size, case.question))
    placed = [case for case in ordered if case.position is not None]
    by_size: dict[int, list[ScoredCase]] = {}
    for case in ordered:
        if case.position is None:
            by_size.setdefault(case.size, []).append(case)
    sizes = _score_sizes(by_size, seed)
    lower = next((one for one in sizes if one.difference and _is_lower(one.difference)), None)
    sure = [one for one in sizes if lower is None or one.size < lower.size]
    doubtful = next((one for one in sure if one.difference and one.difference.high < 0), None)
    below = [one.size for one in sure]
    return WindowSummary(
        model=model,
        questions=sizes[0].accuracy.questions,
        sizes=sizes,
        placed_at=placed[0].size if placed else None,
        positions={
            name: _mean([case for case in placed if case.position == name], _correct, seed)
            for name in POSITIONS
            if placed
        },
        moved={
            name: _differ(_at(placed, "first"), _at(placed, name), seed)
            for name in POSITIONS[1:]
            if placed
        },
        useful=below[-1],
        lower=lower,
        doubtful=doubtful,
        sentence=_sentence(sizes, lower, doubtful, below[-1]),
    )


def _score_sizes(by_size: Mapping[int, Sequence[ScoredCase]], seed: int) -> tuple[SizeScore, ...]:
    scores: list[SizeScore] = []
    for size, cases in sorted(by_size.items()):
        with_evidence = [case for case in cases if case.in_context is not None]
        given = [case for case in with_evidence if case.in_context]
        best = max(scores, key=lambda one: one.accuracy.mean, default=None)
        scores.append(
            SizeScore(
                size=size,
                accuracy=_mean(cases, _correct, seed),
                in_context=_mean(with_evidence, _held, seed) if with_evidence else None,
                given_evidence=_mean(given, _correct, seed) if given else None,
                prompt_tokens=sum(case.prompt_tokens for case in cases) / len(cases),
                difference=None if best is None else _differ(by_size[best.size], cases, seed),
                best_before=None if best is None else best.size,
            )
        )
    return tuple(scores)


def _at(placed: Sequence[ScoredCase], position: Position) -> list[ScoredCase]:
    return [case for case in placed if case.position == position]


def _correct(case: ScoredCase) -> bool:
    return case.correct


def _held(case: ScoredCase) -> bool:
    return bool(case.in_context)


def _mean(cases: Sequence[ScoredCase], of: Callable[[ScoredCase], bool], seed: int) -> Mean:
    return summarize([float(of(case)) for case in cases], seed=seed)


def _differ(first: Sequence[ScoredCase], second: Sequence[ScoredCase], seed: int) -> Difference:
    """Return second less first, over the questions that both have."""
    known = {case.question: case.correct for case in first}
    pairs = [
        (float(known[case.question]), float(case.correct))
        for case in second
        if case.question in known
    ]
    return compare([one for one, _ in pairs], [other for _, other in pairs], seed=seed)


def _sentence(
    sizes: Sequence[SizeScore], lower: SizeScore | None, doubtful: SizeScore | None, useful: int
) -> str:
    if doubtful is not None and doubtful.difference is not None:
        one = doubtful.difference
        return (
            f"at {doubtful.size:,} tokens quality may be lower than at {doubtful.best_before:,}, "
            f"by {_points(one)}, but McNemar's test (p {one.p:.2f}) does not bear it out: ask more "
            "questions"
        )
    if lower is not None and lower.difference is not None:
        points = _points(lower.difference)
        return f"quality holds to {useful:,} tokens; at {lower.size:,} it is lower by {points}"
    last = sizes[-1]
    if last.difference is None:
        return f"only {last.size:,} tokens were measured; give smaller sizes to compare it with"
    one = last.difference
    return (
        f"quality holds to {useful:,} tokens, the most that was measured: against "
        f"{last.best_before:,}, the best before it, it differs by "
        f"{one.difference * 100:+.1f} points (95 % interval {one.low * 100:+.1f} to "
        f"{one.high * 100:+.1f}, {one.questions:,} questions)"
    )


def _is_lower(one: Difference) -> bool:
    return one.high < 0 and one.p < _LEVEL


def _points(one: Difference) -> str:
    """Return how much lower the second is, its interval turned round with it."""
    return (
        f"{-one.difference * 100:.1f} points (95 % interval {-one.high * 100:.1f} to "
        f"{-one.low * 100:.1f}, {one.questions:,} questions)"
    )
