"""Remembers the labels of questions and answers, so that what comes back as history keeps them.

An answer quotes what it was made from. A client sends it back as a turn of the conversation, and
that turn may go to another model.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from hashlib import blake2b
from threading import Lock
from typing import Final

from chunking.sensitivity import Sensitivity
from chunking.tokens import Message

TURN_LIMIT: Final = 200_000
"""Turns that are remembered, some 20 MB of digests; the oldest are forgotten first."""


class AnsweredLabels:
    """The label of every turn of this process, by a digest of its text; no text is kept."""

    def __init__(self, limit: int = TURN_LIMIT) -> None:
        self._limit = limit
        self._labels: OrderedDict[bytes, Sensitivity] = OrderedDict()
        self._lock = Lock()

    def note(self, text: str, label: Sensitivity) -> None:
        """Remember the label of a turn; of two labels for one text, the higher."""
        if not text.strip():  # calls of tools come as turns without text
            return
        key = _digest(text)
        with self._lock:
            self._labels[key] = max(label, self._labels.pop(key, label))
            if len(self._labels) > self._limit:
                self._labels.popitem(last=False)

    def labels_in(self, turns: Iterable[Message]) -> list[Sensitivity]:
        """Return the label of every turn that this process was asked or has answered."""
        keys = [_digest(turn.content) for turn in turns]
        with self._lock:
            return [self._labels[key] for key in keys if key in self._labels]


def _digest(text: str) -> bytes:
    return blake2b(text.strip().encode("utf-8", "surrogatepass"), digest_size=16).digest()
