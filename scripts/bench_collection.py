"""Fills collections with as many chunks as wanted, shaped as the World Factbook's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import Any, Final

import numpy as np

from chunking.document import Chunk, Document, content_id
from chunking.sketch import sketch_of
from chunking.split import Splitter
from retrieval.fingerprint import create_place
from retrieval.points import Engine, Point, Vector
from retrieval.providers import fingerprint_of
from retrieval.records import chunk_payload, document_payload, record_of
from retrieval.scope import point_id, scoped
from retrieval.terms import Terms, chunk_terms
from retrieval.transformer import TransformerEmbedder
from scripts.bench_documents import factbook_documents

FACTBOOK_DOCUMENTS: Final = 256
DOCUMENT_CHUNKS: Final = 50
_BATCH_DOCUMENTS: Final = 20
_NOISE: Final = 1.0
"""Length of what is added to a unit vector: chunks on one topic are 0.5 alike, in cosines."""
_TERMS_KEPT: Final = 0.8


@dataclass(frozen=True, slots=True)
class Pattern:
    """A real chunk, which others are made like.

    Attributes:
        payload: what is stored of it.
        topic: the row of `Patterns.topics` that it is about.
    """

    chunk: Chunk
    payload: Mapping[str, Any]
    terms: Terms
    topic: int


@dataclass(frozen=True, slots=True)
class Patterns:
    """The chunks of the World Factbook, and the vectors of the headings that they stand under."""

    splitter: Splitter
    titles: tuple[str, ...]
    headings: tuple[str, ...]
    topics: Vector
    chunks: tuple[Pattern, ...]

    @classmethod
    def of(cls, embedder: TransformerEmbedder, documents: int = FACTBOOK_DOCUMENTS) -> Patterns:
        """Return those of so many documents, spread over all of them."""
        splitter = Splitter(embedder.count_tokens, size=200, limit=embedder.input_limit)
        read = factbook_documents(documents)
        chunks = [chunk for one in read for chunk in splitter.split(one)]
        headings = {name: row for row, name in enumerate(dict.fromkeys(map(_heading, chunks)))}
        topics = embedder.embed(list(headings))
        made = [
            Pattern(c, chunk_payload(c, topics[0]), chunk_terms(c), headings[_heading(c)])
            for c in chunks
        ]
        titles = tuple(one.title for one in read)
        return cls(splitter, titles, tuple(headings), topics, tuple(made))


def fill(
    engine: Engine, name: str, embedder: TransformerEmbedder, like: Patterns, chunks: int
) -> None:
    """Create a collection of so many chunks, in documents of 50.

    Every chunk is one of the patterns with four fifths of its terms and the vector of its heading
    with noise. The first documents bear the titles of the World Factbook's.
    """
    points = create_place(engine, name, fingerprint_of(embedder, like.splitter))
    documents = _documents(like)
    left = -(-chunks // DOCUMENT_CHUNKS)
    while left:
        batch = [point for made in islice(documents, min(left, _BATCH_DOCUMENTS)) for point in made]
        points.upsert(batch)
        left -= min(left, _BATCH_DOCUMENTS)
    # Last, so that a collection which has it is complete.
    state = scoped("state", {"token": str(chunks), "swept": "yes"})
    points.upsert([Point(point_id("state"), state)])


def _documents(like: Patterns) -> Iterator[list[Point]]:
    """Yield the points of one document after the other, for ever."""
    chance = np.random.default_rng(0)
    for number in count():
        name = f"document-{number}"
        title = like.titles[number] if number < len(like.titles) else _name(number)
        drawn = chance.integers(len(like.chunks), size=DOCUMENT_CHUNKS)
        chunks = [
            replace(
                like.chunks[row].chunk,
                id=content_id(name, str(ordinal)),
                document=name,
                title=title,
                position=ordinal,
            )
            for ordinal, row in enumerate(drawn)
        ]
        vectors = like.topics[[like.chunks[row].topic for row in drawn]]
        noise = chance.standard_normal(vectors.shape, dtype=np.float32)
        vectors = vectors + _NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        document = Document(name, "", title, source=name)
        payload = document_payload(document, record_of(document, chunks, {}))
        yield [
            *(
                _point(like.chunks[row], chunk, vector, chance)
                for row, chunk, vector in zip(drawn, chunks, vectors, strict=True)
            ),
            Point(point_id("document", name), scoped("document", payload)),
        ]


def _point(like: Pattern, chunk: Chunk, vector: Vector, chance: np.random.Generator) -> Point:
    kept = chance.random(len(like.terms.indices)) < _TERMS_KEPT
    terms = Terms(
        tuple(np.asarray(like.terms.indices)[kept].tolist()),
        tuple(np.asarray(like.terms.weights)[kept].tolist()),
    )
    own = {
        "id": chunk.id,
        "document": chunk.document,
        "title": chunk.title,
        "sketch": list(sketch_of(chunk)),
    }
    payload = scoped("chunk", {**like.payload, **own})
    return Point(point_id("chunk", chunk.id), payload, vector, terms)


def _name(number: int) -> str:
    """Return a title of letters: those that differ in digits alone name copies of one document."""
    return "".join(chr(ord("a") + number // 26**place % 26) for place in range(5)).capitalize()


def _heading(chunk: Chunk) -> str:
    return chunk.path[-1] if chunk.path else chunk.title
