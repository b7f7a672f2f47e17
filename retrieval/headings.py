"""Finds the section of a document that is nearest to what is sought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from retrieval.embed import Embedder
from retrieval.points import Vector
from retrieval.records import DocumentRecord, Hit


@dataclass(slots=True)
class Headings:
    """The outermost headings of documents with their vectors, embedded once; thread-safe."""

    _known: dict[str, tuple[tuple[str, ...], Vector]] = field(default_factory=dict)

    def nearest(
        self, embedder: Embedder, record: DocumentRecord, hits: Sequence[Hit], vector: Vector
    ) -> list[Hit]:
        """Return the hits under that heading of a document which is nearest to a vector.

        Args:
            hits: those found in the document, which have all of its headings.
        """
        if not hits:
            return []
        if record.version not in self._known:
            names = tuple(sorted({heading_of(hit) for hit in hits}))
            rows = embedder.embed([f"{record.title} > {name}" for name in names])
            self._known[record.version] = (names, rows)
        names, rows = self._known[record.version]
        nearest = names[int(np.argmax(rows @ vector))]
        via = f"section: {nearest}"
        return [replace(hit, via=via) for hit in hits if heading_of(hit) == nearest]


def heading_of(hit: Hit) -> str:
    """Return the outermost heading above a chunk; empty for a document without headings."""
    return hit.chunk.path[0] if hit.chunk.path else ""
