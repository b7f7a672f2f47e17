from __future__ import annotations

from dataclasses import dataclass

from scripts.prove.laws import LineCounter, run


def test_no_law_is_broken_and_every_fate_occurs() -> None:
    result = run(300)

    assert result.held
    assert min(result.merged, result.duplicates, result.trimmed, result.dropped) > 0


@dataclass(frozen=True, slots=True)
class BoastfulCounter(LineCounter):
    """Says that its counts add up, which they do not."""

    @property
    def additive(self) -> bool:
        return True


def test_a_counter_that_promises_sums_it_does_not_keep_is_found_out() -> None:
    result = run(300, counters=(BoastfulCounter(merging=True),))

    assert "the parts sum to the count of the final messages" in result.broken
