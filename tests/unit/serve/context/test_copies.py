"""One text under two labels."""

from __future__ import annotations

from chunking.document import Chunk
from chunking.sensitivity import Sensitivity
from serve.context.copies import labels_with_copies
from serve.context.report import Candidate

PUBLIC, INTERNAL, RESTRICTED = (
    Sensitivity.PUBLIC,
    Sensitivity.INTERNAL,
    Sensitivity.RESTRICTED,
)


def candidates(*labels: Sensitivity) -> list[Candidate]:
    return [
        Candidate(Chunk(str(n), str(n), "t", (), 0, 1, "x", 0, label), 0.0, "dense")
        for n, label in enumerate(labels)
    ]


def test_a_text_has_the_highest_label_of_its_copies_before_and_after_it() -> None:
    given = candidates(INTERNAL, RESTRICTED, PUBLIC, PUBLIC)

    assert labels_with_copies(given, {1: (0,), 2: (0,)}) == [*[RESTRICTED] * 3, PUBLIC]


def test_without_copies_every_label_stays() -> None:
    assert labels_with_copies(candidates(PUBLIC, RESTRICTED), {}) == [PUBLIC, RESTRICTED]


def test_a_higher_label_comes_by_a_chain_of_near_copies() -> None:
    given = candidates(PUBLIC, INTERNAL, INTERNAL, RESTRICTED)

    assert labels_with_copies(given, {1: (0,), 2: (1,), 3: (2,)}) == [RESTRICTED] * 4
