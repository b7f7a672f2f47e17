"""Remembers the labels of questions and answers, so that what comes back keeps them.

An answer quotes what it was made from. A client sends it back as a turn of the conversation, as a
question or as instructions, and that text may go to another model.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from threading import Lock
from typing import Final, Literal

from chunking.sensitivity import Sensitivity, highest
from serve.prints import RUN_LETTERS, count_letters, prints_of

PRINT_LIMIT: Final = 300_000
"""Prints that are remembered of what was said under each label, and of what was shown; the oldest
are forgotten first. So many take some 60 MB."""
SOURCE_LIMIT: Final = 16
"""Sources that are remembered of one text, the latest; "Yes" is said of everything."""

_TAIL: Final = 512

Kind = Literal["said", "shown"]
"""Text of a question or an answer, or of a document that a caller was shown."""


@dataclass(frozen=True, slots=True)
class Source:
    """The documents of one collection that a text was made from."""

    collection: str
    documents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a text: the highest label it was said under, and what it was made from."""

    label: Sensitivity = Sensitivity.PUBLIC
    sources: tuple[Source, ...] = ()

    def joined(self, other: Known) -> Known:
        """Return what both know, the other being the later one."""
        if self == other:
            return self
        sources = tuple(dict.fromkeys((*other.sources, *self.sources)))[:SOURCE_LIMIT]
        return Known(highest((self.label, other.label)), sources)


def merged(sources: Iterable[Source]) -> tuple[Source, ...]:
    """Return the same documents, those of one collection together."""
    documents: dict[str, dict[str, None]] = {}
    for one in sources:
        documents.setdefault(one.collection, {}).update(dict.fromkeys(one.documents))
    return tuple(Source(name, tuple(sorted(named))) for name, named in documents.items())


class AnsweredLabels:
    """The labels of what this process was asked, has answered and has shown, by digests.

    No text is kept. What a text is known by, and where, `serve.prints` says. Labels have rooms of
    their own, so that what may leave anyway pushes nothing out that may not.
    """

    def __init__(self, limit: int = PRINT_LIMIT) -> None:
        self._limit = limit
        self._rooms: dict[tuple[Kind, Sensitivity], OrderedDict[bytes, Known]] = {}
        self._documents: OrderedDict[tuple[str, str], Sensitivity] = OrderedDict()
        self._lock = Lock()

    def note(
        self,
        text: str,
        known: Known,
        *,
        kind: Kind = "said",
        lines: bool = True,
        skip: Set[bytes] = frozenset(),
    ) -> None:
        """Remember what is known of a text; what was known before holds, too.

        Args:
            lines: whether lines of the text are known on their own, see `prints_of`.
            skip: prints that are not remembered, as what they stand for came from the caller.
        """
        if known == Known():
            return
        prints = [one for one in prints_of(text, lines=lines) if one not in skip]
        with self._lock:
            room = self._rooms.setdefault((kind, known.label), OrderedDict())
            for one in prints:
                before = room.pop(one, known)
                room[one] = before.joined(known)
            while len(room) > self._limit:
                room.popitem(last=False)

    def find(self, prints: Set[bytes]) -> Known:
        """Return what is known of the texts that have any of these prints, see `Brought`."""
        with self._lock:
            rooms = tuple(self._rooms.values())
            found = [room[one] for room in rooms for one in prints if one in room]
        # All prints of a text have one of these; they are not hashed, as they may be long.
        distinct = {id(one): one for one in found}.values()
        return Known(
            highest((Sensitivity.PUBLIC, *(one.label for one in distinct))),
            merged(source for one in distinct for source in one.sources),
        )

    def learn(self, collection: str, labels: Mapping[str, Sensitivity]) -> None:
        """Remember the labels that documents were seen to have, of several the highest."""
        with self._lock:
            for name, label in labels.items():
                key = collection, name
                self._documents[key] = max(label, self._documents.pop(key, label))
            while len(self._documents) > self._limit:
                self._documents.popitem(last=False)

    def learnt(self, source: Source) -> Sensitivity:
        """Return the highest label that documents were ever seen to have, also if they are gone."""
        with self._lock:
            keys = ((source.collection, name) for name in source.documents)
            seen = [self._documents[key] for key in keys if key in self._documents]
        return highest((Sensitivity.PUBLIC, *seen))


class Saying:
    """Notes an answer while it is written, so that a client may leave it at any piece."""

    def __init__(self, labels: AnsweredLabels, known: Known, *, skip: Set[bytes]) -> None:
        """Begin with an answer.

        Args:
            skip: see `AnsweredLabels.note`.
        """
        self._labels = labels
        self._known = known
        self._skip = skip
        self._unnoted = 0
        self._waiting = ""

    def add(self, text: str) -> None:
        """Note all that there is of the answer by now; time grows with what is new.

        Args:
            text: everything from the beginning.
        """
        new = text[self._unnoted :]
        self._unnoted = len(text)
        # The end of what was noted, long enough that every run which ends in the new part is in it.
        self._waiting += new
        if not any(map(str.isalnum, new)) and count_letters(new) == 0:
            return
        self._labels.note(self._waiting, self._known, lines=False, skip=self._skip)
        self._waiting = _end_of(self._waiting)

    def end(self, text: str) -> None:
        """Note the answer as a whole, with the lines and the texts that stand in it."""
        self._labels.note(text, self._known, skip=self._skip)


def _end_of(text: str) -> str:
    """Return the end of a text that has as many letters as a run, and what may stand in a citation.

    All of it, where it has fewer: what a short text is known by is all of it.
    """
    size = _TAIL
    while size < len(text):
        end = text[-size:]
        if count_letters(end) >= RUN_LETTERS and "think>" not in end:
            return end
        size *= 2
    return text
