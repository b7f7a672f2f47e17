"""Remembers the chunks that searches found, so that the store need not send them again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from sys import getsizeof
from threading import Lock

from retrieval.points import Vector
from retrieval.records import Hit

_LIMIT = 32 << 20
_MANY = 0.1
_BESIDE_TEXTS = 1024
"""Bytes of a remembered chunk besides its texts and its vector: measured in CPython 3.11."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a stored chunk.

    Attributes:
        hit: the chunk, with a score and a step of no meaning; None for one that no record names.
        vector: None where none was needed yet.
    """

    hit: Hit | None
    vector: Vector | None = None

    @property
    def size(self) -> int:
        """The bytes that it takes, about."""
        chunk = None if self.hit is None else self.hit.chunk
        texts = () if chunk is None else (chunk.text, chunk.title, *chunk.path)
        vector = 0 if self.vector is None else self.vector.nbytes
        return _BESIDE_TEXTS + sum(map(getsizeof, texts)) + vector


@dataclass(slots=True)
class KnownChunks:
    """The chunks of one state of a collection that were found last; thread-safe.

    Whatever changes a collection makes another state of it, with a memory of its own: so no search
    finds here what was removed, replaced or repaired. See `retrieval.state`.

    Attributes:
        limit: bytes that are remembered, about; what was found longest ago is forgotten.
    """

    limit: int = _LIMIT
    _chunks: OrderedDict[str, Known] = field(default_factory=OrderedDict)
    _bytes: int = 0
    _many_unknown: bool = True
    _lock: Lock = field(default_factory=Lock)

    @property
    def many_unknown(self) -> bool:
        """Whether more than a tenth of the last telling points were unknown, and before the first.

        Then the store had better send all it has of the points that it finds: on a server that is
        faster than to read by their ids what is new.
        """
        return self._many_unknown

    def recall(
        self, points: Iterable[str], *, telling: bool = True
    ) -> tuple[dict[str, Known], list[str]]:
        """Return what is remembered of points, and the points that are unknown.

        Args:
            telling: whether these points decide about `many_unknown`.
        """
        known: dict[str, Known] = {}
        unknown = []
        with self._lock:
            for point in points:
                if point in self._chunks:
                    known[point] = self._chunks[point]
                    self._chunks.move_to_end(point)
                else:
                    unknown.append(point)
        if telling and (known or unknown):
            self._many_unknown = len(unknown) > _MANY * (len(unknown) + len(known))
        return known, unknown

    def remember(self, chunks: Mapping[str, Known]) -> None:
        """Remember chunks by their points."""
        with self._lock:
            for point, chunk in chunks.items():
                before = self._chunks.pop(point, None)
                self._bytes += chunk.size - (0 if before is None else before.size)
                self._chunks[point] = chunk
            while self._bytes > self.limit:
                _, forgotten = self._chunks.popitem(last=False)
                self._bytes -= forgotten.size
