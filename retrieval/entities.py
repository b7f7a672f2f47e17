"""Recognises the documents that a question names, by their titles and aliases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Self

from retrieval.aspects import EMPTY_WORDS
from retrieval.records import DocumentRecord
from retrieval.spelling import spelled, unmarked

_SHORTEST_NAME = 2


@dataclass(frozen=True, slots=True)
class NameTable:
    """The names of a collection's documents, compiled for recognition.

    Attributes:
        documents: for every name in lower case, the documents that bear it.
        pattern: matches any name as whole words, the longest first.
        abbreviations: names in lower case that are spelled in capitals alone, such as "US".
    """

    documents: Mapping[str, tuple[str, ...]]
    pattern: re.Pattern[str] | None
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
                        table.setdefault(name.lower(), {})[record.id] = None
                        spellings.setdefault(name.lower(), name)
        # A title belongs to its own document, whoever else is also called so. A form that several
        # documents share is a word of their names, and names none of them.
        own = {name: holders for name, holders in forms.items() if len(holders) == 1}
        documents = {name: tuple(holders) for name, holders in {**own, **aliases, **titles}.items()}
        longest_first = sorted(
            (spellings[name] for name in documents), key=lambda name: (-len(name), name)
        )
        pattern = "|".join(re.escape(name) for name in longest_first)
        return cls(
            documents,
            re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE) if pattern else None,
            frozenset(name for name in documents if spellings[name].isupper()),
        )

    def find(self, question: str) -> tuple[str, ...]:
        """Return the ids of the documents named, in the order of the question.

        In a question that uses capitals, a name counts only if it is capitalised: "Georgia" is one,
        the "world" in "in the world" is none. An abbreviation counts only in capitals: "as" is not
        American Samoa; where a question has no capitals at all, it needs three letters.
        """
        if self.pattern is None:
            return ()
        capitals = any(w[0].isupper() and w != "I" for w in re.findall(r"\w+", question)[1:])
        found: dict[str, None] = {}
        for match in self.pattern.finditer(spelled(question)):
            if self._counts(match[0], capitals=capitals):
                # The pattern takes more for equal than `lower` does, a long s for an s.
                found.update(dict.fromkeys(self.documents.get(match[0].lower(), ())))
        return tuple(found)

    def _counts(self, name: str, *, capitals: bool) -> bool:
        """Return whether what is spelled like a name is meant as one."""
        if name.lower() in self.abbreviations and not name.isupper():
            common = name.lower() in EMPTY_WORDS
            return not capitals and not common and len(name) > _SHORTEST_NAME
        return not capitals or not name[0].islower()


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
