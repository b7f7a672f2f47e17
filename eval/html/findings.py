"""Says in plain words what a comparison found, from its figures alone; claims no more than they do.

An arm is called better than another only where the interval of their difference excludes 0 and
McNemar's test, held to 0.05 divided by the number of pairs, agrees.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from eval.comparison import (
    ArmFacts,
    ArmSummary,
    BreakEven,
    Comparison,
    Pairing,
    tell_oracle,
)
from eval.figures import (
    count_right,
    join_words,
    spell_mean,
    spell_p,
    spell_points,
    spell_seconds,
    spell_share,
    spell_usd,
)

LEVEL = 0.05
"""Two-sided level that all pairs together are held to (Bonferroni)."""
FEW_QUESTIONS = 30
"""Below so many the findings say that these are few."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a reader takes away.

    Attributes:
        headline: how often each arm is right, and whether that tells them apart.
        points: cost, time, what the models saw, and the break-even, a sentence each.
        cautions: what the figures do not say.
    """

    headline: str
    points: tuple[str, ...]
    cautions: tuple[str, ...]


def find(comparison: Comparison) -> Findings:
    """Return the findings of a comparison of at least one arm."""
    facts = {arm.name: arm for arm in comparison.run.arms}
    headline = f"{_scores(comparison.arms, facts)}{_verdict(comparison.pairs)}"
    points = [_cost(comparison.arms), _time(comparison.arms, facts), _sight(comparison.arms)]
    points += _evens(comparison.break_even)
    return Findings(headline, tuple(filter(None, points)), tuple(_cautions(comparison, facts)))


def winner(pair: Pairing, pairs: int) -> str | None:
    """Return the arm that is right more often beyond chance, None where neither is.

    Args:
        pair: the two arms.
        pairs: how many pairs are looked at; more of them ask for more evidence from each.
    """
    if pair.mcnemar_p >= LEVEL / pairs:
        return None
    if pair.accuracy.low > 0:
        return pair.second
    return pair.first if pair.accuracy.high < 0 else None


def undecided(pair: Pairing, pairs: int) -> bool:
    """Return whether the interval excludes 0 although no winner is named."""
    excluded = pair.accuracy.low > 0 or pair.accuracy.high < 0
    return excluded and winner(pair, pairs) is None


def spell_difference(pair: Pairing) -> str:
    """Return the difference in points with its interval, such as "+7 points (-3 to +16)"."""
    found = pair.accuracy
    size = spell_points(found.difference)
    return f"{size} points ({spell_points(found.low)} to {spell_points(found.high)})"


def _scores(arms: Sequence[ArmSummary], facts: Mapping[str, ArmFacts]) -> str:
    """Return the right answers of every arm, the number of questions said once if it is one."""
    same = len({arm.questions for arm in arms}) == 1
    told = []
    for place, arm in enumerate(arms):
        name = f"{arm.arm} (a stand-in)" if facts[arm.arm].stand_in else arm.arm
        verb = " answered" if place == 0 else ""
        whole = f" of {arm.questions:,}" if place == 0 or not same else ""
        right = f"{count_right(arm.accuracy):,}{whole}{' right' if place == 0 else ''}"
        told.append(f"{name}{verb} {right}, {spell_mean(arm.accuracy)}")
    return f"{'; '.join(told)}."


def _verdict(pairs: Sequence[Pairing]) -> str:
    won = [(pair, name) for pair in pairs if (name := winner(pair, len(pairs)))]
    if not pairs:
        return ""
    if len(pairs) == 1 and not won:
        return f" The difference, {spell_difference(pairs[0])}, is not distinguishable from none."
    if not won:
        return " No two of them are distinguishable."
    told = _lead(*won[0]) if len(won) == 1 else _leads(won)
    rest = "" if len(won) == len(pairs) else "; no other difference is distinguishable from none"
    return f" {told}{rest}."


def _lead(pair: Pairing, name: str) -> str:
    other = pair.second if name == pair.first else pair.first
    found = pair.accuracy
    sign = 1 if name == pair.second else -1
    low, high = sorted((sign * found.low, sign * found.high))
    return (
        f"{name} is ahead of {other} by {spell_points(sign * found.difference)} points "
        f"({spell_points(low)} to {spell_points(high)})"
    )


def _leads(won: Sequence[tuple[Pairing, str]]) -> str:
    """Return who is ahead of whom; those ahead of the same arms are told together."""
    behind: dict[str, list[str]] = {}
    for pair, name in won:
        behind.setdefault(name, []).append(pair.second if name == pair.first else pair.first)
    ahead: dict[tuple[str, ...], list[str]] = {}
    for name, others in behind.items():
        ahead.setdefault(tuple(others), []).append(name)
    return "; ".join(
        f"{join_words(names)} {'is' if len(names) == 1 else 'are each'} ahead of "
        f"{join_words(list(others))}"
        for others, names in ahead.items()
    )


def _cost(arms: Iterable[ArmSummary]) -> str:
    alike: dict[tuple[str, str], list[str]] = {}
    for arm in arms:
        alike.setdefault((spell_usd(arm.cost_per_1000_usd), _basis(arm)), []).append(arm.arm)
    told = [f"{usd} with {join_words(names)}{basis}" for (usd, basis), names in alike.items()]
    costs = "; ".join(told)
    return f"1,000 such questions cost {costs}. This is computed from the tokens of this run."


def _basis(arm: ArmSummary) -> str:
    """Return what a price of nothing leaves out; other bases stand in the table of costs."""
    free = not arm.cost_usd and arm.cost_basis
    return f" ({'; '.join(arm.cost_basis)})" if free else ""


def _time(arms: Iterable[ArmSummary], facts: Mapping[str, ArmFacts]) -> str:
    timed = [(arm.arm, arm.total_seconds) for arm in arms if arm.total_seconds]
    if not timed:
        return ""
    halves = [f"{spell_seconds(time.p50)} with {name}" for name, time in timed]
    most = [spell_seconds(time.p95) for _, time in timed]
    routes = [name for name, _ in timed if facts[name].route]
    computed = f"; of {join_words(routes)}, computed as its arms' times in turn" if routes else ""
    return (
        f"Half of the answers took at most {join_words(halves)}; "
        f"95 of 100 at most {join_words(most)}; measured{computed}."
    )


def _sight(arms: Sequence[ArmSummary]) -> str:
    seen = [f"{spell_share(arm.coverage_percent / 100)} with {arm.arm}" for arm in arms]
    cut = [f"{spell_share(arm.truncated.mean)} with {arm.arm}" for arm in arms]
    return (
        f"Of the corpus a prompt held, on average, {join_words(seen)}; the prompts that left "
        f"candidates out for lack of room are {join_words(cut)}."
    )


def _evens(evens: Iterable[BreakEven]) -> Iterator[str]:
    """Yield a sentence for each local arm with the volumes from which its hardware pays off."""
    told: dict[tuple[str, str], list[str]] = {}
    for even in evens:
        key = (even.local, spell_usd(even.hardware_usd_per_month))
        least = f"{even.questions_per_month:,} questions a month on than {even.cloud}"
        told.setdefault(key, []).append(f"from {least}")
    for (local, hardware), volumes in told.items():
        yield (
            f"With hardware at {hardware} a month, {local} costs less {join_words(volumes)}; "
            "computed."
        )


def _cautions(comparison: Comparison, facts: Mapping[str, ArmFacts]) -> Iterator[str]:
    run, pairs = comparison.run, comparison.pairs
    if not run.complete:
        yield "The run is not complete: questions are still to be asked, and figures will change."
    yield from (
        f"{arm.name} is a stand-in: {arm.stand_in}. Its quality, time and cost are those of the "
        "stand-in, not of what it stands in for."
        for arm in facts.values()
        if arm.stand_in
    )
    yield from (f"{arm.name} {tell_oracle(arm)}." for arm in facts.values() if arm.oracle)
    yield from _lacks(comparison.arms)
    yield from (
        f"{pair.first} and {pair.second}: the interval of the difference, "
        f"{spell_difference(pair)}, excludes 0, but McNemar's test ({spell_p(pair.mcnemar_p)}) "
        "does not bear it out, so neither is called better."
        for pair in pairs
        if undecided(pair, len(pairs))
    )
    if len(pairs) > 1:
        yield (
            f"Intervals hold for one pair at a time; of {len(pairs)} pairs, one is called "
            f"different only where McNemar's p is below {LEVEL} divided by {len(pairs)} as well."
        )
    if run.parallel > 1:
        yield f"Up to {run.parallel} calls ran at a time: times include waiting for each other."
    if run.judge:
        yield f"A language model, {run.judge}, judged too; its verdicts count in no figure here."


def _lacks(arms: Sequence[ArmSummary]) -> Iterator[str]:
    for arm in arms:
        if arm.failed:
            yield (
                f"{arm.arm} gave no answer to {arm.failed:,} of {arm.questions:,} questions; "
                "they count as wrong."
            )
    planned = [arm.arm for arm in arms if arm.tokens.source == "planned"]
    if planned:
        yield (
            f"Not every call of {join_words(planned)} came back with the tokens that were read: "
            "where one did not, the plan's are counted."
        )
    few = min((arm.questions for arm in arms), default=0)
    if few < FEW_QUESTIONS:
        yield f"{few:,} questions are few: only large differences would show."
