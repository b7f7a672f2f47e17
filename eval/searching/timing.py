"""An embedder that remembers and times: a question is embedded once, and the cost is known."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from retrieval.embed import Embedder
from retrieval.points import Vector


@dataclass(slots=True)
class RememberingEmbedder:
    """Embeds each text once until it is told to forget; otherwise the embedder that it is given.

    One question is planned under several budgets, each with a search of its own as in a request;
    remembered vectors make that as cheap as one search.

    Attributes:
        seconds: spent on embedding since the last `forget`.
    """

    inner: Embedder
    seconds: float = 0.0
    _rows: dict[str, Vector] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """See `Embedder.name`."""
        return self.inner.name

    @property
    def dimension(self) -> int:
        """See `Embedder.dimension`."""
        return self.inner.dimension

    @property
    def input_limit(self) -> int:
        """See `Embedder.input_limit`."""
        return self.inner.input_limit

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See `Embedder.count_tokens`."""
        return self.inner.count_tokens(texts)

    def embed(self, texts: Sequence[str]) -> Vector:
        """See `Embedder.embed`; texts that are remembered take no time."""
        unknown = list(dict.fromkeys(text for text in texts if text not in self._rows))
        if unknown:
            started = time.perf_counter()
            rows = self.inner.embed(unknown)
            self.seconds += time.perf_counter() - started
            self._rows.update(zip(unknown, rows, strict=True))
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        return np.stack([self._rows[text] for text in texts])

    def embed_stream(self, batches: Iterable[Sequence[str]]) -> Generator[Vector, None, None]:
        """See `Embedder.embed_stream`; nothing of a stream is remembered."""
        return self.inner.embed_stream(batches)

    def forget(self) -> None:
        """Forget every text, and the time that was spent."""
        self._rows.clear()
        self.seconds = 0.0
