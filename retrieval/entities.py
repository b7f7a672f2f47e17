"""Recognises the documents that a question names, by their titles and aliases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from retrieval.records import DocumentRecord

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
        titles: dict[str, dict[str, None]] = {}
        aliases: dict[str, dict[str, None]] = {}
        spellings: dict[str, str] = {}
        for record in records:
            for names, table in (((record.title,), titles), (record.aliases, aliases)):
                for name in names:
                    if len(name.strip()) >= _SHORTEST_NAME:
                        table.setdefault(name.lower(), {})[record.id] = None
                        spellings.setdefault(name.lower(), name)
        longest_first = sorted(spellings.values(), key=lambda name: (-len(name), name))
        pattern = "|".join(re.escape(name) for name in longest_first)
        return cls(
            # A title belongs to its own document, whoever else is also called so.
            {name: tuple(holders) for name, holders in {**aliases, **titles}.items()},
            re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE) if pattern else None,
        )

    def find(self, question: str) -> tuple[str, ...]:
        """Return the ids of the documents named, in the order of the question.

        In a question that uses capitals, a name counts only if it is capitalised: "Georgia" is one,
        the "world" in "in the world" is none.
        """
        if self.pattern is None:
            return ()
        capitals = any(w[0].isupper() and w != "I" for w in re.findall(r"\w+", question)[1:])
        found: dict[str, None] = {}
        for match in self.pattern.finditer(question):
            name = match[0]
            if not capitals or name[0].isupper() or not name[0].isalpha():
                # The pattern takes more for equal than `lower` does, a long s for an s.
                found.update(dict.fromkeys(self.documents.get(name.lower(), ())))
        return tuple(found)
