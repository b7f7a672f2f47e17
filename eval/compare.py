"""Sums up the cells of a run: arms with intervals, arms against each other, and the break-even."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from itertools import combinations

from eval.cells import AskedQuestion, Cell, Tokens
from eval.comparison import (
    Agreement,
    ArmFacts,
    ArmSummary,
    BreakEven,
    Comparison,
    Pairing,
    Percentiles,
    RunFacts,
)
from eval.statistics import Mean, compare, mcnemar, percentile, summarize
from serve.abstention import is_empty

_THOUSAND = 1000
Known = Mapping[str, AskedQuestion]


def finish_comparison(
    run: RunFacts,
    questions: Sequence[AskedQuestion],
    cells: Iterable[Cell],
    *,
    hardware_usd_per_month: Decimal | None = None,
) -> Comparison:
    """Return the comparison that these cells make; the same cells make the same one.

    Args:
        run: its seed is that of every interval.
        cells: one for every question and arm, in any order.
        hardware_usd_per_month: what the local arms' hardware costs; without it there is no
            break-even.
    """
    places = {question.id: place for place, question in enumerate(questions)}
    names = {arm.name: place for place, arm in enumerate(run.arms)}
    ordered = sorted(cells, key=lambda cell: (places[cell.question], names[cell.arm]))
    by_arm = {name: [cell for cell in ordered if cell.arm == name] for name in names}
    known = {question.id: question for question in questions}
    summaries = {
        arm.name: summarize_arm(arm, by_arm[arm.name], known, seed=run.seed) for arm in run.arms
    }
    pairs = tuple(
        pair_arms(by_arm[first], by_arm[second], seed=run.seed)
        for first, second in combinations(names, 2)
    )
    even = () if hardware_usd_per_month is None else _evens(run, summaries, hardware_usd_per_month)
    return Comparison(
        run, tuple(questions), tuple(ordered), tuple(summaries.values()), pairs, break_even=even
    )


def summarize_arm(
    arm: ArmFacts, cells: Sequence[Cell], questions: Known, *, seed: int
) -> ArmSummary:
    """Return what an arm's cells, at least one, say together."""

    def mean(values: Iterable[float | None]) -> Mean | None:
        given = [float(value) for value in values if value is not None]
        return summarize(given, seed=seed) if given else None

    def correct(of: Iterable[Cell]) -> Mean:
        return summarize([float(cell.score.correct) for cell in of], seed=seed)

    answered = [cell for cell in cells if cell.error is None]
    declinable = {cell.question for cell in cells if _unanswerable(questions[cell.question])}
    cost = sum((cell.cost.usd for cell in cells), Decimal(0))
    route = arm.kind == "self-route"
    return ArmSummary(
        arm=arm.name,
        questions=len(cells),
        failed=len(cells) - len(answered),
        accuracy=correct(cells),
        by_type=_grouped(cells, lambda cell: questions[cell.question].type, correct),
        by_answer_type=_grouped(cells, lambda cell: questions[cell.question].answer_type, correct),
        truncated=summarize([float(cell.score.truncated) for cell in cells], seed=seed),
        coverage_percent=sum(cell.score.coverage_percent for cell in cells) / len(cells),
        tokens=_sum_tokens(cells),
        cost_usd=cost,
        cost_per_1000_usd=_THOUSAND * cost / len(cells),
        cost_basis=tuple(dict.fromkeys(cell.cost.basis for cell in answered)),
        set_f1=mean(cell.score.f1 for cell in cells),
        abstention=mean(_declines(cell) for cell in cells if cell.question in declinable),
        refusal=mean(_declines(cell) for cell in cells if cell.question not in declinable),
        stale=mean(cell.score.stale for cell in cells),
        grounded=mean(cell.score.grounded for cell in answered),
        in_context=mean(cell.score.in_context for cell in cells),
        escalated=mean(bool(cell.doubt) for cell in cells) if route else None,
        first_seconds=_percentiles([cell.seconds.first for cell in answered]),
        total_seconds=_percentiles([cell.seconds.total for cell in answered]),
        judge=_agreement(answered),
    )


