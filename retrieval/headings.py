"""Finds the section of a document that is nearest to what is sought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from retrieval.embed import Embedder
from retrieval.points import Vector
from retrieval.records import DocumentRecord, Hit

_REMEMBERED = 10_000
"""Headings whose vectors are kept: fifteen megabytes of them."""


@dataclass(slots=True)
class Headings:
    """The vectors of outermost headings, each embedded once; thread-safe."""

    _known: dict[str, Vector] = field(default_factory=dict)

    def nearest(
        self, embedder: Embedder, record: DocumentRecord, hits: Sequence[Hit], vector: Vector
    ) -> list[Hit]:
        """Return the hits under that heading of a document which is nearest to a vector.

        Args:
            hits: those found in the document, whose headings are compared.
        """
        if not hits:
            return []
        names = sorted({heading_of(hit) for hit in hits})
        rows = self._rows(embedder, [f"{record.title} > {name}" for name in names])
        nearest = names[int(np.argmax(rows @ vector))]
        via = f"section: {nearest}"
        return [replace(hit, via=via) for hit in hits if heading_of(hit) == nearest]

    def _rows(self, embedder: Embedder, headings: Sequence[str]) -> Vector:
        known = self._known
        new = [heading for heading in headings if heading not in known]
        rows = {heading: known[heading] for heading in headings if heading in known}
        if new:
            rows |= dict(zip(new, embedder.embed(new), strict=True))
            # Begun anew, not emptied: another thread may be reading the old one.
            self._known = (known if len(known) + len(new) <= _REMEMBERED else {}) | rows
        return np.stack([rows[heading] for heading in headings])


def heading_of(hit: Hit) -> str:
    """Return the outermost heading above a chunk; empty for a document without headings."""
    return hit.chunk.path[0] if hit.chunk.path else ""
