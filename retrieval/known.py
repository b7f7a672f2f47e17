"""Remembers the chunks that searches found, so that the store need not send them again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock

from retrieval.records import Hit

_LIMIT = 32 << 20
_BESIDE_TEXT = 1024
"""Bytes of a remembered chunk besides its text: measured in CPython 3.11."""


@dataclass(slots=True)
class KnownChunks:
    """The chunks of one state of a collection that were found last; thread-safe.

    Whatever changes a collection makes another state of it, with a memory of its own: so nothing is
    remembered that was removed, replaced or repaired.

    Attributes:
        limit: bytes that are remembered, about; what was found longest ago is forgotten.
    """

    limit: int = _LIMIT
    _chunks: OrderedDict[str, Hit | None] = field(default_factory=OrderedDict)
    _bytes: int = 0
    _mostly_unknown: bool = True
    _lock: Lock = field(default_factory=Lock)

    @property
    def mostly_unknown(self) -> bool:
        """Whether most points of the last `recall` were unknown; so it is before the first."""
        return self._mostly_unknown

    def recall(self, points: Iterable[str]) -> tuple[dict[str, Hit | None], list[str]]:
        """Return the remembered chunks by point, see `remember`, and the unknown points."""
        known: dict[str, Hit | None] = {}
        unknown = []
        with self._lock:
            for point in points:
                if point in self._chunks:
                    known[point] = self._chunks[point]
                    self._chunks.move_to_end(point)
                else:
                    unknown.append(point)
        self._mostly_unknown = len(unknown) > len(known)
        return known, unknown

    def remember(self, chunks: Mapping[str, Hit | None]) -> None:
        """Remember chunks by their points, None for one that no record names."""
        with self._lock:
            for point, chunk in chunks.items():
                if point not in self._chunks:
                    self._bytes += _size(chunk)
                self._chunks[point] = chunk
            while self._bytes > self.limit:
                _, chunk = self._chunks.popitem(last=False)
                self._bytes -= _size(chunk)


def _size(hit: Hit | None) -> int:
    return _BESIDE_TEXT + (0 if hit is None else len(hit.chunk.text))
