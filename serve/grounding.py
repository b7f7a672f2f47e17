"""Checks that the numbers and names of an answer stand in the context it was made from; pure.

A number or a name that stands nowhere in what the model saw was not read there. That is a signal
and no proof: a sum or a count that the model made is missing, too, and a wrong figure that stands
elsewhere in the context is not. Scripts without capital letters have no names here.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from chunking.cuts import boundaries
from chunking.document import Chunk
from retrieval.aspects import EMPTY_WORDS
from retrieval.spelling import unmarked
from serve.abstention import abstains, without_citations

_SCALES = {
    name: Decimal(10) ** power
    for power, names in {
        3: ("thousand", "K"),
        6: ("million", "mn", "mln", "M"),
        9: ("billion", "bn", "B"),
        12: ("trillion", "tn", "T"),
    }.items()
    for name in names
}
_SPELLED = {
    word: Decimal(number)
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen twenty".split()
    )
}
_SPACE = "[ \u00a0\u2009\u202f']"
_NUMBER = re.compile(
    rf"(?<![\w.,])(\d{{1,3}}(?:(?:,\d{{3}}){{1,12}}|(?:{_SPACE}\d{{3}}){{1,12}})(?!\d)|\d{{1,40}})"
    r"(?:([.,])(\d{1,20}))?(?![\d])"
    r"(?:(?-i:([KMBT]))(?!\w)|[ \u00a0-]?(thousand|million|mn|mln|billion|bn|trillion|tn)s?\b)?",
    re.IGNORECASE,
)
_WRITTEN = re.compile(rf"\b(?:{'|'.join(list(_SPELLED)[2:])}|zero)\b", re.IGNORECASE)
""""One" is as often a pronoun."""
_PART = re.compile(r"(?<![\w.,])\d{1,3}(?= \d{3})|(?<=\d )\d{3}(?![\w.,]\d|\d)")
_NUMBERING = re.compile(r"^[ \t]*(?:[-*•][ \t]+)?\d{1,3}[.)](?=\s)", re.MULTILINE)
_LETTER = r"[^\W\d_][\u0300-\u036f]*"
_WORD = re.compile(rf"(?:{_LETTER})+(?:['\u2019](?:{_LETTER})+)*")
_WITHIN = re.compile(
    r"(?:[ \u00a0]|-)(?:(?:de|del|da|di|do|du|la|le|van|von|al|el|bin|ibn)[ -]){0,2}", re.IGNORECASE
)
"""What may stand between two words of one name."""
_REACH = 4
"""Words among which two that follow each other in a name do so in the context, too."""
_NO_NAMES = EMPTY_WORDS | set(
    "yes no none true false unknown however based according he she we you so while both".split()
)
_POSSESSIVE = ("'s", "\u2019s")


@dataclass(frozen=True, slots=True)
class Grounding:
    """How far an answer rests on the context that it was made from.

    Attributes:
        checked: different numbers and names of the answer.
        missing: those that stand neither in the context nor in what was asked, as the answer writes
            them; text of an answer, so for the caller and for no log.
        insufficient: whether the answer says that the sources do not hold what was asked.
    """

    checked: int
    missing: tuple[str, ...]
    insufficient: bool

    @property
    def share(self) -> float:
        """The share of them that stands there, from 0 to 1; 1 where there is nothing to check."""
        return 1.0 - len(self.missing) / self.checked if self.checked else 1.0


def check_grounding(
    answer: str,
    *,
    question: str,
    kept: Sequence[Chunk],
    said: Iterable[str] = (),
    structured: bool = False,
) -> Grounding:
    """Return which numbers and names of an answer stand in the kept chunks or in what was asked.

    Numbers are compared by value: 1,790 is 1790, "three" is 3, and "1.8 million" is 1,800,000 or
    what rounds to it. Names are runs of capitalised words, compared without accents and case; a
    word that begins a sentence is one only where it is capitalised elsewhere, too, or all there
    is. Citations do not count. Time is linear in the texts.

    Args:
        said: what else the caller has said to the model: turns, instructions.
        structured: whether the answer is JSON whose fields the caller has named; then its values
            are looked at, and not the names of the fields.
    """
    told = _values(answer) if structured else without_citations(answer)
    context = [question, *said, *(chunk.embedded_text for chunk in kept)]
    numbers, names = dict(_stated_numbers(told)), dict(_stated_names(told))
    missing = (*_missing_numbers(numbers, context), *_missing_names(names, context))
    return Grounding(len(numbers) + len(names), missing, abstains(answer))


def _values(answer: str) -> str:
    """Return the values of a JSON answer, one a line; the answer as it is where it is no JSON."""
    try:
        waiting = [json.loads(answer, parse_float=str, parse_int=str)]
    except (ValueError, RecursionError):
        return answer
    found: list[str] = []
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += reversed(value.values())
        elif isinstance(value, list):
            waiting += reversed(value)
        elif isinstance(value, str):
            found.append(value)
    return "\n".join(found)


def _stated_numbers(text: str) -> Iterator[tuple[tuple[Decimal, Decimal], str]]:
    """Yield what an answer states: value and half of what its last digit is worth."""
    for match in _NUMBER.finditer(_NUMBERING.sub("", text)):
        value, step = _read(match)
        yield (value, step / 2 if match[4] or match[5] else Decimal(0)), match[0]
    for match in _WRITTEN.finditer(text):
        yield (_SPELLED[match[0].lower()], Decimal(0)), match[0]


def _read(match: re.Match[str]) -> tuple[Decimal, Decimal]:
    """Return a number and what one more in its last digit is worth."""
    whole = re.sub(rf",|{_SPACE}", "", match[1])
    fraction = match[3] or ""
    scale = _SCALES[match[4] or match[5].lower()] if match[4] or match[5] else Decimal(1)
    value = Decimal(f"{whole}.{fraction}" if fraction else whole)
    return value * scale, scale.scaleb(-len(fraction))


def _missing_numbers(
    wanted: Mapping[tuple[Decimal, Decimal], str], context: Iterable[str]
) -> Iterator[str]:
    if not wanted:
        return
    held = {_read(match)[0] for text in context for match in _NUMBER.finditer(text)}
    # "12 300" may be one number, or two.
    held.update(Decimal(one) for text in context for one in _PART.findall(text))
    held.update(_SPELLED[match[0].lower()] for text in context for match in _WRITTEN.finditer(text))
    ordered = sorted(held)
    for (value, off), written in wanted.items():
        place = bisect_left(ordered, value - off)
        if place == len(ordered) or ordered[place] > value + off:
            yield written


class _Folded(dict[int, str]):
    """Letters without accents and case; a mark of its own as nothing. Each is looked up once."""

    def __missing__(self, code: int) -> str:
        """Return what stands for a character."""
        # One character at a time: to normalize a long run of marks takes the square of its length.
        self[code] = plain = unmarked(chr(code)).casefold()
        return plain


_FOLDED = _Folded()


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of a sentence: how it is compared, where it stands, whether it is the first."""

    folded: str
    start: int
    end: int
    capitalised: bool
    first: bool


