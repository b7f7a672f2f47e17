"""Recognises the documents that a question names, by their titles and aliases."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Self

from retrieval.aspects import EMPTY_WORDS
from retrieval.records import DocumentRecord
from retrieval.spelling import folded, parted, spelled, unmarked
from retrieval.terms import STOP_WORDS

_SHORTEST_NAME = 2
_COMMON_WORDS = EMPTY_WORDS | STOP_WORDS


@dataclass(frozen=True, slots=True)
class NameTable:
    """The names of a collection's documents, made ready for recognition.

    Names are looked up, not searched one by one: at the beginning of every word, in each of the
    lengths that names with its first letter have.

    Attributes:
        documents: for every folded name, the documents that bear it.
        lengths: of the names that begin with a folded letter, the longest first.
        abbreviations: folded names that are spelled in capitals alone, such as "US".
    """

    documents: Mapping[str, tuple[str, ...]]
    lengths: Mapping[str, tuple[int, ...]]
    abbreviations: frozenset[str] = frozenset()

    @classmethod
    def of(cls, records: Iterable[DocumentRecord]) -> Self:
        """Compile the titles and aliases of these documents, and the other forms of both."""
        titles: dict[str, dict[str, None]] = {}
        aliases: dict[str, dict[str, None]] = {}
        forms: dict[str, dict[str, None]] = {}
        spellings: dict[str, str] = {}
        for record in records:
            derived = [*_title_forms(record.title), *chain(*map(_alias_forms, record.aliases))]
            derived = [name for name in derived if name.lower() not in EMPTY_WORDS]
            derived += map(unmarked, (record.title, *record.aliases, *derived))
            for names, table in (
                ((record.title,), titles),
                (record.aliases, aliases),
                (derived, forms),
            ):
                for name in map(spelled, names):
                    if len(name.strip()) >= _SHORTEST_NAME:
                        table.setdefault(folded(name), {})[record.id] = None
                        spellings.setdefault(folded(name), name)
        # A title belongs to its own document, whoever else is also called so. A form that several
        # documents share is a word of their names, and names none of them.
        own = {name: holders for name, holders in forms.items() if len(holders) == 1}
        documents = {name: tuple(holders) for name, holders in {**own, **aliases, **titles}.items()}
        lengths = defaultdict[str, set[int]](set)
        for name in documents:
            lengths[name[0]].add(len(name))
        return cls(
            documents,
            {letter: tuple(sorted(found, reverse=True)) for letter, found in lengths.items()},
            frozenset(name for name in documents if spellings[name].isupper()),
        )

    def find(self, question: str) -> tuple[str, ...]:
        """Return the ids of the documents named, in the order of the question.

        In a question that uses capitals, a name counts only if it is capitalised: "Georgia" is one,
        the "world" in "in the world" is none. An abbreviation counts only in capitals: "as" is not
        American Samoa; where a question has no capitals at all, it needs three letters.
        """
        text = spelled(question)
        capitals = _has_capitals(question)
        found: dict[str, None] = {}
        for start, end in self._spans(text):
            if self._counts(text[start:end], capitals=capitals):
                found.update(dict.fromkeys(self.documents[folded(text[start:end])]))
        return tuple(found)

    def replace(self, text: str, by: str) -> str:
        """Return a text with something else in the place of every name.

        Capitals do not count but for abbreviations, which are words of the language without them.
        """
        capitals = _has_capitals(text)
        parts, last = [], 0
        for start, end in self._spans(text):
            name = text[start:end]
            if folded(name) not in self.abbreviations or self._counts(name, capitals=capitals):
                parts += [text[last:start], by]
                last = end
        return "".join([*parts, text[last:]])

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where names stand as whole words, the longest at every place."""
        plain = folded(text)
        last = 0
        for start, letter in enumerate(plain):
            lengths = self.lengths.get(letter, ())
            if not lengths or start < last or not parted(plain, start):
                continue
            for length in lengths:
                end = start + length
                if plain[start:end] in self.documents and parted(plain, end):
                    yield start, end
                    last = end
                    break

    def _counts(self, name: str, *, capitals: bool) -> bool:
        """Return whether what is spelled like a name is meant as one."""
        common = folded(name) in _COMMON_WORDS
        if folded(name) in self.abbreviations and not name.isupper():
            return not capitals and not common and len(name) > _SHORTEST_NAME
        if common and not name.isupper():
            return capitals and name[0].isupper()
        return not capitals or not name[0].islower()


def _has_capitals(question: str) -> bool:
    """Return whether a question uses capitals at all: its first word has one in any case."""
    return any(word[0].isupper() and word != "I" for word in re.findall(r"\w+", question)[1:])


def _forms(name: str) -> Iterator[str]:
    """Yield a name without its remark and its article: "The Hague (Den Haag)" is "Hague", too."""
    bare = name.partition(" (")[0]
    yield from (bare, bare.removeprefix("The "))


def _title_forms(title: str) -> Iterator[str]:
    """Yield other forms of a title; its remark is one where it is a name itself."""
    yield from _forms(title)
    remark = title.partition(" (")[2].removesuffix(")")
    if remark[:1].isupper():
        yield remark


def _alias_forms(alias: str) -> Iterator[str]:
    """Yield other forms of an alias: "US or USA" and "RC (or ROC)" are two names each."""
    for part in re.split(r" or | \(or ", alias.removesuffix(")")):
        yield from _forms(part)
