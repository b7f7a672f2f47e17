"""Remembers the labels of answers, so that what comes back as history keeps its label.

An answer quotes what it was made from. A client sends it back as a turn of the conversation, and
that turn may go to another model.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from threading import Lock
from typing import Final

from chunking.sensitivity import Sensitivity
from chunking.tokens import Message

ANSWER_LIMIT: Final = 100_000
"""Answers that are remembered, some 10 MB of digests; the oldest are forgotten first."""


class AnsweredLabels:
    """The label of every answer of this process, by a digest of its text; no text is kept."""

    def __init__(self, limit: int = ANSWER_LIMIT) -> None:
        self._limit = limit
        self._labels: OrderedDict[bytes, Sensitivity] = OrderedDict()
        self._lock = Lock()

    def note(self, text: str, label: Sensitivity) -> None:
        """Remember the label of an answer; of two labels for one text, the higher."""
        key = _digest(text)
        with self._lock:
            self._labels[key] = max(label, self._labels.pop(key, label))
            if len(self._labels) > self._limit:
                self._labels.popitem(last=False)

    def labels_in(self, turns: Iterable[Message]) -> Iterator[Sensitivity]:
        """Yield the label of every turn that is an answer of this process."""
        for turn in turns:
            if turn.role == "assistant" and (label := self._labels.get(_digest(turn.content))):
                yield label


def _digest(text: str) -> bytes:
    return blake2b(text.strip().encode("utf-8", "surrogatepass"), digest_size=16).digest()
