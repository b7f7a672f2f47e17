"""Detects personal data in a text by its form and its check digits; no match ever leaves here.

What is found is told as names of detectors and counts; `serve.personal_patterns` holds the forms.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches

from chunking.errors import ConfigurationError
from serve.personal_patterns import DETECTORS, Detector

FindPersonal = Callable[[str], Mapping[str, int]]
"""Returns how often each detector fired in a text, those that did not left out."""


def find_personal(text: str, *, detectors: Sequence[Detector] | None = None) -> dict[str, int]:
    """Return how often each detector fired, those that did not left out; never what matched.

    Digits, letters, spaces and dashes of other forms (full-width, Arabic-Indic) count as their
    plain ones, and characters without width as none. Time is linear in the text.

    Args:
        detectors: `DETECTORS` where nothing is said; see `choose_detectors`.
    """
    plain = text if text.isascii() else text.translate(_PLAIN)
    looked_for = DETECTORS if detectors is None else detectors
    return add_counts({one.name: count} for one in looked_for if (count := one.count(plain)))


def choose_detectors(names: Collection[str]) -> tuple[Detector, ...]:
    """Return the detectors of these names.

    Raises:
        ConfigurationError: there is none of a name; lists those there are.
    """
    known = dict.fromkeys(one.name for one in DETECTORS)
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, 1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigurationError(
                f"no detector of personal data is called {name!r}{meant}",
                hint=f"there are: {', '.join(known)}",
            )
    return tuple(one for one in DETECTORS if one.name in names)


def add_counts(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sum of several findings, by detector."""
    total: dict[str, int] = {}
    for one in counts:
        for name, count in one.items():
            total[name] = total.get(name, 0) + count
    return total


class _Plain(dict[int, str]):
    """Characters of other forms as plain ones, each looked up when it is first met."""

    def __missing__(self, code: int) -> str:
        """Return what stands for a character; nothing for one without width."""
        character = chr(code)
        self[code] = plain = _plain(character)
        return plain


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Zs":
        return " "
    if category == "Pd":
        return "-"
    if category == "Cf":
        return ""
    folded = unicodedata.normalize("NFKC", character)
    return folded if folded.isascii() and len(folded) == 1 else character


_PLAIN = _Plain()
