"""The embedder protocol and a hash embedder that needs no weights."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from retrieval.points import Vector


class TextEmbedder(Protocol):
    """Turns texts into unit vectors and counts texts with its own tokenizer."""

    @property
    def name(self) -> str:
        """The `"provider:model"` string that identifies the vectors, part of the fingerprint."""

    @property
    def dimension(self) -> int:
        """Length of every vector."""

    @property
    def input_limit(self) -> int:
        """Most tokens of one text, special tokens included; longer texts would be cut."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the token count of each text, special tokens included, uncut."""

    def embed(self, texts: Sequence[str]) -> Vector:
        """Return one unit row per text, float32, shape (len(texts), dimension)."""


class Embedder(TextEmbedder, Protocol):
    """A `TextEmbedder` that also embeds a stream of texts as fast as its device allows."""

    def embed_stream(self, batches: Iterable[Sequence[str]]) -> Generator[Vector, None, None]:
        """Yield the rows of each batch of texts, as `embed` returns them, in order.

        Batches may be taken ahead of the rows, on another thread, and on that one alone. Whatever
        was started for the stream has ended when the iterator is exhausted, raises or is closed.
        """


_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class HashEmbedder:
    """Embeds a text as the signed hash counts of its words: deterministic, no weights, for tests.

    Texts that share words are near each other, so ranking behaves plausibly.
    """

    dimension: int = 64
    input_limit: int = 256

    @property
    def name(self) -> str:
        """See `Embedder.name`."""
        return f"hash:{self.dimension}"

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count words and punctuation marks, and two for the ends a BERT tokenizer would add."""
        return [len(_WORD.findall(text)) + 2 for text in texts]

    def embed(self, texts: Sequence[str]) -> Vector:
        """See `Embedder.embed`; a text without words becomes the first unit vector."""
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in _WORD.findall(text.lower()):
                data = word.encode("utf-8", "surrogatepass")
                slot = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")
                row[slot % self.dimension] += 1.0 if slot >> 63 else -1.0
            if not row.any():
                row[0] = 1.0
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)

    def embed_stream(self, batches: Iterable[Sequence[str]]) -> Generator[Vector, None, None]:
        """See `Embedder.embed_stream`; one batch after the other, nothing ahead."""
        yield from map(self.embed, batches)
