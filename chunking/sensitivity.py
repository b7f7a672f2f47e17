"""How far a text may travel: the labels that documents, chunks and requests carry."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import StrEnum

from chunking.errors import UnknownSensitivity

# A label is a word; what is longer is some other text, which is not for a message.
TOLD_CHARACTERS = 40


class Sensitivity(StrEnum):
    """A label of a text, from the one that may go anywhere to the one that may not leave.

    Labels compare by how much they protect, not by their letters: public < internal <
    confidential < restricted. A plain string that is no label does not compare: ValueError.
    """

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    RESTRICTED = "restricted"

    @property
    def rank(self) -> int:
        """How much the label protects, from 0."""
        return tuple(Sensitivity).index(self)

    # A `str` compares by its letters, and "confidential" < "internal" there; so all four are ours.
    def __lt__(self, other: str) -> bool:
        return self.rank < Sensitivity(other).rank

    def __le__(self, other: str) -> bool:
        return self.rank <= Sensitivity(other).rank

    def __gt__(self, other: str) -> bool:
        return self.rank > Sensitivity(other).rank

    def __ge__(self, other: str) -> bool:
        return self.rank >= Sensitivity(other).rank


UNLABELLED = Sensitivity.INTERNAL
"""The label of a text that nobody labelled: it is not known to be public."""


def highest(labels: Iterable[Sensitivity]) -> Sensitivity:
    """Return the label that protects most, which holds for all the texts taken together.

    Raises:
        ValueError: there is no label at all, so nothing is known; that must not read as public.
    """
    return max(labels)


def parse_sensitivity(value: object, *, param: str | None = None) -> Sensitivity:
    """Return the label that a person or a record wrote; case and outer white space do not count.

    Raises:
        UnknownSensitivity: the value names no label; `param` is the field or setting at fault.
    """
    written = value.strip().casefold() if isinstance(value, str) else ""
    known = [label.value for label in Sensitivity]
    if written in known:
        return Sensitivity(written)
    told = repr(value) if isinstance(value, str) and len(value) <= TOLD_CHARACTERS else "the value"
    nearest = difflib.get_close_matches(written, known, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"labels: {', '.join(known)}"
    raise UnknownSensitivity(f"{told} is no label of sensitivity", hint=hint, param=param)


def read_sensitivity(value: object) -> Sensitivity:
    """Return the label that a store or another library kept; fails closed.

    None is `UNLABELLED`: what was kept before there were labels. What names no label is restricted,
    as somebody meant to protect it.
    """
    try:
        return UNLABELLED if value is None else parse_sensitivity(value)
    except UnknownSensitivity:
        return Sensitivity.RESTRICTED