def _stated_names(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the names of an answer, as folded words and as they are written."""
    sentences = [words for words in _sentences(text) if words]
    inside = {
        word.folded for words in sentences for word in words if word.capitalised and not word.first
    }
    for words in sentences:
        all_capitalised = all(word.capitalised for word in words)
        for run in _runs(words, text):
            name = run
            if run[0].first and run[0].folded not in inside and not all_capitalised:
                name = run[1:]
            while name and name[0].folded in _NO_NAMES:
                name = name[1:]
            if name:
                yield tuple(word.folded for word in name), text[name[0].start : name[-1].end]


def _sentences(text: str) -> Iterator[list[_Word]]:
    """Yield the words of each sentence or line."""
    for start, end in pairwise([0, *boundaries(text), len(text)]):
        words: list[_Word] = []
        for match in _WORD.finditer(text, start, end):
            capitalised = match[0][0].isupper() and len(match[0]) > 1
            words.append(_Word(_fold(match[0]), match.start(), match.end(), capitalised, not words))
        yield words


def _fold(word: str) -> str:
    folded = word.translate(_FOLDED)
    return folded[:-2] if folded.endswith(_POSSESSIVE) else folded


def _runs(words: Sequence[_Word], text: str) -> Iterator[list[_Word]]:
    """Yield the runs of capitalised words that belong together."""
    run: list[_Word] = []
    for word in words:
        if not word.capitalised:
            continue
        if run and not _WITHIN.fullmatch(text, run[-1].end, word.start):
            yield run
            run = []
        run.append(word)
    if run:
        yield run


def _missing_names(wanted: Mapping[tuple[str, ...], str], context: Iterable[str]) -> Iterator[str]:
    """Yield the names of which a word, or two words near each other, stand nowhere."""
    if not wanted:
        return
    words = {form for name in wanted for word in name for form in _forms(word)}
    seen: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    for text in context:
        last: deque[str] = deque(maxlen=_REACH)
        for match in _WORD.finditer(text):
            word = _fold(match[0])
            if word in words:
                seen.add(word)
                pairs.update((before, word) for before in last if before in words)
            last.append(word)
    for name, written in wanted.items():
        if not _stands(name, seen, pairs):
            yield written


def _stands(name: tuple[str, ...], seen: Set[str], pairs: Set[tuple[str, str]]) -> bool:
    if len(name) == 1:
        return any(form in seen for form in _forms(name[0]))
    return all(
        any((one, other) in pairs for one in _forms(first) for other in _forms(second))
        for first, second in pairwise(name)
    )


def _forms(word: str) -> tuple[str, ...]:
    """Return a word and what it is derived from: "Bolivian" and "Bolivia", never the reverse."""
    return (word, word[:-1]) if word.endswith("an") else (word,)
