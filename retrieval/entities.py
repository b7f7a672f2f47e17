"""Recognises the documents that a question names, by their titles and aliases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from retrieval.index import DocumentRecord

_SHORTEST_NAME = 2


@dataclass(frozen=True, slots=True)
class NameTable:
    """The names of a collection's documents, compiled for recognition.

    Attributes:
        documents: for every name in lower case, the documents that bear it.
        pattern: matches any name as whole words, the longest first.
    """

    documents: Mapping[str, tuple[str, ...]]
    pattern: re.Pattern[str] | None

    @classmethod
    def of(cls, records: Iterable[DocumentRecord]) -> Self:
        """Compile the titles and aliases of these documents."""
        documents: dict[str, list[str]] = {}
        titles: set[str] = set()
        for record in records:
            titles.add(record.title.lower())
            for name in (record.title, *record.aliases):
                if len(name) >= _SHORTEST_NAME:
                    holders = documents.setdefault(name.lower(), [])
                    holders += [record.id] * (record.id not in holders)
        for record in records:
            # A title belongs to its own document, whoever else is also called so.
            if record.title.lower() in documents:
                documents[record.title.lower()] = [record.id]
        longest_first = sorted(documents, key=lambda name: (-len(name), name))
        pattern = "|".join(re.escape(name) for name in longest_first)
        return cls(
            {name: tuple(holders) for name, holders in documents.items()},
            re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE) if pattern else None,
        )

    def find(self, question: str) -> tuple[str, ...]:
        """Return the ids of the documents named, in the order of the question.

        In a question that uses capitals, a name counts only if it is capitalised: "Georgia" is one,
        the "world" in "in the world" is none.
        """
        if self.pattern is None:
            return ()
        capitals = bool(re.search(r"\w\W+[A-Z]", question))
        found: dict[str, None] = {}
        for match in self.pattern.finditer(question):
            name = match[0]
            if not capitals or name[0].isupper() or not name[0].isalpha():
                found.update(dict.fromkeys(self.documents[name.lower()]))
        return tuple(found)
