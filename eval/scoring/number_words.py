"""Reads numbers that are written in words, such as "one hundred and twenty-five"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

_SMALL = dict(
    zip(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen".split(),
        range(20),
        strict=True,
    )
)
_TENS = dict(
    zip(
        "twenty thirty forty fifty sixty seventy eighty ninety".split(),
        range(20, 100, 10),
        strict=True,
    )
)
_HUNDRED = 100
_POWERS = {"thousand": 3, "lakh": 5, "million": 6, "crore": 7, "billion": 9, "trillion": 12}
_ONES = range(1, 10)
# In ASCII alone: without case, a dotless i and a long s would match, and be no word here.
_WORD = rf"(?a:{'|'.join([*reversed(_SMALL), *_TENS])}|(?:hundred|{'|'.join(_POWERS)})s?)"
_RUN = re.compile(
    rf"(?<![\w-]){_WORD}(?:(?:[ -]|\sand\s){_WORD})*(?![\w-])",
    re.IGNORECASE,
)
_ONE = re.compile(rf"(?P<and>and\s)?(?P<word>{_WORD})(?!\w)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WordedNumber:
    """A number in words.

    Attributes:
        step: what one more of its last word is worth: 1000 for "five thousand".
        start, end: where it stands in the text.
    """

    value: Decimal
    step: Decimal
    start: int
    end: int


@dataclass(slots=True)
class _Sum:
    """What the words so far say: whole groups, and the group that is being said."""

    start: int
    end: int = 0
    whole: int = 0
    group: int = 0
    step: int = 1
    power: int = 99

    def takes(self, word: str, *, joined: bool) -> bool:
        """Add a word, and return whether it goes on: "twenty five" does, "five six" is two."""
        if word == "hundred":
            return self._multiplies()
        if word in _POWERS:
            return self._scales(_POWERS[word])
        number = _SMALL[word] if word in _SMALL else _TENS[word]
        last = self.group % _HUNDRED
        free = last == 0 or (last in _TENS.values() and number in _ONES)
        if self.end and (not free or number == 0 or (joined and not self._large)):
            return False
        self.group += number
        self.step = 1
        return True

    @property
    def _large(self) -> bool:
        """Whether "and" may go on: "one hundred and five" is one number, "two and five" are two."""
        return self.group >= _HUNDRED or (self.group == 0 and self.whole > 0)

    def _multiplies(self) -> bool:
        if not 0 < self.group < _HUNDRED:
            return False
        self.group, self.step = self.group * _HUNDRED, _HUNDRED
        return True

    def _scales(self, power: int) -> bool:
        if self.group == 0 or power >= self.power:
            return False
        self.whole += self.group * 10**power
        self.step = (_HUNDRED if self.group % _HUNDRED == 0 else 1) * 10**power
        self.group, self.power = 0, power
        return True


def find_worded(text: str) -> Iterator[WordedNumber]:
    """Yield the numbers that a text spells in words, in its order; a scale alone is none."""
    for run in _RUN.finditer(text):
        said: _Sum | None = None
        for match in _ONE.finditer(text, run.start(), run.end()):
            word = match["word"].casefold()
            if word not in _SMALL:
                word = word.removesuffix("s")
            if said is not None and not said.takes(word, joined=match["and"] is not None):
                yield _number(said)
                said = None
            if said is None:
                said = _Sum(match.start("word"))
                if not said.takes(word, joined=False):
                    said = None
                    continue
            said.end = match.end()
        if said is not None:
            yield _number(said)


def _number(said: _Sum) -> WordedNumber:
    return WordedNumber(Decimal(said.whole + said.group), Decimal(said.step), said.start, said.end)