def pair_arms(first: Sequence[Cell], second: Sequence[Cell], *, seed: int) -> Pairing:
    """Return how two arms differ over the questions that both have, which are at least one."""
    right = {cell.question: cell.score.correct for cell in second}
    pairs = [(cell.score.correct, right[cell.question]) for cell in first if cell.question in right]
    one, other = ([float(pair[side]) for pair in pairs] for side in (0, 1))
    first_only, second_only = pairs.count((True, False)), pairs.count((False, True))
    return Pairing(
        first=first[0].arm,
        second=second[0].arm,
        accuracy=compare(one, other, seed=seed),
        both=pairs.count((True, True)),
        first_only=first_only,
        second_only=second_only,
        neither=pairs.count((False, False)),
        mcnemar_p=mcnemar(first_only, second_only),
    )


def cohen_kappa(pairs: Sequence[tuple[bool, bool]]) -> float | None:
    """Return Cohen's kappa of two judges (1960); None where chance alone would make them agree."""
    if not pairs:
        return None
    agreed = sum(one == other for one, other in pairs) / len(pairs)
    shares = [sum(pair[side] for pair in pairs) / len(pairs) for side in (0, 1)]
    by_chance = shares[0] * shares[1] + (1 - shares[0]) * (1 - shares[1])
    return None if by_chance == 1 else (agreed - by_chance) / (1 - by_chance)


def break_even(fixed_usd_per_month: Decimal, saved_usd_per_question: Decimal) -> int | None:
    """Return the questions a month from which the fixed cost is saved; None where nothing is."""
    if saved_usd_per_question <= 0:
        return None
    questions = fixed_usd_per_month / saved_usd_per_question
    return int(questions.to_integral_value(rounding=ROUND_CEILING))


def _evens(
    run: RunFacts, summaries: Mapping[str, ArmSummary], fixed: Decimal
) -> tuple[BreakEven, ...]:
    found = []
    for local in (arm.name for arm in run.arms if arm.place == "local"):
        for cloud in (arm.name for arm in run.arms if arm.place == "cloud"):
            saved = (
                summaries[cloud].cost_per_1000_usd - summaries[local].cost_per_1000_usd
            ) / _THOUSAND
            least = break_even(fixed, saved)
            if least is not None:
                found.append(BreakEven(local, cloud, fixed, saved, least))
    return tuple(found)


def _grouped(
    cells: Iterable[Cell], key: Callable[[Cell], str], measure: Callable[[Iterable[Cell]], Mean]
) -> dict[str, Mean]:
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(key(cell), []).append(cell)
    return {name: measure(groups[name]) for name in sorted(groups)}


def _unanswerable(question: AskedQuestion) -> bool:
    return question.answer_type == "abstain"


def _declines(cell: Cell) -> bool:
    """Return whether an answer says that it is none; one without any text says nothing."""
    return cell.score.abstained and not is_empty(cell.answer)


def _sum_tokens(cells: Iterable[Cell]) -> Tokens:
    used = [cell.tokens for cell in cells]
    return Tokens(
        prompt=sum(one.prompt for one in used),
        cached=sum(one.cached for one in used),
        output=sum(one.output for one in used),
        source="server" if all(one.source == "server" for one in used) else "planned",
    )


def _percentiles(values: Iterable[float | None]) -> Percentiles | None:
    given = [value for value in values if value is not None]
    if not given:
        return None
    return Percentiles(percentile(given, 0.5), percentile(given, 0.95))


def _agreement(cells: Iterable[Cell]) -> Agreement | None:
    judged = [cell for cell in cells if cell.verdict is not None]
    if not judged:
        return None
    pairs = [
        (cell.score.correct, cell.verdict.correct)
        for cell in judged
        if cell.verdict is not None and cell.verdict.correct is not None
    ]
    return Agreement(
        judged=len(pairs),
        agreed=sum(one == other for one, other in pairs),
        kappa=cohen_kappa(pairs),
        judged_accuracy=sum(other for _, other in pairs) / len(pairs) if pairs else 0.0,
        usd=sum((cell.verdict.usd for cell in judged if cell.verdict), Decimal(0)),
    )
