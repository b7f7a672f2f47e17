"""Two editions of a made-up corpus: a few lines differ, a few documents come and go."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from chunking.document import Document
from chunking.split import Splitter
from ingest.job import Ingestion
from ingest.texts import SourceFile, document_file
from retrieval.embed import HashEmbedder
from retrieval.fingerprint import IndexFingerprint
from retrieval.index import Index
from retrieval.points import Engine
from retrieval.providers import fingerprint_of
from retrieval.writer import IndexWriter

COLLECTION: Final = "proof"
DIMENSION: Final = 32
_CHANGED_SHARE: Final = 0.06
"""Of the lines, as between two editions of the World Factbook."""
_NOUNS: Final = "area coast river border export import climate language age rate".split()


@dataclass(frozen=True, slots=True)
class Corpus:
    """How large the editions are; the same numbers give the same texts everywhere."""

    documents: int = 40
    lines: int = 24
    seed: int = 4

    def edition(self, number: int) -> list[Document]:
        """Return edition 1 or 2."""
        names = range(self.documents)
        # Each edition has a few documents that the other one has not.
        kept = names[2:] if number == 1 else names[:-2]
        return [self._document(name, number) for name in kept]

    def files(self, number: int) -> list[SourceFile]:
        """Return an edition as the files of a source."""
        return [document_file(document) for document in self.edition(number)]

    def _document(self, name: int, edition: int) -> Document:
        chance = random.Random(f"{self.seed}/{name}")
        lines = [self._line(chance) for _ in range(self.lines)]
        if edition != 1:
            for place in range(self.lines):
                if chance.random() < _CHANGED_SHARE:
                    lines[place] = self._line(chance)
            lines.insert(chance.randrange(self.lines), self._line(chance))
        return Document(f"doc/{name}", "\n".join(lines), f"Country {name}", f"doc/{name}.txt")

    def _line(self, chance: random.Random) -> str:
        words = " ".join(chance.choices(_NOUNS, k=9))
        return f"{words} {chance.randrange(10_000)}."


@cache
def embedder() -> HashEmbedder:
    """Return the embedder: the same vector for the same text, whatever the batch."""
    return HashEmbedder(DIMENSION)


def splitter() -> Splitter:
    """Return the splitter, of small chunks."""
    return Splitter(embedder().count_tokens, size=40, limit=80)


def fingerprint() -> IndexFingerprint:
    """Return the fingerprint of the collection."""
    return fingerprint_of(embedder(), splitter())


def open_index(engine: Engine) -> Index:
    """Return the collection, made if need be."""
    return Index.create(engine, COLLECTION, fingerprint())


def begin(index: Index, *, grace_seconds: float = 0) -> Ingestion:
    """Return what a run works with."""
    return Ingestion(IndexWriter(index, grace_seconds=grace_seconds), embedder(), splitter())


def chunk_texts(documents: Sequence[Document]) -> dict[str, tuple[str, ...]]:
    """Return the texts of the chunks of every document, sorted."""
    cut = splitter()
    return {one.id: tuple(sorted(c.text for c in cut.split(one))) for one in documents}
