"""A collection of short texts of few words, each chunk with a direction of its own."""

from __future__ import annotations

import random

import numpy as np

from chunking.document import Document
from chunking.split import Splitter
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.points import Engine
from retrieval.providers import fingerprint_of
from retrieval.writer import IndexWriter

EMBEDDER = HashEmbedder(dimension=32)
SPLITTER = Splitter(EMBEDDER.count_tokens, size=24, limit=32)
FINGERPRINT = fingerprint_of(EMBEDDER, SPLITTER)
WORDS = "river lake mountain valley harbour bridge forest meadow island glacier".split()


def write_short_texts(engine: Engine, collection: str, *, documents: int) -> Index:
    """Write so many documents named d0, d1, … to a new collection, always the same ones."""
    rng, directions = random.Random(5), np.random.default_rng(5)
    index = Index.create(engine, collection, FINGERPRINT)
    with IndexWriter(index, grace_seconds=0) as writer:
        for number in range(documents):
            text = f"{number}: " + " ".join(rng.choices(WORDS, k=6))
            document = Document(f"d{number}", text, f"Title {number}", f"d{number}.txt")
            chunks = SPLITTER.split(document)
            shape = (len(chunks), EMBEDDER.dimension)
            writer.write(document, chunks, directions.standard_normal(shape, dtype=np.float32))
    return index
