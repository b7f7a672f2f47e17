"""Looks for the numbers and known names of an answer in what the model was shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from eval.quantities import Quantity, agrees, find_quantities
from eval.scoring import FindNames
from serve.abstention import without_citations


@dataclass(frozen=True, slots=True)
class Grounding:
    """What of an answer was looked for, and what of that was nowhere found.

    Attributes:
        checked: numbers and names that the question does not hold itself.
        missing: as the answer writes numbers, and by the keys of names.
    """

    checked: int
    missing: tuple[str, ...]


def ground(
    answer: str, sources: Iterable[str], *, question: str, find_names: FindNames
) -> Grounding:
    """Return which numbers and names of an answer neither its sources nor the question hold.

    A number is held where a source states one that it is a rounding or conversion of. That all is
    held does not make an answer right: it may be the value of another line.
    """
    text, shown = without_citations(answer), tuple(sources)
    given = find_quantities(question)
    numbers = [
        one for one in find_quantities(text) if not any(one.value == other.value for other in given)
    ]
    held = [one for source in shown for one in _quantities(source)]
    missing = [text[one.start : one.end] for one in numbers if not _held(one, held)]
    names = set(find_names(text)) - set(find_names(question))
    sought = set(names)
    for source in shown:
        if not sought:
            break
        sought -= set(find_names(source))
    return Grounding(len(numbers) + len(names), (*missing, *sorted(sought)))


def _held(one: Quantity, held: Sequence[Quantity]) -> bool:
    return any(one.value == other.value or agrees(one, other) for other in held)


@lru_cache(maxsize=4096)
def _quantities(source: str) -> tuple[Quantity, ...]:
    """Return the quantities of a source, which many answers of a run share."""
    return find_quantities(source)
