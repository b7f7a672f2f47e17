"""Tells what a Word document's styles and lists mean: heading levels, numbers and bullets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ingest.readers.ooxml import Element, attribute, child, children, number

_HEADING = re.compile(r"(?:heading|überschrift|titre|título|rubrik) ?([1-9])", re.IGNORECASE)
_BODY_LEVEL = 9
"""The outline level that stands for "no heading"."""
_CHAIN_LIMIT = 20
"""Styles that build on each other; a longer chain is a circle."""
_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"),
    (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_LETTERS = 26


@dataclass(frozen=True, slots=True)
class Label:
    """What stands before an item of a list; an empty text is a bullet."""

    text: str
    level: int


class Styles:
    """The paragraph styles of a document."""

    def __init__(self, root: Element | None) -> None:
        styles = children(root, "style")
        self._styles = {attribute(style, "styleId") or "": style for style in styles}

    def of(self, paragraph: Element) -> list[Element]:
        """Return the style of a paragraph and those it builds on, nearest first."""
        name = attribute(child(paragraph, "pPr", "pStyle"), "val")
        found: list[Element] = []
        while name in self._styles and len(found) < _CHAIN_LIMIT:
            style = self._styles[name]
            found.append(style)
            name = attribute(child(style, "basedOn"), "val")
        return found

    def heading_level(self, paragraph: Element) -> int | None:
        """Return the level of a heading, from 1; None for any other paragraph."""
        chain = self.of(paragraph)
        stated = [paragraph, *chain]
        levels = (attribute(child(each, "pPr", "outlineLvl"), "val") for each in stated)
        level = next((number(found, _BODY_LEVEL) for found in levels if found is not None), None)
        if level is not None:
            return level + 1 if level < _BODY_LEVEL else None
        for style in chain:
            name = attribute(child(style, "name"), "val") or ""
            match = _HEADING.match(name)
            if match:
                return int(match[1])
            if name.lower() == "title":
                return 1
        return None


@dataclass(slots=True)
class _List:
    """A list under way: the forms of its levels, and the last number given on each."""

    forms: dict[int, tuple[str, str, int]]
    counts: dict[int, int] = field(default_factory=dict)

    def next(self, level: int) -> str:
        form, text, start = self.forms.get(level, ("bullet", "", 1))
        self.counts = {at: count for at, count in self.counts.items() if at <= level}
        self.counts[level] = self.counts.get(level, start - 1) + 1
        if form in {"bullet", "none"}:
            return ""
        return re.sub(r"%([1-9])", lambda match: self._count(int(match[1]) - 1), text)

    def _count(self, level: int) -> str:
        form, _, start = self.forms.get(level, ("decimal", "", 1))
        return _numeral(self.counts.get(level, start), form)


class Numbering:
    """The lists of a document; it counts, so paragraphs are asked for in order."""

    def __init__(self, root: Element | None) -> None:
        self._lists: dict[str, _List] = {}
        self._numbers: dict[str, tuple[str, dict[int, int]]] = {}
        self._restarted: set[tuple[str, int]] = set()
        abstract = {attribute(e, "abstractNumId"): e for e in children(root, "abstractNum")}
        for name, element in abstract.items():
            self._lists[name or ""] = _List(dict(_forms(element)))
        for element in children(root, "num"):
            below = attribute(child(element, "abstractNumId"), "val") or ""
            starts = {
                number(attribute(each, "ilvl")): number(
                    attribute(child(each, "startOverride"), "val"), 1
                )
                for each in children(element, "lvlOverride")
                if child(each, "startOverride") is not None
            }
            self._numbers[attribute(element, "numId") or ""] = (below, starts)

    def label(self, properties: Element | None, styles: list[Element]) -> Label | None:
        """Return the label of a paragraph, or None where it is no item of a list."""
        stated = [child(properties, "numPr"), *(child(s, "pPr", "numPr") for s in styles)]
        named = [attribute(child(each, "numId"), "val") for each in stated]
        levels = [attribute(child(each, "ilvl"), "val") for each in stated]
        name = next((found for found in named if found is not None), None)
        level = number(next((found for found in levels if found is not None), None))
        below, starts = self._numbers.get(name or "", ("", {}))
        if name is None or below not in self._lists:
            return None
        one = self._lists[below]
        if level in starts and (name, level) not in self._restarted:
            self._restarted.add((name, level))
            one.counts[level] = starts[level] - 1
        return Label(one.next(level), level)


def _forms(element: Element) -> Iterator[tuple[int, tuple[str, str, int]]]:
    for level in children(element, "lvl"):
        form = attribute(child(level, "numFmt"), "val") or "decimal"
        text = attribute(child(level, "lvlText"), "val") or ""
        start = number(attribute(child(level, "start"), "val"), 1)
        yield number(attribute(level, "ilvl")), (form, text, start)


def _numeral(count: int, form: str) -> str:
    if form in {"lowerLetter", "upperLetter"} and count > 0:
        letter = chr(ord("a") + (count - 1) % _LETTERS) * ((count - 1) // _LETTERS % 9 + 1)
        return letter.upper() if form == "upperLetter" else letter
    if form in {"lowerRoman", "upperRoman"} and 0 < count < 4000:  # noqa: PLR2004
        numeral = ""
        for value, sign in _ROMAN:
            numeral, count = numeral + sign * (count // value), count % value
        return numeral.upper() if form == "upperRoman" else numeral
    return str(count)
